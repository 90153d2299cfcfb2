"""Cross-entropy that writes its gradient over the logits: no second tensor of their size.

The mathematics, shapes and options are those of `cross_entropy`. The forward reads the logits twice
and writes the gradient over them; the backward multiplies it by the gradient of the loss, and moves
nothing where that is 1, as under `loss.backward()`.

Bytes an element in 2-byte dtypes: 6 in all (logits twice, gradient once), and 4 more where the
gradient of the loss is not 1. Live memory: the logits alone, where `cross_entropy` has a gradient
of their size beside them.

The gradient is rounded to the dtype of the logits before that of the loss multiplies it, and then
once more: where that is not 1, half-precision results are off by one more rounding than eager's. In
fp16 small ones vanish before a loss scaler can save them: use `cross_entropy` there.
"""

from typing import Any

import torch
from torch import Tensor

from traincost_kernels import losses
from traincost_kernels.checks import require_flag
from traincost_kernels.derivative import refuse_transforms, second_derivative_error
from traincost_kernels.errors import KernelInputError
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import run
from traincost_kernels.losses import LossOptions, require_classes, require_logits_and_target
from traincost_kernels.row_tiling import accumulator_dtype


@torch.library.custom_op("traincost::cross_entropy_", mutates_args=("logits",))
def _cross_entropy(
    logits: Tensor,
    target: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
    check_target: bool,
) -> Tensor:
    target = target.contiguous()
    if check_target:
        require_classes("cross_entropy_", target, logits.shape[-1], ignore_index)
    options = LossOptions(ignore_index, label_smoothing, z_loss, reduction)
    dtype = accumulator_dtype(logits)
    row_loss, count = logits.new_empty(target.shape, dtype=dtype), logits.new_empty((), dtype=dtype)
    loss = None if reduction == "none" else torch.empty_like(count)
    launches = losses.in_place_launches(logits, target, row_loss, loss, count, options)
    run("cross_entropy_", launches)
    return row_loss if loss is None else loss


@torch.library.custom_op("traincost::scale_", mutates_args=("x",))
def _scale(x: Tensor, factor: Tensor, target: Tensor, ignore_index: int) -> None:
    launches = losses.scale_launches(x, factor.contiguous(), target.contiguous(), ignore_index)
    run("cross_entropy_", launches)


@_cross_entropy.register_fake
def _(
    logits: Tensor,
    target: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
    check_target: bool,
) -> Tensor:
    shape = target.shape if reduction == "none" else ()
    return logits.new_empty(shape, dtype=accumulator_dtype(logits))


@_scale.register_fake
def _(x: Tensor, factor: Tensor, target: Tensor, ignore_index: int) -> None:
    return None


register_flops("cross_entropy_")
register_flops("scale_")


class _InPlace(torch.autograd.Function):
    """An op that mutates its input cannot have `register_autograd`, so a Function holds it."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, *options: Any) -> Tensor:
        gradient = logits.detach()
        loss: Tensor = _cross_entropy(gradient, target, *options)
        ctx.save_for_backward(gradient, target)
        ctx.ignore_index = options[0]
        return loss

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dloss: Tensor
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True; once_differentiable would give zeros
            raise second_derivative_error("cross_entropy_")
        refuse_transforms("cross_entropy_", dloss)
        gradient, target = (
            ctx.saved_tensors
        )  # a second backward fails here: its version has changed
        _scale(gradient, dloss, target, ctx.ignore_index)
        return gradient, None, None, None, None, None, None


def cross_entropy_(
    logits: Tensor,  # (..., n_classes), contiguous; their gradient afterwards
    target: Tensor,  # (...) int64
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
    check_target: bool = True,
) -> Tensor:  # () or, for reduction "none", (...)
    """As `cross_entropy`, but the logits are gone: their gradient is written over them.

    The backward can run once. Autograd raises an error in a backward that saved the logits before,
    as tanh's saves its result, and in that of a first `cross_entropy_` if a second has written over
    the same memory. It does not see who reads the logits afterwards: another loss of them, or a
    print, gets the gradient.

    Raises:
        KernelInputError: as `cross_entropy`, or the logits are not contiguous, or, where gradients
            are recorded, a leaf that requires one or a view of such a leaf.
        SecondDerivativeError: in the backward, under create_graph=True.
        NoDeviceError: the tensors are on the CPU and Triton's interpreter is off.
    """
    require_logits_and_target("cross_entropy_", logits, target)
    LossOptions(ignore_index, label_smoothing, z_loss, reduction).require("cross_entropy_")
    require_flag("cross_entropy_", "check_target", check_target)
    if not logits.is_contiguous():
        raise KernelInputError(
            f"cross_entropy_: logits has strides {logits.stride()}, expected contiguous, since it "
            "is written over"
        )
    _require_no_leaf(logits)
    refuse_transforms("cross_entropy_", logits)
    options = (ignore_index, float(label_smoothing), float(z_loss), reduction, check_target)
    loss: Tensor = _InPlace.apply(logits, target, *options)  # type: ignore[no-untyped-call]
    return loss


def _require_no_leaf(logits: Tensor) -> None:
    """Else a parameter and its gradient would be the same memory."""
    tensors = [logits] if logits._base is None else [logits, logits._base]
    if torch.is_grad_enabled() and any(t.is_leaf and t.requires_grad for t in tensors):
        raise KernelInputError(
            "cross_entropy_: logits is a leaf that requires a gradient, or a view of one, expected "
            "the result of an op, since the gradient is written over it"
        )
