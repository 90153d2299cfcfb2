"""Catalog entry of squared ReLU."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.entry import Inputs, KernelEntry, accesses, normal
from traincost_kernels.launch import Launch
from traincost_kernels.ops.relu_squared import backward_launches, forward_launches, relu_squared


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    return {"x": normal((n_rows, n_cols), dtype, device, seed=0)}


def _eager(x: Tensor) -> Tensor:
    return F.relu(x).square()


def _launches(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    x = inputs["x"]
    y, dy, dx = (torch.empty_like(x) for _ in range(3))
    return {"forward": forward_launches(x, y), "backward": backward_launches(x, dy, dx)}


ENTRY = KernelEntry(
    name="relu_squared",
    inputs=_inputs,
    fused=relu_squared,
    eager=_eager,
    liger="liger_kernel.ops.relu_squared.LigerReLUSquaredFunction",
    launches=_launches,
    bytes_per_element_forward=accesses(2),
    bytes_per_element_backward=accesses(3),
    differentiable=("x",),
)
