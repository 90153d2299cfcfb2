"""Forward kernels that RMSNorm and LayerNorm share.

    s     = x + residual                           (where there is a residual; rounded to x's dtype)
    d     = s - mean(s) (LayerNorm),  s (RMSNorm)
    rstd  = 1 / sqrt(mean(d^2) + eps)
    y     = d * rstd * weight + bias

Rows of up to 64 KiB of accumulators (16,384 in fp32) are held in registers and read once. Longer
rows are looped over twice: one extra read. LayerNorm's looped variance is Welford's, a running mean
and sum of squares for each lane, merged at the end.

LayerNorm's mean is two numbers: what fits the dtype, and the mean of what is left without it. One
number would round a large mean: at 1,000 standard deviations 2.5 times eager's error. A lane that
is looped over counts from its own first element for the same reason. One element of the row as the
pivot of all, the first say, fails where that one is an outlier: every other is rounded to the
outlier's last bit, at 20,000 columns 16 to 850 times eager's error.

``mean_ptr`` is None for RMSNorm, which chooses the formula.
"""

import triton
import triton.language as tl

from traincost_kernels.rows import (
    edge_columns,
    load,
    load_columns,
    row_of_program,
    row_sum,
    rows_of_program,
)
from traincost_kernels.scalar import joined
from traincost_kernels.tiling import widen


@triton.jit
def _read(
    x_ptr: tl.tensor,
    residual_ptr: tl.tensor | None,
    sum_ptr: tl.tensor,
    offsets: tl.tensor,
    mask: tl.tensor,
) -> tl.tensor:
    """X, or the sum with the residual, which is stored, and normalised as it was rounded."""
    x = tl.load(x_ptr + offsets, mask=mask, other=0.0)
    if residual_ptr is not None:
        residual = tl.load(residual_ptr + offsets, mask=mask, other=0.0)
        x = (widen(x) + widen(residual)).to(sum_ptr.dtype.element_ty)
        tl.store(sum_ptr + offsets, x, mask=mask)
    return widen(x)


@triton.jit
def _write(
    y_ptr: tl.tensor,
    offsets: tl.tensor,
    mask: tl.tensor,
    x_hat: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
) -> None:
    y = x_hat * weight + bias
    tl.store(y_ptr + offsets, y, mask=mask)


@triton.jit
def norm_forward_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    residual_ptr: tl.tensor,  # (n_rows, n_cols) or None
    weight_ptr: tl.tensor,  # (n_cols,) or None
    bias_ptr: tl.tensor,  # (n_cols,) or None
    y_ptr: tl.tensor,  # (n_rows, n_cols)
    sum_ptr: tl.tensor,  # (n_rows, n_cols) or None
    mean_ptr: tl.tensor,  # (n_rows,) or None
    rstd_ptr: tl.tensor,  # (n_rows,)
    n_rows: tl.tensor,
    n_cols: tl.tensor,
    eps: tl.tensor,
    eps_low: tl.tensor,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
) -> None:
    """ROWS whole rows a program, held in registers."""
    rows, exists, lead, lane, body, in_body = rows_of_program(
        n_rows, n_cols, ROWS, BLOCK, VEC, ALIGNED
    )  # pyright: ignore
    x = _read(x_ptr, residual_ptr, sum_ptr, body, in_body)
    if not ALIGNED:
        edge_cols, in_edge = edge_columns(lead, n_cols, VEC)
        edge = (rows * n_cols)[:, None] + edge_cols
        in_edge = in_edge & exists[:, None]
        edge_x = _read(x_ptr, residual_ptr, sum_ptr, edge, in_edge)

    if mean_ptr is not None:
        total = row_sum(x, ROWS)
        if not ALIGNED:
            total += row_sum(edge_x, ROWS)
        centre = total / n_cols
        x = tl.where(in_body, x - centre[:, None], 0.0)
        total = row_sum(x, ROWS)
        if not ALIGNED:
            edge_x = tl.where(in_edge, edge_x - centre[:, None], 0.0)
            total += row_sum(edge_x, ROWS)
        rest = total / n_cols
        tl.store(mean_ptr + rows, centre + rest, mask=exists)
        x = tl.where(in_body, x - rest[:, None], 0.0)
        if not ALIGNED:
            edge_x = tl.where(in_edge, edge_x - rest[:, None], 0.0)
    squares = row_sum(x * x, ROWS)
    if not ALIGNED:
        squares += row_sum(edge_x * edge_x, ROWS)
    rstd = 1.0 / tl.sqrt(squares / n_cols + joined(eps, eps_low, rstd_ptr))
    tl.store(rstd_ptr + rows, rstd, mask=exists)

    if ALIGNED:
        cols = lane
        in_cols = lane // VEC < n_cols // VEC
    else:
        cols = lead + lane
        in_cols = in_body
    weight = load_columns(weight_ptr, cols, in_cols, 1.0)
    bias = load_columns(bias_ptr, cols, in_cols, 0.0)
    _write(y_ptr, body, in_body, x * rstd[:, None], weight, bias)
    if not ALIGNED:
        weight = load_columns(weight_ptr, edge_cols, in_edge, 1.0)
        bias = load_columns(bias_ptr, edge_cols, in_edge, 0.0)
        _write(y_ptr, edge, in_edge, edge_x * rstd[:, None], weight, bias)


