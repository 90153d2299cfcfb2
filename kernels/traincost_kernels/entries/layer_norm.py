"""Catalog entry of LayerNorm."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.entry import Inputs, KernelEntry, normal
from traincost_kernels.launch import Launch
from traincost_kernels.norms import (
    backward_launches,
    forward_launches,
    least_bytes_backward,
    least_bytes_forward,
    row_statistic,
)
from traincost_kernels.ops.layer_norm import layer_norm

EPS = 1e-5


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    return {
        "x": normal((n_rows, n_cols), dtype, device, seed=0),
        "weight": normal((n_cols,), dtype, device, seed=1),
        "bias": normal((n_cols,), dtype, device, seed=2),
    }


def _fused(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return layer_norm(x, weight, bias, eps=EPS)


def _eager(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weight, bias, EPS)


def _launches(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    x, weight, bias = inputs["x"], inputs["weight"], inputs["bias"]
    y, dy, dx = (torch.empty_like(x) for _ in range(3))
    mean, rstd = row_statistic(x), row_statistic(x)
    gradients = (dx, torch.empty_like(weight), torch.empty_like(bias))
    return {
        "forward": forward_launches(x, None, weight, bias, y, None, mean, rstd, EPS),
        "backward": backward_launches(x, weight, mean, rstd, dy, None, *gradients),
    }


def _backward_bytes(dtype: torch.dtype, n_cols: int) -> float:
    return least_bytes_backward(dtype, n_cols, centred=True)


LAYER_NORM = KernelEntry(
    name="layer_norm",
    inputs=_inputs,
    fused=_fused,
    eager=_eager,  # which is aten's fused op already
    liger="liger_kernel.ops.layer_norm.LigerLayerNormFunction",
    launches=_launches,
    bytes_per_element_forward=least_bytes_forward,
    bytes_per_element_backward=_backward_bytes,
    differentiable=("x", "weight", "bias"),
)
