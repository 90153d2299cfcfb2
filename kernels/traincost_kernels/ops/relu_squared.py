"""Squared ReLU.

    y  = max(x, 0)²
    dx = 2 max(x, 0) dy

Shapes: any; x, y, dx, dy have the same. dtypes: bf16, fp16, fp32, fp64, computed in fp32 (fp64 for
fp64), rounded once at the store. NaN stays NaN, as in torch's relu.

Bytes an element in 2-byte dtypes: forward 4 (x, y), backward 6 (x, dy, dx). `F.relu(x).square()`
moves 8 and 20. A strided x or dy is copied first.

Source: So et al., Primer, arXiv 2109.08668.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.activations import relu_squared_and_slope
from traincost_kernels.checks import require_floating
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import Launch, run
from traincost_kernels.pointwise import pointwise_launch


@triton.jit
def relu_squared_forward(x: tl.tensor) -> tl.tensor:
    """The value y."""
    return relu_squared_and_slope(x)[0]


@triton.jit
def relu_squared_backward(x: tl.tensor, dy: tl.tensor) -> tl.tensor:
    """The gradient dx."""
    return relu_squared_and_slope(x)[1] * dy


def forward_launches(x: Tensor, y: Tensor) -> tuple[Launch, ...]:
    """Launches that fill y."""
    return (pointwise_launch(relu_squared_forward, (x,), (y,)),)


def backward_launches(x: Tensor, dy: Tensor, dx: Tensor) -> tuple[Launch, ...]:
    """Launches that fill dx."""
    return (pointwise_launch(relu_squared_backward, (x, dy), (dx,)),)


@torch.library.custom_op("traincost::relu_squared", mutates_args=())
def _relu_squared(x: Tensor) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    run("relu_squared", forward_launches(x, y))
    return y


@torch.library.custom_op("traincost::relu_squared_backward", mutates_args=())
def _relu_squared_backward(x: Tensor, dy: Tensor) -> Tensor:
    x, dy = x.contiguous(), dy.contiguous()
    dx = torch.empty_like(x)
    run("relu_squared", backward_launches(x, dy, dx))
    return dx


@_relu_squared.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_relu_squared_backward.register_fake
def _(x: Tensor, _dy: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, dy: Tensor) -> Tensor:
    (x,) = ctx.saved_tensors
    return _relu_squared_backward(x, dy)


register_derivative("relu_squared", _relu_squared, _differentiate, _save, _relu_squared_backward)
register_flops("relu_squared")
register_flops("relu_squared_backward")


def relu_squared(
    x: Tensor,  # (...)
) -> Tensor:  # (...)
    """Squared ReLU, max(x, 0)²; saves x for the backward.

    Raises:
        KernelInputError: x is no tensor of bf16, fp16, fp32 or fp64.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    require_floating("relu_squared", "x", x)
    refuse_transforms("relu_squared", x)
    return _relu_squared(x.contiguous())
