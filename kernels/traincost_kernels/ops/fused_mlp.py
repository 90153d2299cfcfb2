"""The MLP block of a Transformer, which keeps the pre-activation and not the activation.

    pre = x w1ᵀ        a = act(pre + b1)        y = a w2ᵀ + b2

and backwards, with da = dy w2,

    dpre = act'(pre + b1) da      db1 = sum of dpre      dw1 = dpreᵀ x      dx = dpre w1
    a    = act(pre + b1) again    db2 = sum of dy        dw2 = dyᵀ a

Shapes: x (..., n_in), w1 (hidden, n_in), b1 (hidden,), w2 (n_out, hidden), b2 (n_out,), y
(..., n_out). dtypes: bf16, fp16, fp32, fp64, all tensors the same; under autocast all are cast to
its dtype, as `torch.nn.functional.linear` casts them. The matrix products are torch's; bias and
activation are the kernels of `bias_gelu`.

Saved for the backward beside x and the weights: pre, 2 bytes a hidden element of 2 bytes, where
eager saves its pre-activation and its activation, 4. Computing a again costs no matrix product, and
2 bytes an element of writing, since one kernel makes dpre and a from one reading of pre and da:

bytes a hidden element in 2-byte dtypes, matrix products left out: forward 4 (pre, a), backward 8
(pre, da, dpre, a; dpre is written over da), and partial sums of db1 as in `bias_gelu`.

Source: the saving as in Korthikanti et al., Reducing activation recomputation, arXiv 2205.05198.
"""

from math import prod
from typing import Any

import torch
from torch import Tensor

from traincost_kernels.bias_activation import ACTIVATIONS, backward_launches, forward_launches
from traincost_kernels.checks import (
    require_choice,
    require_floating,
    require_like,
    require_rank,
    require_shape,
)
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.errors import KernelInputError
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import run


@torch.library.custom_op("traincost::fused_mlp", mutates_args=())
def _fused_mlp(
    x: Tensor,  # (n_rows, n_in)
    w1: Tensor,
    b1: Tensor | None,
    w2: Tensor,
    b2: Tensor | None,
    activation: str,
) -> tuple[Tensor, Tensor]:
    """The outputs y and pre."""
    pre = x @ w1.t()
    a = torch.empty_like(pre)
    run("fused_mlp", forward_launches(activation, pre, b1, a))
    y = a @ w2.t() if b2 is None else torch.addmm(b2, a, w2.t())
    return y, pre


