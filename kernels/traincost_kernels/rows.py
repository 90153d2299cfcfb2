"""Addressing of rows: 16-byte access to every row, those of odd length included.

A row kernel reads rows of `n_cols` elements that lie end to end. Where `n_cols` is a multiple
of the elements in 16 bytes (`VEC`), every row starts on a 16-byte boundary and is read in whole
chunks: `ALIGNED`. Otherwise a row starts anywhere, and splits into

    head: up to the next 16-byte boundary        fewer than VEC elements
    body: whole chunks of VEC elements           16-byte access
    tail: what is left                           fewer than VEC elements

Head and tail together are the *edge* of the row, one tile of `2 * VEC` elements that are loaded
and stored one by one. Masks of the body are in units of chunks, so that they don't split an access.
Nothing outside the row is ever read or written. `lead` is the length of the head, and so the
column in which the body starts.

What belongs to columns (weights, biases, a mask shared by all rows) cannot be on a 16-byte boundary
together with an unaligned row; it stays in the cache and is read element by element there.

Tiles are (ROWS, BLOCK): several short rows, or one long one.
"""

import triton
import triton.language as tl

from traincost_kernels.tiling import widen


@triton.jit
def body_start(
    rows: tl.tensor, n_cols: tl.tensor, VEC: tl.constexpr, ALIGNED: tl.constexpr
) -> tl.tensor:
    """Offset of the body of each row, a multiple of VEC that the compiler can see."""
    if ALIGNED:
        return rows * (n_cols // VEC) * VEC
    else:
        return (rows * n_cols + (VEC - 1)) // VEC * VEC


@triton.jit
def body_lead(
    rows: tl.tensor, n_cols: tl.tensor, VEC: tl.constexpr, ALIGNED: tl.constexpr
) -> tl.tensor:
    """Column in which the body of each row starts."""
    lead = tl.zeros_like(rows)
    if not ALIGNED:
        start = rows * n_cols
        lead = (start + (VEC - 1)) // VEC * VEC - start
    return lead.to(tl.int32)


@triton.jit
def body_chunks(lead: tl.tensor, n_cols: tl.tensor, VEC: tl.constexpr) -> tl.tensor:
    """Whole chunks of VEC elements in the body of each row."""
    return tl.maximum(n_cols - lead, 0) // VEC


@triton.jit
def rows_of_program(
    n_rows: tl.tensor,
    n_cols: tl.tensor,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """Of a program that holds ROWS whole rows: its rows, and which of them there are, (ROWS,).

    And of their body the first column, (ROWS, 1), the lanes, (1, BLOCK), and the offsets and which
    of them exist, (ROWS, BLOCK).
    """
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    exists = rows < n_rows
    lead = body_lead(rows, n_cols, VEC, ALIGNED)[:, None]
    lane = tl.arange(0, BLOCK)[None, :]
    body = body_start(rows, n_cols, VEC, ALIGNED)[:, None] + lane
    in_body = (lane // VEC < body_chunks(lead, n_cols, VEC)) & exists[:, None]
    return rows, exists, lead, lane, body, in_body


@triton.jit
def row_of_program(
    n_cols: tl.tensor, VEC: tl.constexpr, ALIGNED: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """Of a program that loops over one row: the row, (1,), and its body.

    Of the body the first column, the number of chunks, and the offset of its start, all (1, 1).
    """
    row = tl.program_id(0).to(tl.int64) + tl.arange(0, 1)
    lead = body_lead(row, n_cols, VEC, ALIGNED)[:, None]
    start = body_start(row, n_cols, VEC, ALIGNED)[:, None]
    return row, lead, body_chunks(lead, n_cols, VEC), start


@triton.jit
def edge_columns(
    lead: tl.tensor, n_cols: tl.tensor, VEC: tl.constexpr
) -> tuple[tl.tensor, tl.tensor]:
    """Columns of head and tail, and which of them exist; `lead` is (ROWS, 1)."""
    lane = tl.arange(0, 2 * VEC)[None, :]
    in_head = lane < VEC
    tail = lead + body_chunks(lead, n_cols, VEC) * VEC
    cols = tl.where(in_head, lane, tail + (lane - VEC))
    return cols, cols < tl.where(in_head, tl.minimum(lead, n_cols), n_cols)


@triton.jit
def row_sum(tile: tl.tensor, ROWS: tl.constexpr) -> tl.tensor:
    """Sum of each row, (ROWS,); a single row's through a scalar, which ties no layouts together."""
    total = tl.sum(tile, 1)
    if ROWS == 1:
        total = tl.sum(total, 0) + tl.zeros([1], tile.dtype)
    return total


@triton.jit
def row_max(tile: tl.tensor, ROWS: tl.constexpr) -> tl.tensor:
    """Maximum of each row, (ROWS,); as :func:`row_sum`."""
    top = tl.max(tile, 1)
    if ROWS == 1:
        top = tl.max(top, 0) + tl.zeros([1], tile.dtype)
    return top


@triton.jit
def load(ptr: tl.tensor, offsets: tl.tensor, mask: tl.tensor) -> tl.tensor:
    """Load a tile, widened for computing, and 0 where masked."""
    return widen(tl.load(ptr + offsets, mask=mask, other=0.0))


@triton.jit
def load_columns(
    ptr: tl.tensor | None, cols: tl.tensor, mask: tl.tensor, ABSENT: tl.constexpr
) -> tl.tensor:
    """Parameters of columns (a weight, a bias), or ABSENT where there are none."""
    if ptr is None:
        return tl.full([1, 1], ABSENT, tl.float32)
    else:
        return load(ptr, cols, mask)
