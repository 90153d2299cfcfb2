"""Layer normalisation.

    rstd = 1 / sqrt(mean((x - mean(x))²) + eps)        over the last dimension, a row of n_cols
    y    = (x - mean(x)) · rstd · weight + bias

    g = dy · weight,  x̂ = (x - mean(x)) · rstd
    dx = rstd · (g - x̂ · mean(g · x̂) - mean(g))
    dweight = sum over rows of dy · x̂,  dbias = sum over rows of dy

Shapes: x (..., n_cols), weight and bias (n_cols,). dtypes: bf16, fp16, fp32, fp64, all tensors the
same; computed in fp32 (fp64 for fp64), rounded once at the store. The variance is of differences
from the mean, never a difference of squares. Saves x, mean and rstd (8 bytes a row).

Bytes an element in 2-byte dtypes: forward 4 (x, y), backward 6 (x, dy, dx). Rows of more than
16,384 columns are read twice in the forward, of more than 8,192 in the backward (4,096 where rows
are not aligned; see `norms`). torch's own kernels move 4 and 10. Strided tensors are copied first.

Source: Ba, Kiros and Hinton, arXiv 1607.06450.
"""

from typing import Any

import torch
from torch import Tensor

from traincost_kernels import norms
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import run
from traincost_kernels.norms import contiguous_like, require_norm_inputs, row_statistic


@torch.library.custom_op("traincost::layer_norm", mutates_args=())
def _layer_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    x = x.contiguous()
    weight = None if weight is None else weight.contiguous()
    bias = None if bias is None else bias.contiguous()
    y, mean, rstd = torch.empty_like(x), row_statistic(x), row_statistic(x)
    launches = norms.forward_launches(x, None, weight, bias, y, None, mean, rstd, eps)
    run("layer_norm", launches)
    return y, mean, rstd


@torch.library.custom_op("traincost::layer_norm_backward", mutates_args=())
def _layer_norm_backward(
    x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, dy: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    x, dy = x.contiguous(), dy.contiguous()
    weight = None if weight is None else weight.contiguous()
    dx = torch.empty_like(x)
    dweight = None if weight is None else torch.empty_like(weight)
    dbias = x.new_empty(x.shape[-1:]) if has_bias else None
    launches = norms.backward_launches(x, weight, mean, rstd, dy, None, dx, dweight, dbias)
    run("layer_norm", launches)
    none = x.new_empty
    return dx, none(0) if dweight is None else dweight, none(0) if dbias is None else dbias


@_layer_norm.register_fake
def _(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    return contiguous_like(x), row_statistic(x), row_statistic(x)


@_layer_norm_backward.register_fake
def _(
    x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor, dy: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    dweight = x.new_empty(0) if weight is None else contiguous_like(weight)
    return contiguous_like(x), dweight, x.new_empty(x.shape[-1:] if has_bias else (0,))


def _save(
    ctx: Any,
    inputs: tuple[Tensor, Tensor | None, Tensor | None, float],
    output: tuple[Tensor, Tensor, Tensor],
) -> None:
    x, weight, bias, _ = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(x, weight, output[1], output[2])


def _differentiate(
    ctx: Any, dy: Tensor, _dmean: Tensor, _drstd: Tensor
) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
    weight = ctx.saved_tensors[1]
    dx, dweight, dbias = _layer_norm_backward(*ctx.saved_tensors, dy, ctx.has_bias)
    return dx, None if weight is None else dweight, dbias if ctx.has_bias else None, None


register_derivative("layer_norm", _layer_norm, _differentiate, _save, _layer_norm_backward)
register_flops("layer_norm")
register_flops("layer_norm_backward")


def layer_norm(
    x: Tensor,  # (..., n_cols)
    weight: Tensor | None = None,  # (n_cols,)
    bias: Tensor | None = None,  # (n_cols,)
    *,
    eps: float = 1e-5,
) -> Tensor:  # as x
    """Layer norm of the rows of x, times weight, plus bias.

    Args:
        x: what is normalised, over its last dimension.
        weight: factors of the columns; None for none.
        bias: what is added to the columns; None for nothing.
        eps: what is added to the variance.

    Raises:
        KernelInputError: a tensor has another dtype or device than x or the wrong shape, x has no
            dimension, or eps is negative.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    require_norm_inputs("layer_norm", x, {"weight": weight, "bias": bias}, eps)
    refuse_transforms("layer_norm", x, weight, bias)
    contiguous = (None if p is None else p.contiguous() for p in (weight, bias))
    y, _, _ = _layer_norm(x.contiguous(), *contiguous, float(eps))
    return y
