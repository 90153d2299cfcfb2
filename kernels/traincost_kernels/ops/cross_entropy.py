"""Cross-entropy of logits and class indices, with label smoothing and z-loss.

    lse  = log Σ exp(x)                                 over the last dimension, the V classes
    loss = (1 - e) (lse - x[t]) + e (lse - mean(x)) + z lse²    e: label smoothing, z: of the z-loss
    dx[j] = dloss · (softmax(x)[j] (1 + 2 z lse) - e / V - (1 - e) [j = t])

Shapes: logits (..., V), target (...) int64. dtypes of the logits: bf16, fp16, fp32, fp64; computed
in fp32 (fp64 for fp64). The loss is fp32 (fp64 for fp64): a mean rounded to bf16 has 3 digits.
Saves the logits and 8 bytes a row.

Bytes an element in 2-byte dtypes: forward 2 (logits), backward 4 (logits, gradient), 6 in all. The
gradient is computed in the backward, where the gradient of the loss is known: writing it in the
forward and scaling it in the backward would move 6 and 4. Eager with its upcast to fp32 moves 18
and 26. Strided tensors are copied first.

Sources: Szegedy et al., arXiv 1512.00567 (label smoothing); Chowdhery et al., PaLM, arXiv
2204.02311 (z-loss); Milakov and Gimelshein, arXiv 1805.02867 (the running maximum).
"""

from typing import Any

import torch
from torch import Tensor

from traincost_kernels import losses
from traincost_kernels.checks import require_flag
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import run
from traincost_kernels.losses import LossOptions, require_classes, require_logits_and_target
from traincost_kernels.row_tiling import accumulator_dtype


@torch.library.custom_op("traincost::cross_entropy", mutates_args=())
def _cross_entropy(
    logits: Tensor,
    target: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
    check_target: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    logits, target = logits.contiguous(), target.contiguous()
    if check_target:
        require_classes("cross_entropy", target, logits.shape[-1], ignore_index)
    options = LossOptions(ignore_index, label_smoothing, z_loss, reduction)
    row_loss, top, log_sum = (_row(logits) for _ in range(3))
    count = _number(logits)
    loss = None if reduction == "none" else _number(logits)
    launches = losses.forward_launches(logits, target, row_loss, top, log_sum, loss, count, options)
    run("cross_entropy", launches)
    return row_loss if loss is None else loss, top, log_sum, count


@torch.library.custom_op("traincost::cross_entropy_backward", mutates_args=())
def _cross_entropy_backward(
    logits: Tensor,
    target: Tensor,
    top: Tensor,
    log_sum: Tensor,
    count: Tensor,
    dloss: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
) -> Tensor:
    logits, target, dloss = logits.contiguous(), target.contiguous(), dloss.contiguous()
    options = LossOptions(ignore_index, label_smoothing, z_loss, reduction)
    dlogits = torch.empty_like(logits)
    launches = losses.backward_launches(
        logits, target, top, log_sum, dloss, count, dlogits, options
    )
    run("cross_entropy", launches)
    return dlogits


def _row(logits: Tensor) -> Tensor:
    return logits.new_empty(logits.shape[:-1], dtype=accumulator_dtype(logits))


def _number(logits: Tensor) -> Tensor:
    return logits.new_empty((), dtype=accumulator_dtype(logits))


@_cross_entropy.register_fake
def _(
    logits: Tensor,
    target: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
    check_target: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    loss = _row(logits) if reduction == "none" else _number(logits)
    return loss, _row(logits), _row(logits), _number(logits)


@_cross_entropy_backward.register_fake
def _(
    logits: Tensor,
    target: Tensor,
    top: Tensor,
    log_sum: Tensor,
    count: Tensor,
    dloss: Tensor,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
) -> Tensor:
    return torch.empty_like(logits, memory_format=torch.contiguous_format)


def _save(
    ctx: Any,
    inputs: tuple[Tensor, Tensor, int, float, float, str, bool],
    output: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    logits, target, *options, _ = inputs
    ctx.options = options
    ctx.save_for_backward(logits, target, *output[1:])


def _differentiate(ctx: Any, dloss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    dlogits = _cross_entropy_backward(*ctx.saved_tensors, dloss, *ctx.options)
    return dlogits, None, None, None, None, None, None


register_derivative("cross_entropy", _cross_entropy, _differentiate, _save, _cross_entropy_backward)
register_flops("cross_entropy")
register_flops("cross_entropy_backward")


def cross_entropy(
    logits: Tensor,  # (..., n_classes)
    target: Tensor,  # (...) int64
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
    check_target: bool = True,
) -> Tensor:  # () or, for reduction "none", (...)
    """Cross-entropy between the softmax of the logits and the target classes, plus z · lse².

    Args:
        logits: unnormalised log-probabilities; the last dimension is the classes.
        target: indices of classes.
        ignore_index: rows with this target have loss and gradient 0 and do not count in the mean.
        label_smoothing: share of the target that is spread over all classes, from 0 to 1.
        z_loss: weight of the squared log-sum-exp, which keeps logits from drifting.
        reduction: "mean" over the rows that are not ignored (NaN if all are), "sum" or "none".
        check_target: look for wrong indices first. On a GPU this waits for the target. Without,
            and while a CUDA graph is captured, a row with a wrong index has the loss NaN.

    Returns:
        The loss in fp32 (fp64 for fp64).

    Raises:
        KernelInputError: a dtype, device, shape or option is wrong, or the target has an index that
            is neither a class nor `ignore_index`.
        NoDeviceError: the tensors are on the CPU and Triton's interpreter is off.
    """
    require_logits_and_target("cross_entropy", logits, target)
    LossOptions(ignore_index, label_smoothing, z_loss, reduction).require("cross_entropy")
    require_flag("cross_entropy", "check_target", check_target)
    refuse_transforms("cross_entropy", logits)
    options = (ignore_index, float(label_smoothing), float(z_loss), reduction, check_target)
    loss, _, _, _ = _cross_entropy(logits.contiguous(), target.contiguous(), *options)
    return loss
