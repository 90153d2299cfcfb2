"""Catalog entry of bias, dropout and residual addition, at p = 0.1."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.dropout_kernels import backward_launches, forward_launches
from traincost_kernels.entry import Inputs, KernelEntry, accesses, normal
from traincost_kernels.launch import Launch
from traincost_kernels.ops.bias_dropout_residual import bias_dropout_residual

P = 0.1
SEED = 20_250_601


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    return {
        "x": normal((n_rows, n_cols), dtype, device, seed=0),
        "bias": normal((n_cols,), dtype, device, seed=1),
        "residual": normal((n_rows, n_cols), dtype, device, seed=2),
    }


def _eager(x: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    return residual + F.dropout(x + bias, P)


def _reference(x: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    """With the fused op's mask, which it shows on ones."""
    with torch.no_grad():
        zeros = torch.zeros_like(residual)
        kept = bias_dropout_residual(torch.ones_like(x), None, zeros, p=P, seed=SEED) != 0
    return residual + (x + bias) * (kept.to(x.dtype) / (1 - P))


def _launches(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    x, bias, residual = inputs["x"], inputs["bias"], inputs["residual"]
    y, dy, dx = (torch.empty_like(x) for _ in range(3))
    return {
        "forward": forward_launches(x, bias, residual, y, P, SEED),
        "backward": backward_launches(dy, dx, torch.empty_like(bias), P, SEED),
    }


ENTRY = KernelEntry(
    name="bias_dropout_residual",
    inputs=_inputs,
    fused=partial(bias_dropout_residual, p=P, seed=SEED),
    eager=_eager,
    reference=_reference,
    launches=_launches,
    bytes_per_element_forward=accesses(3),
    bytes_per_element_backward=accesses(2),
    differentiable=("x", "bias", "residual"),
)
