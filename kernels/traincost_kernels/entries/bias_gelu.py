"""Catalog entries of bias and GELU, by the error function and by tanh."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.bias_activation import backward_launches, forward_launches
from traincost_kernels.entry import Inputs, KernelEntry, accesses, normal
from traincost_kernels.launch import Launch
from traincost_kernels.ops.bias_gelu import bias_gelu


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    return {
        "x": normal((n_rows, n_cols), dtype, device, seed=0),
        "bias": normal((n_cols,), dtype, device, seed=1),
    }


def _eager(x: Tensor, bias: Tensor, approximate: str) -> Tensor:
    return F.gelu(x + bias, approximate=approximate)


def _composed_tanh(x: Tensor, bias: Tensor) -> Tensor:
    """As in GPT-2's code."""
    x = x + bias
    inner = 0.7978845608028654 * (x + 0.044715 * torch.pow(x, 3.0))
    return 0.5 * x * (1.0 + torch.tanh(inner))


def _launches(activation: str, inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    x, bias = inputs["x"], inputs["bias"]
    y, dy, dx = (torch.empty_like(x) for _ in range(3))
    return {
        "forward": forward_launches(activation, x, bias, y),
        "backward": backward_launches(activation, x, bias, dy, dx, torch.empty_like(bias)),
    }


ERF = KernelEntry(
    name="bias_gelu",
    inputs=_inputs,
    fused=bias_gelu,
    eager=partial(_eager, approximate="none"),
    launches=partial(_launches, "gelu"),
    bytes_per_element_forward=accesses(2),
    bytes_per_element_backward=accesses(3),
    differentiable=("x", "bias"),
)
TANH = KernelEntry(
    name="bias_gelu_tanh",
    inputs=_inputs,
    fused=partial(bias_gelu, approximate="tanh"),
    eager=partial(_eager, approximate="tanh"),
    composed=_composed_tanh,
    launches=partial(_launches, "gelu_tanh"),
    bytes_per_element_forward=accesses(2),
    bytes_per_element_backward=accesses(3),
    differentiable=("x", "bias"),
)
