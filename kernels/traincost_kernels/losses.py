"""What cross-entropy's two ops share: options, launchers, checks."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from traincost_kernels.checks import (
    require_between,
    require_choice,
    require_floating,
    require_shape,
    require_whole,
)
from traincost_kernels.cross_entropy_kernels import (
    cross_entropy_backward_kernel,
    cross_entropy_forward_kernel,
    scale_rows_kernel,
    sum_losses_kernel,
)
from traincost_kernels.errors import KernelInputError
from traincost_kernels.launch import Launch, bytes_of
from traincost_kernels.row_tiling import chunked_rows
from traincost_kernels.scalar import two_floats

REDUCTIONS = ("mean", "sum", "none")
STAGES = 3  # 32 KiB a program on their way
SUM_BLOCK = 4096
SUM_WARPS = 8


@dataclass(frozen=True)
class LossOptions:
    """The options of cross-entropy."""

    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    reduction: str = "mean"

    @property
    def numbers(self) -> tuple[int | float, ...]:
        """As the kernels take them."""
        return (self.ignore_index, *two_floats(self.label_smoothing), *two_floats(self.z_loss))

    def require(self, op: str) -> None:
        """Refuse what makes no sense."""
        require_whole(op, "ignore_index", self.ignore_index)
        require_between(op, "label_smoothing", self.label_smoothing, 0.0, 1.0)
        require_between(op, "z_loss", self.z_loss, 0.0, math.inf)
        require_choice(op, "reduction", self.reduction, REDUCTIONS)


def forward_launches(
    logits: Tensor,  # (..., n_cols)
    target: Tensor,  # (...)
    row_loss: Tensor,  # (...)
    top: Tensor,  # (...), the largest logit
    log_sum: Tensor,  # (...), the log-sum-exp of what the others are below it
    loss: Tensor | None,  # (); None for reduction "none"
    count: Tensor,  # ()
    options: LossOptions,
) -> tuple[Launch, ...]:
    """Launches that fill the losses of the rows, top and log_sum, loss, and the count of rows."""
    rows = _rows_launch(
        *(logits, target, row_loss, top, log_sum, None, options),
        bytes_read=bytes_of(logits, target),
        bytes_written=bytes_of(row_loss, top, log_sum),
    )
    return rows, _sum_launch(row_loss, target, loss, count, options)


def backward_launches(
    logits: Tensor,  # (..., n_cols)
    target: Tensor,  # (...)
    top: Tensor,  # (...), the largest logit
    log_sum: Tensor,  # (...), the log-sum-exp of what the others are below it
    dloss: Tensor,  # () or, for reduction "none", (...)
    count: Tensor,  # ()
    dlogits: Tensor,  # as logits
    options: LossOptions,
) -> tuple[Launch, ...]:
    """Launches that fill dlogits."""
    tiling = chunked_rows(logits)
    divisor = count if options.reduction == "mean" else None
    return (
        Launch(
            kernel=cross_entropy_backward_kernel,
            grid=(tiling.n_rows,),
            arguments=(
                *(logits, target, top, log_sum, dloss, divisor, dlogits, tiling.n_cols),
                *options.numbers,
            ),
            constants={
                **tiling.addressing,
                "STAGES": STAGES,
                "PER_ROW": options.reduction == "none",
            },
            num_warps=tiling.num_warps,
            bytes_read=bytes_of(logits, target, top, log_sum, dloss, divisor),
            bytes_written=bytes_of(dlogits),
        ),
    )


def in_place_launches(
    logits: Tensor,  # (..., n_cols), becomes the gradient
    target: Tensor,  # (...)
    row_loss: Tensor,  # (...)
    loss: Tensor | None,  # (); None for reduction "none"
    count: Tensor,  # ()
    options: LossOptions,
) -> tuple[Launch, ...]:
    """Launches that fill the losses and the count, and write the gradient over the logits."""
    divisor = count if options.reduction == "mean" else None
    rows = _rows_launch(
        *(logits, target, row_loss, None, None, divisor, options),
        bytes_read=2 * bytes_of(logits) + bytes_of(target, divisor),
        bytes_written=bytes_of(logits, row_loss),
    )
    counting = _sum_launch(None, target, None, count, options)
    summing = _sum_launch(row_loss, target, loss, count, options)
    return (counting, rows) if loss is None else (counting, rows, summing)


def _rows_launch(
    logits: Tensor,
    target: Tensor,
    row_loss: Tensor,
    top: Tensor | None,
    log_sum: Tensor | None,
    divisor: Tensor | None,
    options: LossOptions,
    *,
    bytes_read: int,
    bytes_written: int,
) -> Launch:
    tiling = chunked_rows(logits)
    of_targets = tiling.n_rows * logits.element_size()  # the targets' logits, a second time
    return Launch(
        kernel=cross_entropy_forward_kernel,
        grid=(tiling.n_rows,),
        arguments=(
            *(logits, target, row_loss, top, log_sum, divisor, tiling.n_cols),
            *options.numbers,
        ),
        constants={
            **tiling.addressing,
            "STAGES": STAGES,
            "SMOOTHED": options.label_smoothing > 0,
        },
        num_warps=tiling.num_warps,
        bytes_read=bytes_read + of_targets,
        bytes_written=bytes_written,
    )


def scale_launches(
    x: Tensor,  # (..., n_cols)
    factor: Tensor,  # () or (...)
    target: Tensor,  # (...)
    ignore_index: int,
) -> tuple[Launch, ...]:
    """Launches that multiply x in place; they move nothing of ignored rows and where it is 1."""
    tiling = chunked_rows(x)
    return (
        Launch(
            kernel=scale_rows_kernel,
            grid=(tiling.n_rows,),
            arguments=(x, factor, target, tiling.n_cols, ignore_index),
            constants={**tiling.addressing, "STAGES": STAGES, "PER_ROW": factor.dim() > 0},
            num_warps=tiling.num_warps,
            bytes_read=bytes_of(x, factor, target),
            bytes_written=bytes_of(x),
        ),
    )


def _sum_launch(
    row_loss: Tensor | None,
    target: Tensor,
    loss: Tensor | None,
    count: Tensor,
    options: LossOptions,
) -> Launch:
    rows = row_loss if loss is not None else None
    return Launch(
        kernel=sum_losses_kernel,
        grid=(1,),
        arguments=(rows, target, loss, count, target.numel(), options.ignore_index),
        constants={"MEAN": options.reduction == "mean", "BLOCK": SUM_BLOCK},
        num_warps=SUM_WARPS,
        bytes_read=bytes_of(rows, target),
        bytes_written=bytes_of(loss, count),
    )


def require_logits_and_target(op: str, logits: Tensor, target: Tensor) -> None:
    """Refuse wrong dtypes, devices and shapes; what is in the target: `require_classes`."""
    require_floating(op, "logits", logits)
    if logits.dim() == 0:
        raise KernelInputError(
            f"{op}: logits has shape (), expected at least one dimension, the classes"
        )
    if logits.shape[-1] == 0:
        raise KernelInputError(
            f"{op}: logits has shape {tuple(logits.shape)}, expected at least one class, its last "
            "dimension"
        )
    if not isinstance(target, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise KernelInputError(f"{op}: target is {type(target).__name__}, expected a tensor")
    if target.dtype != torch.int64:
        raise KernelInputError(f"{op}: target has dtype {target.dtype}, expected torch.int64")
    if target.device != logits.device:
        raise KernelInputError(
            f"{op}: target is on {target.device}, expected {logits.device}, where logits is"
        )
    reason = "the shape of logits without its last dimension"
    require_shape(op, "target", target, logits.shape[:-1], reason)


def require_classes(op: str, target: Tensor, n_classes: int, ignore_index: int) -> None:
    """Refuse a target that is neither a class nor ignored. On a GPU this waits for the target.

    While a CUDA graph is captured nothing is looked at: waiting would end the capture, and later
    replays have other targets. The loss of a wrong row is NaN there, as without the check.
    """
    if is_capturing(target):
        return
    wrong = ((target < 0) | (target >= n_classes)) & (target != ignore_index)
    if bool(wrong.any()):
        raise KernelInputError(
            f"{op}: target has the index {target[wrong][0].item()}, expected from 0 to "
            f"{n_classes - 1}, or {ignore_index}, which is ignored"
        )


def is_capturing(target: Tensor) -> bool:
    """Whether what is asked of the target's device now goes into a CUDA graph."""
    return target.device.type == "cuda" and torch.cuda.is_current_stream_capturing()
