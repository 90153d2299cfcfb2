"""Kernels of cross-entropy, functional and in place: a row of logits a program.

The mathematics of a row: see `cross_entropy_rows`. An ignored row is not read; its loss and
gradient are 0.
"""

from typing import Any

import triton
import triton.language as tl

from traincost_kernels.cross_entropy_rows import row_body, row_loss, write_gradient, write_zeros
from traincost_kernels.rows import edge_columns
from traincost_kernels.scalar import joined
from traincost_kernels.tiling import widen


def _name(specialization: Any) -> str:
    """That of the op; an argument that is None is a constant."""
    is_in_place = "top_ptr" in specialization.constants
    return f"cross_entropy_{'in_place' if is_in_place else 'forward'}_kernel"


@triton.jit
def _factor(ptr: tl.tensor, row: tl.tensor, PER_ROW: tl.constexpr) -> tl.tensor:
    if PER_ROW:
        return tl.load(ptr + row)
    else:
        return tl.load(ptr)


@triton.jit(repr=_name)
def cross_entropy_forward_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    target_ptr: tl.tensor,  # (n_rows,)
    loss_ptr: tl.tensor,  # (n_rows,)
    top_ptr: tl.tensor | None,  # (n_rows,) m; None: the gradient is written over the logits
    log_sum_ptr: tl.tensor,  # (n_rows,) s, or None
    count_ptr: tl.tensor,  # () or None: what the gradient written over the logits is divided by
    n_cols: tl.tensor,
    ignore_index: tl.tensor,
    smoothing: tl.tensor,
    smoothing_low: tl.tensor,
    z_loss: tl.tensor,
    z_loss_low: tl.tensor,
    SMOOTHED: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """The loss of a row, and what its gradient needs, or the gradient, for a second reading."""
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(target_ptr + row)
    if target != ignore_index:
        e = joined(smoothing, smoothing_low, loss_ptr)
        z = joined(z_loss, z_loss_low, loss_ptr)
        loss, top, log_sum = row_loss(
            x_ptr, row, n_cols, target, e, z, loss_ptr, SMOOTHED, BLOCK, VEC, ALIGNED, STAGES
        )
        tl.store(loss_ptr + row, loss)
        if top_ptr is None:
            scale = tl.full([], 1.0, loss_ptr.dtype.element_ty)
            if count_ptr is not None:
                scale = scale / tl.load(count_ptr)
            tl.debug_barrier()  # every thread has read the target's logit
            write_gradient(
                x_ptr, x_ptr, row, n_cols, target, top, log_sum, scale, e, z,
                BLOCK, VEC, ALIGNED, STAGES,
            )  # fmt: skip
        else:
            tl.store(top_ptr + row, top)
            tl.store(log_sum_ptr + row, log_sum)
    else:
        tl.store(loss_ptr + row, 0.0)
        if top_ptr is None:
            write_zeros(x_ptr, row, n_cols, BLOCK, VEC, ALIGNED)
        else:
            tl.store(top_ptr + row, 0.0)
            tl.store(log_sum_ptr + row, 0.0)


@triton.jit
def cross_entropy_backward_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    target_ptr: tl.tensor,  # (n_rows,)
    top_ptr: tl.tensor,  # (n_rows,) m
    log_sum_ptr: tl.tensor,  # (n_rows,) s
    dloss_ptr: tl.tensor,  # (n_rows,) if PER_ROW, else ()
    count_ptr: tl.tensor,  # () or None
    dx_ptr: tl.tensor,  # (n_rows, n_cols)
    n_cols: tl.tensor,
    ignore_index: tl.tensor,
    smoothing: tl.tensor,
    smoothing_low: tl.tensor,
    z_loss: tl.tensor,
    z_loss_low: tl.tensor,
    PER_ROW: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """The gradient of a row."""
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(target_ptr + row)
    if target != ignore_index:
        top, log_sum = tl.load(top_ptr + row), tl.load(log_sum_ptr + row)
        scale = _factor(dloss_ptr, row, PER_ROW)
        if count_ptr is not None:
            scale = scale / tl.load(count_ptr)
        e = joined(smoothing, smoothing_low, top_ptr)
        z = joined(z_loss, z_loss_low, top_ptr)
        write_gradient(
            x_ptr, dx_ptr, row, n_cols, target, top, log_sum, scale, e, z,
            BLOCK, VEC, ALIGNED, STAGES,
        )  # fmt: skip
    else:
        write_zeros(dx_ptr, row, n_cols, BLOCK, VEC, ALIGNED)


@triton.jit
def scale_rows_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    factor_ptr: tl.tensor,  # (n_rows,) if PER_ROW, else ()
    target_ptr: tl.tensor,  # (n_rows,)
    n_cols: tl.tensor,
    ignore_index: tl.tensor,
    PER_ROW: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """Multiply a row in place; by 1, or where it is ignored, nothing is read or written.

    An ignored row stays 0, whatever the factor: 0 · inf is none.
    """
    row = tl.program_id(0).to(tl.int64)
    factor = _factor(factor_ptr, row, PER_ROW)
    if (factor != 1.0) & (tl.load(target_ptr + row) != ignore_index):
        start, lead, n_chunks = row_body(row, n_cols, VEC, ALIGNED)  # pyright: ignore
        chunk = tl.arange(0, BLOCK // VEC)
        for first in tl.range(0, n_chunks, BLOCK // VEC, num_stages=STAGES):
            in_body = (first + chunk < n_chunks)[:, None]
            offsets = start + ((first + chunk) * VEC)[:, None] + tl.arange(0, VEC)[None, :]
            x = widen(tl.load(x_ptr + offsets, mask=in_body, other=0.0))
            tl.store(x_ptr + offsets, x * factor, mask=in_body)
        if not ALIGNED:
            col, in_edge = edge_columns(lead, n_cols, VEC)
            offsets = row * n_cols + col
            x = widen(tl.load(x_ptr + offsets, mask=in_edge, other=0.0))
            tl.store(x_ptr + offsets, x * factor, mask=in_edge)


@triton.jit
def sum_losses_kernel(
    row_loss_ptr: tl.tensor,  # (n_rows,) or None
    target_ptr: tl.tensor,  # (n_rows,)
    loss_ptr: tl.tensor,  # () or None
    count_ptr: tl.tensor,  # ()
    n_rows: tl.tensor,
    ignore_index: tl.tensor,
    MEAN: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One program: the number of rows that are not ignored, and the sum or mean of their losses."""
    counts = tl.zeros([BLOCK], tl.int64)
    losses = tl.zeros([BLOCK], count_ptr.dtype.element_ty)
    for first in tl.range(0, n_rows, BLOCK):
        row = first + tl.arange(0, BLOCK)
        target = tl.load(target_ptr + row, mask=row < n_rows, other=ignore_index)
        counts += (target != ignore_index).to(tl.int64)
        if row_loss_ptr is not None:
            losses += tl.load(row_loss_ptr + row, mask=row < n_rows, other=0.0)
    count = tl.sum(counts, 0).to(count_ptr.dtype.element_ty)
    tl.store(count_ptr, count)
    if row_loss_ptr is not None:
        loss = tl.sum(losses, 0)
        tl.store(loss_ptr, loss / count if MEAN else loss)