@triton.jit
def norm_forward_looped_kernel(  # noqa: C901 (the branches are constant)
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    residual_ptr: tl.tensor,  # (n_rows, n_cols) or None
    weight_ptr: tl.tensor,  # (n_cols,) or None
    bias_ptr: tl.tensor,  # (n_cols,) or None
    y_ptr: tl.tensor,  # (n_rows, n_cols)
    sum_ptr: tl.tensor,  # (n_rows, n_cols) or None
    mean_ptr: tl.tensor,  # (n_rows,) or None
    rstd_ptr: tl.tensor,  # (n_rows,)
    n_cols: tl.tensor,
    eps: tl.tensor,
    eps_low: tl.tensor,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """One row a program, read twice in tiles: statistics, then the result."""
    row, lead, chunks, start = row_of_program(n_cols, VEC, ALIGNED)  # pyright: ignore
    lane = tl.arange(0, BLOCK)[None, :]
    if not ALIGNED:
        edge_cols, in_edge = edge_columns(lead, n_cols, VEC)
        edge = (row * n_cols)[:, None] + edge_cols
        edge_x = _read(x_ptr, residual_ptr, sum_ptr, edge, in_edge)

    first = tl.zeros([1, BLOCK], rstd_ptr.dtype.element_ty)
    running_mean, squares = tl.zeros_like(first), tl.zeros_like(first)
    for tile in tl.range(0, tl.cdiv(n_cols, BLOCK), num_stages=STAGES):
        col = tile * BLOCK + lane
        in_body = col // VEC < chunks
        x = _read(x_ptr, residual_ptr, sum_ptr, start + col, in_body)
        if mean_ptr is None:
            squares += x * x
        else:
            first = tl.where(tile == 0, x, first)
            x -= first
            step = tl.where(in_body, x - running_mean, 0.0)
            running_mean += step / (tile + 1)
            squares += step * tl.where(in_body, x - running_mean, 0.0)

    if mean_ptr is None:
        total = row_sum(squares, 1)
        if not ALIGNED:
            total += row_sum(edge_x * edge_x, 1)
    else:
        # How many tiles had this lane in the body: the last one may not.
        count = tl.maximum((chunks * VEC - lane + BLOCK - 1) // BLOCK, 0).to(squares.dtype)
        total = row_sum(count * (first + running_mean), 1)
        if not ALIGNED:
            total += row_sum(edge_x, 1)
        centre = total / n_cols
        above = (first - centre[:, None]) + running_mean  # each lane's mean, above the centre
        total = row_sum(count * above, 1)
        if not ALIGNED:
            edge_x = tl.where(in_edge, edge_x - centre[:, None], 0.0)
            total += row_sum(edge_x, 1)
        rest = total / n_cols
        tl.store(mean_ptr + row, centre + rest)
        above -= rest[:, None]
        total = row_sum(squares + count * above * above, 1)
        if not ALIGNED:
            edge_x = tl.where(in_edge, edge_x - rest[:, None], 0.0)
            total += row_sum(edge_x * edge_x, 1)
    rstd = 1.0 / tl.sqrt(total / n_cols + joined(eps, eps_low, rstd_ptr))
    tl.store(rstd_ptr + row, rstd)

    if residual_ptr is None:
        again_ptr = x_ptr
    else:
        again_ptr = sum_ptr
        tl.debug_barrier()  # what other threads of this program have stored
    for tile in tl.range(0, tl.cdiv(n_cols, BLOCK), num_stages=STAGES):
        col = tile * BLOCK + lane
        in_body = col // VEC < chunks
        x = load(again_ptr, start + col, in_body)
        if mean_ptr is not None:
            x = (x - centre[:, None]) - rest[:, None]
        weight = load_columns(weight_ptr, lead + col, in_body, 1.0)
        bias = load_columns(bias_ptr, lead + col, in_body, 0.0)
        _write(y_ptr, start + col, in_body, x * rstd[:, None], weight, bias)
    if not ALIGNED:
        weight = load_columns(weight_ptr, edge_cols, in_edge, 1.0)
        bias = load_columns(bias_ptr, edge_cols, in_edge, 0.0)
        _write(y_ptr, edge, in_edge, edge_x * rstd[:, None], weight, bias)
