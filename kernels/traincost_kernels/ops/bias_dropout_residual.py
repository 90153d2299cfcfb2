"""Bias, dropout and residual addition at the end of a Transformer block's branch.

    y         = residual + keep (x + bias) / (1 - p)      keep is 0 with probability p, else 1
    dx        = keep dy / (1 - p)
    dbias     = sum of dx over the rows
    dresidual = dy

Shapes: x, residual, y and their gradients (..., n_cols); bias, dbias (n_cols,). dtypes: bf16, fp16,
fp32, fp64, all tensors the same, computed in fp32 (fp64 for fp64), rounded once at the store.

The mask is neither stored nor saved: forward and backward make it from the seed, the shape and the
position by Philox 4x32-10, and it is the same in every dtype. One Philox call gives four 32-bit
words; they go to the same column of four super-rows (see `superrows`), so that nothing is shuffled
between threads. At one call an element the forward would be bound by integer arithmetic on an H100,
at four elements a call by memory.

Bytes an element in 2-byte dtypes: forward 6 (x, residual, y), backward 4 (dy, dx; dresidual is dy
itself), and on top partial sums of dbias as in `bias_gelu`. `F.dropout(x + bias, p) + residual`
moves 15 and 7. Strided input is copied first.

p is compiled into the kernel; each new p compiles a new one.

Source: Srivastava et al., JMLR 15 (2014); the fusion as in Megatron-LM; Philox from Salmon et al.,
SC11.
"""

from typing import Any

import torch
from torch import Tensor

from traincost_kernels.checks import (
    require_between,
    require_flag,
    require_floating,
    require_same_shape,
    require_seed,
    require_vector,
)
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.dropout_kernels import backward_launches, forward_launches
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import run


@torch.library.custom_op("traincost::bias_dropout_residual", mutates_args=())
def _bias_dropout_residual(
    x: Tensor,
    bias: Tensor | None,
    residual: Tensor,
    p: float,
    seed: int,
    seed_tensor: Tensor | None,
) -> Tensor:
    """With `seed_tensor`, `seed` is not looked at."""
    x, residual = x.contiguous(), residual.contiguous()
    bias = None if bias is None else bias.contiguous()
    y = torch.empty_like(x)
    source = seed if seed_tensor is None else seed_tensor
    run("bias_dropout_residual", forward_launches(x, bias, residual, y, p, source))
    return y


@torch.library.custom_op("traincost::bias_dropout_residual_backward", mutates_args=())
def _bias_dropout_residual_backward(
    dy: Tensor, has_bias: bool, p: float, seed: int, seed_tensor: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The gradients dx and dbias, the second empty where there is no bias."""
    dy = dy.contiguous()
    dx = torch.empty_like(dy)
    dbias = dy.new_empty(dy.shape[-1:] if has_bias else 0)
    source = seed if seed_tensor is None else seed_tensor
    launches = backward_launches(dy, dx, dbias if has_bias else None, p, source)
    run("bias_dropout_residual", launches)
    return dx, dbias


@_bias_dropout_residual.register_fake
def _(
    x: Tensor,
    bias: Tensor | None,
    residual: Tensor,
    p: float,
    seed: int,
    seed_tensor: Tensor | None,
) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_bias_dropout_residual_backward.register_fake
def _(
    dy: Tensor, has_bias: bool, p: float, seed: int, seed_tensor: Tensor | None
) -> tuple[Tensor, Tensor]:
    dx = torch.empty_like(dy, memory_format=torch.contiguous_format)
    return dx, dy.new_empty(dy.shape[-1:] if has_bias else 0)


def _save(
    ctx: Any,
    inputs: tuple[Tensor, Tensor | None, Tensor, float, int, Tensor | None],
    output: Tensor,
) -> None:
    _, bias, _, ctx.p, ctx.seed, seed_tensor = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(seed_tensor)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None, None, None]:
    (seed_tensor,) = ctx.saved_tensors
    dx, dbias = _bias_dropout_residual_backward(dy, ctx.has_bias, ctx.p, ctx.seed, seed_tensor)
    return dx, dbias if ctx.has_bias else None, dy, None, None, None


register_derivative(
    "bias_dropout_residual",
    _bias_dropout_residual,
    _differentiate,
    _save,
    _bias_dropout_residual_backward,
)
register_flops("bias_dropout_residual")
register_flops("bias_dropout_residual_backward")


def bias_dropout_residual(
    x: Tensor,  # (..., n_cols)
    bias: Tensor | None,  # (n_cols,)
    residual: Tensor,  # (..., n_cols)
    *,
    p: float,
    seed: int | Tensor,
    training: bool = True,
) -> Tensor:  # (..., n_cols)
    """Residual + dropout(x + bias, p); saves nothing but the seed.

    Args:
        x: the output of a branch's last matrix product.
        bias: added to every row; None adds nothing.
        residual: the residual stream.
        p: the probability that an element of x + bias is dropped.
        seed: of the mask. Equal seeds give equal masks on equal shapes, so every call of a step
            needs its own. A tensor (int64, one element, on x's device) is read by the kernel, so
            that a captured CUDA graph can be given another; it must not change before the backward.
        training: False drops nothing.

    Raises:
        KernelInputError: x is no floating-point tensor, bias or residual does not fit it in shape,
            dtype or device, p is not from 0 to 1, or seed is neither an integer nor such a tensor.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    op = "bias_dropout_residual"
    require_floating(op, "x", x)
    if bias is not None:
        require_vector(op, "bias", bias, x)
    require_same_shape(op, "residual", residual, "x", x)
    require_between(op, "p", p, 0.0, 1.0)
    require_seed(op, "seed", seed, x)
    require_flag(op, "training", training)
    refuse_transforms("bias_dropout_residual", x, bias, residual)
    number, tensor = (0, seed) if isinstance(seed, Tensor) else (seed, None)
    dropped = float(p) if training else 0.0
    return _bias_dropout_residual(
        x.contiguous(), bias, residual.contiguous(), dropped, number, tensor
    )
