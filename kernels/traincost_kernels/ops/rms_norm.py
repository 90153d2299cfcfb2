"""Root-mean-square normalisation, with the residual sum before it where there is one.

    s    = x + residual (rounded to the dtype of x), or x
    rstd = 1 / sqrt(mean(s²) + eps)                  over the last dimension, a row of n_cols
    y    = s · rstd · weight

    g = dy · weight,  x̂ = s · rstd
    dx = dresidual = rstd · (g - x̂ · mean(g · x̂)) + dsum,  dweight = sum over rows of dy · x̂

Shapes: x (..., n_cols), weight (n_cols,). dtypes: bf16, fp16, fp32, fp64, all tensors the same;
computed in fp32 (fp64 for fp64), rounded once at the store. Saves s and rstd (4 bytes a row).

Bytes an element in 2-byte dtypes: forward 4 (x, y), backward 6 (x, dy, dx); with a residual both 8.
Rows of more than 16,384 columns are read twice in the forward, of more than 8,192 in the backward
(see `norms`). The composed norm moves 36 and 92. Strided tensors are copied first.

Source: Zhang and Sennrich, arXiv 1910.07467.
"""

from typing import Any, overload

import torch
from torch import Tensor

from traincost_kernels import norms
from traincost_kernels.checks import require_same_shape
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import Launch, run
from traincost_kernels.norms import contiguous_like, require_norm_inputs, row_statistic


def forward_launches(
    x: Tensor,  # (..., n_cols)
    residual: Tensor | None,  # as x
    weight: Tensor | None,  # (n_cols,)
    y: Tensor,  # as x
    total: Tensor | None,  # as x
    rstd: Tensor,  # (n_rows,)
    eps: float,
) -> tuple[Launch, ...]:
    """Launches that fill y, total (x + residual) and rstd."""
    return norms.forward_launches(x, residual, weight, None, y, total, None, rstd, eps)


def backward_launches(
    x: Tensor,  # (..., n_cols), or the sum with the residual
    weight: Tensor | None,  # (n_cols,)
    rstd: Tensor,  # (n_rows,)
    dy: Tensor,  # as x
    dsum: Tensor | None,  # as x
    dx: Tensor,  # as x
    dweight: Tensor | None,  # (n_cols,)
) -> tuple[Launch, ...]:
    """Launches that fill dx and dweight."""
    return norms.backward_launches(x, weight, None, rstd, dy, dsum, dx, dweight, None)


@torch.library.custom_op("traincost::rms_norm", mutates_args=())
def _rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
    x = x.contiguous()
    weight = None if weight is None else weight.contiguous()
    y, rstd = torch.empty_like(x), row_statistic(x)
    run("rms_norm", forward_launches(x, None, weight, y, None, rstd, eps))
    return y, rstd


@torch.library.custom_op("traincost::add_rms_norm", mutates_args=())
def _add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    x, residual = x.contiguous(), residual.contiguous()
    weight = None if weight is None else weight.contiguous()
    y, total, rstd = torch.empty_like(x), torch.empty_like(x), row_statistic(x)
    run("rms_norm", forward_launches(x, residual, weight, y, total, rstd, eps))
    return y, total, rstd


@torch.library.custom_op("traincost::rms_norm_backward", mutates_args=())
def _rms_norm_backward(
    x: Tensor, weight: Tensor | None, rstd: Tensor, dy: Tensor, dsum: Tensor | None
) -> tuple[Tensor, Tensor]:
    x, dy = x.contiguous(), dy.contiguous()
    dsum = None if dsum is None else dsum.contiguous()
    weight = None if weight is None else weight.contiguous()
    dx = torch.empty_like(x)
    dweight = None if weight is None else torch.empty_like(weight)
    run("rms_norm", backward_launches(x, weight, rstd, dy, dsum, dx, dweight))
    return dx, x.new_empty(0) if dweight is None else dweight


