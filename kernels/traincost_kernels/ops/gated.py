"""Gated linear units' pointwise half: an activation of one tensor times another.

    swiglu   y = silu(gate) up
    geglu    y = gelu(gate) up          erf or tanh
    dgate = act'(gate) up dy
    dup   = act(gate) dy

Shapes: any; gate, up, y and the gradients have the same. dtypes: bf16, fp16, fp32, fp64, computed
in fp32 (fp64 for fp64), rounded once at the store.

Bytes an element in 2-byte dtypes: forward 6 (gate, up, y), backward 10 (gate, up, dy, dgate, dup).
`F.silu(gate) * up` moves 10 and 18. Strided input is copied first.

Source: Shazeer, GLU variants improve Transformer, arXiv 2002.05202.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.activations import gelu_and_slope, gelu_tanh_and_slope, silu_and_slope
from traincost_kernels.checks import require_choice, require_floating, require_same_shape
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import Kernel, Launch, run
from traincost_kernels.pointwise import pointwise_launch


@triton.jit
def swiglu_forward(gate: tl.tensor, up: tl.tensor) -> tl.tensor:
    """The value y."""
    return silu_and_slope(gate)[0] * up


@triton.jit
def geglu_forward(gate: tl.tensor, up: tl.tensor) -> tl.tensor:
    """The value y."""
    return gelu_and_slope(gate)[0] * up


@triton.jit
def geglu_tanh_forward(gate: tl.tensor, up: tl.tensor) -> tl.tensor:
    """The value y."""
    return gelu_tanh_and_slope(gate)[0] * up


@triton.jit
def swiglu_backward(gate: tl.tensor, up: tl.tensor, dy: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """The gradients dgate, dup."""
    activation = silu_and_slope(gate)  # value, slope
    return activation[1] * up * dy, activation[0] * dy


@triton.jit
def geglu_backward(gate: tl.tensor, up: tl.tensor, dy: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """The gradients dgate, dup."""
    activation = gelu_and_slope(gate)  # value, slope
    return activation[1] * up * dy, activation[0] * dy


@triton.jit
def geglu_tanh_backward(
    gate: tl.tensor, up: tl.tensor, dy: tl.tensor
) -> tuple[tl.tensor, tl.tensor]:
    """The gradients dgate, dup."""
    activation = gelu_tanh_and_slope(gate)  # value, slope
    return activation[1] * up * dy, activation[0] * dy


FORWARD: dict[str, Kernel] = {
    "swiglu": swiglu_forward,
    "geglu": geglu_forward,
    "geglu_tanh": geglu_tanh_forward,
}
BACKWARD: dict[str, Kernel] = {
    "swiglu": swiglu_backward,
    "geglu": geglu_backward,
    "geglu_tanh": geglu_tanh_backward,
}


def forward_launches(kind: str, gate: Tensor, up: Tensor, y: Tensor) -> tuple[Launch, ...]:
    """Launches that fill y; `kind` is a key of FORWARD."""
    return (pointwise_launch(FORWARD[kind], (gate, up), (y,)),)


def backward_launches(
    kind: str, gate: Tensor, up: Tensor, dy: Tensor, dgate: Tensor, dup: Tensor
) -> tuple[Launch, ...]:
    """Launches that fill dgate and dup; `kind` is a key of BACKWARD."""
    return (pointwise_launch(BACKWARD[kind], (gate, up, dy), (dgate, dup)),)


@torch.library.custom_op("traincost::gated", mutates_args=())
def _gated(kind: str, gate: Tensor, up: Tensor) -> Tensor:
    gate, up = gate.contiguous(), up.contiguous()
    y = torch.empty_like(gate)
    run(kind, forward_launches(kind, gate, up, y))
    return y


@torch.library.custom_op("traincost::gated_backward", mutates_args=())
def _gated_backward(kind: str, gate: Tensor, up: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    gate, up, dy = gate.contiguous(), up.contiguous(), dy.contiguous()
    dgate, dup = torch.empty_like(gate), torch.empty_like(up)
    run(kind, backward_launches(kind, gate, up, dy, dgate, dup))
    return dgate, dup


@_gated.register_fake
def _(kind: str, gate: Tensor, up: Tensor) -> Tensor:
    return torch.empty_like(gate, memory_format=torch.contiguous_format)


@_gated_backward.register_fake
def _(kind: str, gate: Tensor, up: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
    dgate = torch.empty_like(gate, memory_format=torch.contiguous_format)
    return dgate, torch.empty_like(dgate)


def _save(ctx: Any, inputs: tuple[str, Tensor, Tensor], output: Tensor) -> None:
    ctx.kind, gate, up = inputs
    ctx.save_for_backward(gate, up)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[None, Tensor, Tensor]:
    dgate, dup = _gated_backward(ctx.kind, *ctx.saved_tensors, dy)
    return None, dgate, dup


register_derivative("swiglu and geglu", _gated, _differentiate, _save, _gated_backward)
register_flops("gated")
register_flops("gated_backward")


def _checked(op: str, kind: str, gate: Tensor, up: Tensor) -> Tensor:
    require_floating(op, "gate", gate)
    require_same_shape(op, "up", up, "gate", gate)
    refuse_transforms(op, gate, up)
    return _gated(kind, gate.contiguous(), up.contiguous())


def swiglu(
    gate: Tensor,  # (...)
    up: Tensor,  # (...)
) -> Tensor:  # (...)
    """SwiGLU's pointwise half, silu(gate) · up; saves gate and up for the backward.

    Raises:
        KernelInputError: gate or up is no floating-point tensor, or they differ in shape, dtype or
            device.
        NoDeviceError: they are on the CPU and Triton's interpreter is off.
    """
    return _checked("swiglu", "swiglu", gate, up)


def geglu(
    gate: Tensor,  # (...)
    up: Tensor,  # (...)
    *,
    approximate: str = "none",
) -> Tensor:  # (...)
    """GeGLU's pointwise half, gelu(gate) · up; saves gate and up for the backward.

    Args:
        gate: what goes through the activation.
        up: what it multiplies.
        approximate: "none" for GELU by the error function, "tanh" for its approximation, as in
            `torch.nn.functional.gelu`.

    Raises:
        KernelInputError: gate or up is no floating-point tensor, they differ in shape, dtype or
            device, or `approximate` is another word.
        NoDeviceError: they are on the CPU and Triton's interpreter is off.
    """
    require_choice("geglu", "approximate", approximate, ("none", "tanh"))
    return _checked("geglu", "geglu_tanh" if approximate == "tanh" else "geglu", gate, up)