@torch.library.custom_op("traincost::fused_mlp_backward", mutates_args=())
def _fused_mlp_backward(
    dy: Tensor,  # (n_rows, n_out)
    pre: Tensor,  # (n_rows, hidden)
    x: Tensor,  # (n_rows, n_in)
    w1: Tensor,
    b1: Tensor | None,
    w2: Tensor,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients dx, dw1, db1 (empty without a b1), dw2."""
    pre = pre.contiguous()
    da = (dy @ w2).contiguous()
    a = torch.empty_like(pre)
    db1 = None if b1 is None else torch.empty_like(b1)
    run("fused_mlp", backward_launches(activation, pre, b1, da, da, db1, a))
    dw2 = dy.t() @ a
    del a
    return da @ w1, da.t() @ x, pre.new_empty(0) if db1 is None else db1, dw2


@_fused_mlp.register_fake
def _(
    x: Tensor, w1: Tensor, b1: Tensor | None, w2: Tensor, b2: Tensor | None, activation: str
) -> tuple[Tensor, Tensor]:
    return x.new_empty((x.shape[0], w2.shape[0])), x.new_empty((x.shape[0], w1.shape[0]))


@_fused_mlp_backward.register_fake
def _(
    dy: Tensor,
    pre: Tensor,
    x: Tensor,
    w1: Tensor,
    b1: Tensor | None,
    w2: Tensor,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    db1 = x.new_empty(0 if b1 is None else b1.shape)
    return x.new_empty(x.shape), w1.new_empty(w1.shape), db1, w2.new_empty(w2.shape)


_Arguments = tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None, str]


def _save(ctx: Any, inputs: _Arguments, output: tuple[Tensor, Tensor]) -> None:
    x, w1, b1, w2, b2, ctx.activation = inputs
    ctx.has_b2 = b2 is not None
    ctx.set_materialize_grads(False)  # no zeros as the gradient of pre, which nobody sees
    ctx.save_for_backward(output[1], x, w1, b1, w2)


def _differentiate(ctx: Any, dy: Tensor | None, _dpre: None) -> tuple[Tensor | None, ...]:
    if dy is None:
        return (None,) * 6
    pre, x, w1, b1, w2 = ctx.saved_tensors
    dx, dw1, db1, dw2 = _fused_mlp_backward(dy, pre, x, w1, b1, w2, ctx.activation)
    db2 = dy.sum(0) if ctx.has_b2 else None
    return dx, dw1, None if b1 is None else db1, dw2, db2, None


def _forward_flops(
    x: tuple[int, ...], w1: tuple[int, ...], _b1: object, w2: tuple[int, ...], *_: Any, **__: Any
) -> int:
    return 2 * x[0] * (prod(w1) + prod(w2))


def _backward_flops(
    _dy: object,
    _pre: object,
    x: tuple[int, ...],
    w1: tuple[int, ...],
    _b1: object,
    w2: tuple[int, ...],
    *_: Any,
    **__: Any,
) -> int:
    return 4 * x[0] * (prod(w1) + prod(w2))


register_derivative("fused_mlp", _fused_mlp, _differentiate, _save, _fused_mlp_backward)
register_flops("fused_mlp", _forward_flops)
register_flops("fused_mlp_backward", _backward_flops)


def _autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """As matrix products under autocast: to its dtype, fp64 left alone."""
    first = tensors[0]
    if not isinstance(first, Tensor) or not torch.is_autocast_enabled(first.device.type):
        return tensors
    dtype = torch.get_autocast_dtype(first.device.type)
    return tuple(
        value.to(dtype)
        if isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float64
        else value
        for value in tensors
    )


def _check(x: object, w1: object, b1: object, w2: object, b2: object, activation: str) -> None:
    op = "fused_mlp"
    require_choice(op, "activation", activation, ACTIVATIONS)
    require_floating(op, "x", x)
    assert isinstance(x, Tensor)
    if x.dim() == 0:
        raise KernelInputError(f"{op}: x has shape (), expected a last dimension, that of w1")
    for name, weight in (("w1", w1), ("w2", w2)):
        require_like(op, name, weight, "x", x)
        assert isinstance(weight, Tensor)
        require_rank(op, name, weight, 2, "(outputs, inputs)")
    assert isinstance(w1, Tensor)
    assert isinstance(w2, Tensor)
    hidden, n_out = w1.shape[0], w2.shape[0]
    require_shape(op, "w1", w1, (hidden, x.shape[-1]), "the last dimension of x as its inputs")
    require_shape(op, "w2", w2, (n_out, hidden), "the outputs of w1 as its inputs")
    for name, bias, size, weight_name in (("b1", b1, hidden, "w1"), ("b2", b2, n_out, "w2")):
        if bias is not None:
            require_like(op, name, bias, "x", x)
            assert isinstance(bias, Tensor)
            require_shape(op, name, bias, (size,), f"the outputs of {weight_name}")


def fused_mlp(
    x: Tensor,  # (..., n_in)
    w1: Tensor,  # (hidden, n_in)
    b1: Tensor | None,  # (hidden,)
    w2: Tensor,  # (n_out, hidden)
    b2: Tensor | None,  # (n_out,)
    *,
    activation: str = "gelu_tanh",
) -> Tensor:  # (..., n_out)
    """act(x w1ᵀ + b1) w2ᵀ + b2; saves x, the weights and x w1ᵀ, and not the activation.

    Args:
        x: the block's input.
        w1: first weight, as in `torch.nn.Linear`.
        b1: first bias or None.
        w2: second weight.
        b2: second bias or None.
        activation: "gelu_tanh", "gelu" (by the error function) or "relu_squared".

    Raises:
        KernelInputError: an argument is no floating-point tensor, does not fit the others in shape,
            dtype or device, or `activation` is another word.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    arguments: Any = _autocast(x, w1, b1, w2, b2)
    x, w1, b1, w2, b2 = arguments
    _check(x, w1, b1, w2, b2, activation)
    refuse_transforms("fused_mlp", x, w1, b1, w2, b2)
    b1 = None if b1 is None else b1.contiguous()
    rows = x.reshape(prod(x.shape[:-1]), x.shape[-1])  # -1 is ambiguous where n_in is 0
    y, _ = _fused_mlp(rows, w1, b1, w2, b2, activation)
    result: Tensor = y.reshape(*x.shape[:-1], w2.shape[0])
    return result