@_rms_norm.register_fake
def _(x: Tensor, weight: Tensor | None, eps: float) -> tuple[Tensor, Tensor]:
    return contiguous_like(x), row_statistic(x)


@_add_rms_norm.register_fake
def _(
    x: Tensor, residual: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    return contiguous_like(x), contiguous_like(x), row_statistic(x)


@_rms_norm_backward.register_fake
def _(
    x: Tensor, weight: Tensor | None, rstd: Tensor, dy: Tensor, dsum: Tensor | None
) -> tuple[Tensor, Tensor]:
    return contiguous_like(x), x.new_empty(0) if weight is None else contiguous_like(weight)


def _save(
    ctx: Any, inputs: tuple[Tensor, Tensor | None, float], output: tuple[Tensor, Tensor]
) -> None:
    x, weight, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, weight, output[1])


def _differentiate(
    ctx: Any, dy: Tensor | None, _drstd: Tensor | None
) -> tuple[Tensor | None, Tensor | None, None]:
    x, weight, rstd = ctx.saved_tensors
    dx, dweight = _gradients(x, weight, rstd, dy, None)
    return dx, dweight, None


def _save_sum(
    ctx: Any,
    inputs: tuple[Tensor, Tensor, Tensor | None, float],
    output: tuple[Tensor, Tensor, Tensor],
) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1], inputs[2], output[2])


def _differentiate_sum(
    ctx: Any, dy: Tensor | None, dsum: Tensor | None, _drstd: Tensor | None
) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
    total, weight, rstd = ctx.saved_tensors
    dx, dweight = _gradients(total, weight, rstd, dy, dsum)
    return dx, dx, dweight, None


def _gradients(
    x: Tensor, weight: Tensor | None, rstd: Tensor, dy: Tensor | None, dsum: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    if dy is None:  # y was not used
        return dsum, None
    dx, dweight = _rms_norm_backward(x, weight, rstd, dy, dsum)
    return dx, None if weight is None else dweight


register_derivative("rms_norm", _rms_norm, _differentiate, _save, _rms_norm_backward)
register_derivative("rms_norm", _add_rms_norm, _differentiate_sum, _save_sum, _rms_norm_backward)
register_flops("rms_norm")
register_flops("add_rms_norm")
register_flops("rms_norm_backward")


@overload
def rms_norm(
    x: Tensor, weight: Tensor | None = ..., *, eps: float = ..., residual: None = ...
) -> Tensor: ...
@overload
def rms_norm(
    x: Tensor, weight: Tensor | None = ..., *, eps: float = ..., residual: Tensor
) -> tuple[Tensor, Tensor]: ...
def rms_norm(
    x: Tensor,  # (..., n_cols)
    weight: Tensor | None = None,  # (n_cols,)
    *,
    eps: float = 1e-6,
    residual: Tensor | None = None,  # as x
) -> Tensor | tuple[Tensor, Tensor]:
    """Root-mean-square norm of the rows of x, times weight.

    Args:
        x: what is normalised, over its last dimension.
        weight: factors of the columns; None for none.
        eps: what is added to the mean square.
        residual: the residual stream. It is added to x first, and the sum, the new stream, is
            returned beside the norm: `y, stream = rms_norm(x, weight, residual=stream)`.

    Returns:
        y of the shape of x, or (y, x + residual).

    Raises:
        KernelInputError: a tensor has another dtype or device than x or the wrong shape, x has no
            dimension, or eps is negative.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    require_norm_inputs("rms_norm", x, {"weight": weight}, eps)
    refuse_transforms("rms_norm", x, weight, residual)
    contiguous_weight = None if weight is None else weight.contiguous()
    if residual is None:
        y, _ = _rms_norm(x.contiguous(), contiguous_weight, float(eps))
        return y
    require_same_shape("rms_norm", "residual", residual, "x", x)
    y, total, _ = _add_rms_norm(
        x.contiguous(), residual.contiguous(), contiguous_weight, float(eps)
    )
    return y, total
