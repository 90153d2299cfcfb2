"""Kernels of softmax over rows, with a factor and a mask.

    s  = scale · x where the mask keeps it, else -inf
    y  = exp(s - max(s)) / Σ exp(s - max(s))
    dx = scale · y (dy - Σ dy y), 0 where masked

Rows of up to 64 KiB of accumulators are held in registers and read once, longer ones are looped
over twice. Addressing of rows: see `rows`. The mask is addressed by a row of its own
(`_mask_start`), so that one mask serves many rows, out of the cache. Where rows are not aligned it
is read byte by byte.

A row that is masked whole gives NaN, as in eager, and a gradient of 0. The backward takes it from y
alone that an element is masked (y is 0 there), and reads the mask in rows of NaN only.
"""

import triton
import triton.language as tl

from traincost_kernels.rows import (
    edge_columns,
    load,
    row_max,
    row_of_program,
    row_sum,
    rows_of_program,
)
from traincost_kernels.scalar import joined
from traincost_kernels.tiling import widen


@triton.jit
def _mask_start(
    rows: tl.tensor,
    n_cols: tl.tensor,
    n_middle: tl.tensor,
    n_inner: tl.tensor,
    outer_step: tl.tensor,
    middle_step: tl.tensor,
    inner_step: tl.tensor,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
) -> tl.tensor:
    """Where the mask's row of each row of x starts; the leading sizes of x: (_, middle, inner)."""
    outer = rows // n_inner // n_middle
    middle = rows // n_inner % n_middle
    row = outer * outer_step + middle * middle_step + rows % n_inner * inner_step
    if ALIGNED:
        return (row * (n_cols // VEC) * VEC)[:, None]
    else:
        return (row * n_cols)[:, None]


@triton.jit
def _kept(
    mask_ptr: tl.tensor | None, start: tl.tensor, cols: tl.tensor, exists: tl.tensor
) -> tl.tensor:
    """Which elements there are and the mask keeps; `start` is where its row starts."""
    if mask_ptr is None:
        return exists
    else:
        return exists & (tl.load(mask_ptr + start + cols, mask=exists, other=0) != 0)


@triton.jit
def _scaled(
    x_ptr: tl.tensor, offsets: tl.tensor, exists: tl.tensor, kept: tl.tensor, scale: tl.tensor
) -> tl.tensor:
    return tl.where(kept, load(x_ptr, offsets, exists) * scale, -float("inf"))


@triton.jit
def softmax_forward_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    mask_ptr: tl.tensor,  # (mask rows, n_cols) of bytes, or None
    y_ptr: tl.tensor,  # (n_rows, n_cols)
    n_rows: tl.tensor,
    n_cols: tl.tensor,
    n_middle: tl.tensor,
    n_inner: tl.tensor,
    outer_step: tl.tensor,
    middle_step: tl.tensor,
    inner_step: tl.tensor,
    scale: tl.tensor,
    scale_low: tl.tensor,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
) -> None:
    """ROWS whole rows a program, held in registers."""
    rows, exists, lead, lane, body, in_body = rows_of_program(
        n_rows, n_cols, ROWS, BLOCK, VEC, ALIGNED
    )  # pyright: ignore
    factor = joined(scale, scale_low, x_ptr)
    start = _mask_start(
        rows, n_cols, n_middle, n_inner, outer_step, middle_step, inner_step, VEC, ALIGNED
    )
    if ALIGNED:
        kept = _kept(mask_ptr, start, lane, in_body)
    else:
        kept = _kept(mask_ptr, start, lead + lane, in_body)
    s = _scaled(x_ptr, body, in_body, kept, factor)
    top = row_max(s, ROWS)
    if not ALIGNED:
        col, in_edge = edge_columns(lead, n_cols, VEC)
        in_edge = in_edge & exists[:, None]
        edge = (rows * n_cols)[:, None] + col
        edge_kept = _kept(mask_ptr, start, col, in_edge)
        edge_s = _scaled(x_ptr, edge, in_edge, edge_kept, factor)
        top = tl.maximum(top, row_max(edge_s, ROWS))
        edge_e = tl.exp(edge_s - top[:, None])
    e = tl.exp(s - top[:, None])
    total = row_sum(e, ROWS)
    if not ALIGNED:
        total += row_sum(edge_e, ROWS)
        tl.store(y_ptr + edge, edge_e / total[:, None], mask=in_edge)
    tl.store(y_ptr + body, e / total[:, None], mask=in_body)


@triton.jit
def softmax_forward_looped_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    mask_ptr: tl.tensor,  # (mask rows, n_cols) of bytes, or None
    y_ptr: tl.tensor,  # (n_rows, n_cols)
    n_cols: tl.tensor,
    n_middle: tl.tensor,
    n_inner: tl.tensor,
    outer_step: tl.tensor,
    middle_step: tl.tensor,
    inner_step: tl.tensor,
    scale: tl.tensor,
    scale_low: tl.tensor,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """One row a program, read twice in tiles. A lane that has met only -inf counts from 0."""
    row, lead, chunks, body = row_of_program(n_cols, VEC, ALIGNED)  # pyright: ignore
    lane = tl.arange(0, BLOCK)[None, :]
    factor = joined(scale, scale_low, x_ptr)
    start = _mask_start(
        row, n_cols, n_middle, n_inner, outer_step, middle_step, inner_step, VEC, ALIGNED
    )
    sums = widen(tl.zeros([1, BLOCK], x_ptr.dtype.element_ty))
    tops = sums - float("inf")
    for tile in tl.range(0, tl.cdiv(n_cols, BLOCK), num_stages=STAGES):
        col = tile * BLOCK + lane
        in_body = col // VEC < chunks
        kept = _kept(mask_ptr, start, lead + col, in_body)
        s = _scaled(x_ptr, body + col, in_body, kept, factor)
        new_tops = tl.maximum(tops, s)
        origin = tl.where(new_tops == -float("inf"), 0.0, new_tops)
        sums = sums * tl.exp(tops - origin) + tl.exp(s - origin)
        tops = new_tops
    top = row_max(tops, 1)
    if not ALIGNED:
        edge_col, in_edge = edge_columns(lead, n_cols, VEC)
        edge = (row * n_cols)[:, None] + edge_col
        edge_kept = _kept(mask_ptr, start, edge_col, in_edge)
        edge_s = _scaled(x_ptr, edge, in_edge, edge_kept, factor)
        top = tl.maximum(top, row_max(edge_s, 1))
    total = row_sum(sums * tl.exp(tops - top[:, None]), 1)[:, None]
    if not ALIGNED:
        edge_e = tl.exp(edge_s - top[:, None])
        total += row_sum(edge_e, 1)[:, None]
        tl.store(y_ptr + edge, edge_e / total, mask=in_edge)
    for tile in tl.range(0, tl.cdiv(n_cols, BLOCK), num_stages=STAGES):
        col = tile * BLOCK + lane
        in_body = col // VEC < chunks
        kept = _kept(mask_ptr, start, lead + col, in_body)
        s = _scaled(x_ptr, body + col, in_body, kept, factor)
        tl.store(y_ptr + body + col, tl.exp(s - top[:, None]) / total, mask=in_body)


@triton.jit
def _store_dx(
    dx_ptr: tl.tensor,
    offsets: tl.tensor,
    exists: tl.tensor,
    y: tl.tensor,
    dy: tl.tensor,
    dot: tl.tensor,
    mask_ptr: tl.tensor | None,
    start: tl.tensor,
    cols: tl.tensor,
    factor: tl.tensor,
) -> None:
    tl.store(dx_ptr + offsets, factor * (y * (dy - dot)), mask=exists)
    if mask_ptr is not None:
        is_nan = dot != dot
        if tl.max(tl.max(is_nan.to(tl.int32), 1), 0) > 0:
            tl.debug_barrier()  # other threads may have stored what is overwritten here
            dropped = tl.load(mask_ptr + start + cols, mask=exists & is_nan, other=1) == 0
            tl.store(dx_ptr + offsets, tl.zeros_like(y), mask=dropped & exists)


@triton.jit
def softmax_backward_kernel(
    y_ptr: tl.tensor,  # (n_rows, n_cols)
    mask_ptr: tl.tensor,  # (mask rows, n_cols) of bytes, or None
    dy_ptr: tl.tensor,  # (n_rows, n_cols)
    dx_ptr: tl.tensor,  # (n_rows, n_cols)
    n_rows: tl.tensor,
    n_cols: tl.tensor,
    n_middle: tl.tensor,
    n_inner: tl.tensor,
    outer_step: tl.tensor,
    middle_step: tl.tensor,
    inner_step: tl.tensor,
    scale: tl.tensor,
    scale_low: tl.tensor,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
) -> None:
    """ROWS whole rows a program, held in registers."""
    rows, exists, lead, lane, body, in_body = rows_of_program(
        n_rows, n_cols, ROWS, BLOCK, VEC, ALIGNED
    )  # pyright: ignore
    factor = joined(scale, scale_low, y_ptr)
    start = _mask_start(
        rows, n_cols, n_middle, n_inner, outer_step, middle_step, inner_step, VEC, ALIGNED
    )
    y, dy = load(y_ptr, body, in_body), load(dy_ptr, body, in_body)
    dot = row_sum(y * dy, ROWS)[:, None]
    if not ALIGNED:
        col, in_edge = edge_columns(lead, n_cols, VEC)
        in_edge = in_edge & exists[:, None]
        edge = (rows * n_cols)[:, None] + col
        edge_y, edge_dy = load(y_ptr, edge, in_edge), load(dy_ptr, edge, in_edge)
        dot += row_sum(edge_y * edge_dy, ROWS)[:, None]
        _store_dx(dx_ptr, edge, in_edge, edge_y, edge_dy, dot, mask_ptr, start, col, factor)
    _store_dx(dx_ptr, body, in_body, y, dy, dot, mask_ptr, start, lead + lane, factor)


@triton.jit
def softmax_backward_looped_kernel(
    y_ptr: tl.tensor,  # (n_rows, n_cols)
    mask_ptr: tl.tensor,  # (mask rows, n_cols) of bytes, or None
    dy_ptr: tl.tensor,  # (n_rows, n_cols)
    dx_ptr: tl.tensor,  # (n_rows, n_cols)
    n_cols: tl.tensor,
    n_middle: tl.tensor,
    n_inner: tl.tensor,
    outer_step: tl.tensor,
    middle_step: tl.tensor,
    inner_step: tl.tensor,
    scale: tl.tensor,
    scale_low: tl.tensor,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """One row a program, read twice in tiles."""
    row, lead, chunks, body = row_of_program(n_cols, VEC, ALIGNED)  # pyright: ignore
    lane = tl.arange(0, BLOCK)[None, :]
    factor = joined(scale, scale_low, y_ptr)
    start = _mask_start(
        row, n_cols, n_middle, n_inner, outer_step, middle_step, inner_step, VEC, ALIGNED
    )
    products = widen(tl.zeros([1, BLOCK], y_ptr.dtype.element_ty))
    for tile in tl.range(0, tl.cdiv(n_cols, BLOCK), num_stages=STAGES):
        col = tile * BLOCK + lane
        in_body = col // VEC < chunks
        products += load(y_ptr, body + col, in_body) * load(dy_ptr, body + col, in_body)
    dot = row_sum(products, 1)[:, None]
    if not ALIGNED:
        edge_col, in_edge = edge_columns(lead, n_cols, VEC)
        edge = (row * n_cols)[:, None] + edge_col
        edge_y, edge_dy = load(y_ptr, edge, in_edge), load(dy_ptr, edge, in_edge)
        dot += row_sum(edge_y * edge_dy, 1)[:, None]
        _store_dx(dx_ptr, edge, in_edge, edge_y, edge_dy, dot, mask_ptr, start, edge_col, factor)
    for tile in tl.range(0, tl.cdiv(n_cols, BLOCK), num_stages=STAGES):
        col = tile * BLOCK + lane
        in_body = col // VEC < chunks
        y, dy = load(y_ptr, body + col, in_body), load(dy_ptr, body + col, in_body)
        _store_dx(dx_ptr, body + col, in_body, y, dy, dot, mask_ptr, start, lead + col, factor)
