"""One row of cross-entropy: its loss, its gradient, or zeros, in tiles of 16-byte chunks.

With x the logits of a row, t its target, V the number of classes, e the label smoothing, z the
weight of the z-loss, m = max(x), s = log Σ exp(x - m) and lse = m + s:

    loss  = (1 - e) (lse - x[t]) + e (lse - mean(x)) + z lse²
    dx[j] = exp(x[j] - m - s) (1 + 2 z lse) - e / V - (1 - e) [j = t]

m and s are kept apart and differences of logits taken first: where all logits are large, lse has
lost the digits that matter. A running maximum and a running sum of exponentials are kept for each
chunk of a tile, not each element: one exponential an element and one a chunk. A chunk that has met
nothing but -inf has maximum -inf, and its exponentials are taken from 0, so that they are 0 and not
NaN; elements that a row does not have count as -inf. A row of nothing but -inf gives NaN in the
end, as in eager. NaN and +inf make the sum NaN, and all of the row with it.

Rows of odd length: see `rows`. A target that is no class reads nothing and makes its loss NaN.
"""

import triton
import triton.language as tl

from traincost_kernels.rows import body_chunks, body_start, edge_columns
from traincost_kernels.tiling import widen


@triton.jit
def row_body(
    row: tl.tensor, n_cols: tl.tensor, VEC: tl.constexpr, ALIGNED: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Of the body of a row: the offset of its start, its first column, its number of chunks."""
    start = body_start(row, n_cols, VEC, ALIGNED)
    lead = (start - row * n_cols).to(tl.int32)
    return start, lead, body_chunks(lead, n_cols, VEC)


@triton.jit
def _load_logits(ptr: tl.tensor, offsets: tl.tensor, mask: tl.tensor) -> tl.tensor:
    return widen(tl.load(ptr + offsets, mask=mask, other=-float("inf")))


@triton.jit
def _finite_from(top: tl.tensor) -> tl.tensor:
    """What to take exponentials from, given a maximum: 0 in the place of -inf."""
    return tl.where(top == -float("inf"), 0.0, top)


@triton.jit
def _statistics(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    row: tl.tensor,
    n_cols: tl.tensor,
    pivot: tl.tensor,
    like_ptr: tl.tensor,
    SMOOTHED: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """The maximum m of a row, s, and the sum of x - pivot (0 unless SMOOTHED)."""
    start, lead, n_chunks = row_body(row, n_cols, VEC, ALIGNED)  # pyright: ignore
    chunk = tl.arange(0, BLOCK // VEC)
    top = tl.full([BLOCK // VEC], -float("inf"), like_ptr.dtype.element_ty)
    sums = tl.zeros_like(top)
    shifted = tl.zeros_like(top)
    for first in tl.range(0, n_chunks, BLOCK // VEC, num_stages=STAGES):
        in_body = (first + chunk < n_chunks)[:, None]
        offsets = start + ((first + chunk) * VEC)[:, None] + tl.arange(0, VEC)[None, :]
        x = _load_logits(x_ptr, offsets, in_body)
        new_top = tl.maximum(top, tl.max(x, 1))
        origin = _finite_from(new_top)
        sums = sums * tl.exp(top - origin) + tl.sum(tl.exp(x - origin[:, None]), 1)
        top = new_top
        if SMOOTHED:
            shifted += tl.sum(tl.where(in_body, x - pivot, 0.0), 1)

    row_top = tl.max(top, 0)
    if not ALIGNED:
        col, in_edge = edge_columns(lead, n_cols, VEC)
        x = _load_logits(x_ptr, row * n_cols + col, in_edge)
        row_top = tl.maximum(row_top, tl.max(tl.max(x, 1), 0))
        origin = _finite_from(row_top)
        total = tl.sum(tl.sum(tl.exp(x - origin), 1), 0) + tl.sum(sums * tl.exp(top - origin), 0)
        shifted_sum = tl.sum(shifted, 0)
        shifted_sum += tl.sum(tl.sum(tl.where(in_edge, x - pivot, 0.0), 1), 0)
    else:
        origin = _finite_from(row_top)
        total = tl.sum(sums * tl.exp(top - origin), 0)
        shifted_sum = tl.sum(shifted, 0)
    return origin, tl.log(total), shifted_sum


@triton.jit
def row_loss(
    x_ptr: tl.tensor,
    row: tl.tensor,
    n_cols: tl.tensor,
    target: tl.tensor,
    smoothing: tl.tensor,
    z_loss: tl.tensor,
    like_ptr: tl.tensor,
    SMOOTHED: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """The loss of a row, and its m and s."""
    exists = (target >= 0) & (target < n_cols)
    chosen = widen(tl.load(x_ptr + row * n_cols + target, mask=exists, other=float("nan")))
    pivot = tl.where(tl.abs(chosen) < float("inf"), chosen, 0.0)
    statistics = _statistics(
        x_ptr, row, n_cols, pivot, like_ptr, SMOOTHED, BLOCK, VEC, ALIGNED, STAGES
    )
    top, log_sum = statistics[0], statistics[1]
    loss = log_sum + (top - chosen)
    if SMOOTHED:
        smoothed = log_sum + ((top - pivot) - statistics[2] / n_cols)
        loss = (1.0 - smoothing) * loss + smoothing * smoothed
    lse = top + log_sum
    return loss + z_loss * lse * lse, top, log_sum


@triton.jit
def _slopes(
    x: tl.tensor,
    col: tl.tensor,
    n_cols: tl.tensor,
    target: tl.tensor,
    top: tl.tensor,
    log_sum: tl.tensor,
    scale: tl.tensor,
    smoothing: tl.tensor,
    z_loss: tl.tensor,
) -> tl.tensor:
    """Gradient of the loss by the logits x of columns `col`, times scale."""
    expected = smoothing / n_cols + tl.where(col == target, 1.0 - smoothing, 0.0)
    softmax = tl.exp((x - top) - log_sum)
    return scale * (softmax * (1.0 + 2.0 * z_loss * (top + log_sum)) - expected)


@triton.jit
def write_gradient(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    dx_ptr: tl.tensor,  # (n_rows, n_cols), may be x_ptr
    row: tl.tensor,
    n_cols: tl.tensor,
    target: tl.tensor,
    top: tl.tensor,
    log_sum: tl.tensor,
    scale: tl.tensor,
    smoothing: tl.tensor,
    z_loss: tl.tensor,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """The gradient of a row, times scale."""
    start, lead, n_chunks = row_body(row, n_cols, VEC, ALIGNED)  # pyright: ignore
    chunk = tl.arange(0, BLOCK // VEC)
    for first in tl.range(0, n_chunks, BLOCK // VEC, num_stages=STAGES):
        in_body = (first + chunk < n_chunks)[:, None]
        lane = ((first + chunk) * VEC)[:, None] + tl.arange(0, VEC)[None, :]
        x = _load_logits(x_ptr, start + lane, in_body)
        dx = _slopes(x, lead + lane, n_cols, target, top, log_sum, scale, smoothing, z_loss)
        tl.store(dx_ptr + start + lane, dx, mask=in_body)
    if not ALIGNED:
        col, in_edge = edge_columns(lead, n_cols, VEC)
        x = _load_logits(x_ptr, row * n_cols + col, in_edge)
        dx = _slopes(x, col, n_cols, target, top, log_sum, scale, smoothing, z_loss)
        tl.store(dx_ptr + row * n_cols + col, dx, mask=in_edge)


@triton.jit
def write_zeros(
    dx_ptr: tl.tensor,
    row: tl.tensor,
    n_cols: tl.tensor,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
) -> None:
    """A row of zeros."""
    start, lead, n_chunks = row_body(row, n_cols, VEC, ALIGNED)  # pyright: ignore
    chunk = tl.arange(0, BLOCK // VEC)
    zeros = tl.zeros([BLOCK // VEC, VEC], tl.float32)
    for first in tl.range(0, n_chunks, BLOCK // VEC):
        in_body = (first + chunk < n_chunks)[:, None]
        offsets = start + ((first + chunk) * VEC)[:, None] + tl.arange(0, VEC)[None, :]
        tl.store(dx_ptr + offsets, zeros, mask=in_body)
    if not ALIGNED:
        col, in_edge = edge_columns(lead, n_cols, VEC)
        tl.store(dx_ptr + row * n_cols + col, tl.zeros([1, 2 * VEC], tl.float32), mask=in_edge)
