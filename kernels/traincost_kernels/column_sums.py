"""Sums of columns without atomics: the second stage of every gradient of a bias or a weight.

In the first stage each program adds up rows that the shape alone assigns to it, into its own row of
a buffer of partial sums. Here one program a block of columns adds those up in a fixed order. So the
result doesn't depend on which program ends first, and two runs agree to the bit.
"""

import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.launch import Launch, bytes_of
from traincost_kernels.tiling import ceil_divide

BLOCK_ROWS = 64
BLOCK_COLS = 32  # a cache line of fp32; small, so that narrow sums too have several programs
WARPS = 4


@triton.jit
def column_sums_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    sums_ptr: tl.tensor,  # (n_cols,)
    n_rows: tl.tensor,
    n_cols: tl.tensor,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLS: tl.constexpr,
) -> None:
    """A block of columns a program, all rows in order; the sum has the dtype of x until stored."""
    cols = tl.program_id(0) * BLOCK_COLS + tl.arange(0, BLOCK_COLS)
    kept = cols < n_cols
    total = tl.zeros((BLOCK_ROWS, BLOCK_COLS), dtype=x_ptr.dtype.element_ty)  # pyright: ignore
    for first in range(0, n_rows, BLOCK_ROWS):
        rows = first + tl.arange(0, BLOCK_ROWS)
        offsets = rows[:, None].to(tl.int64) * n_cols + cols[None, :]
        total += tl.load(x_ptr + offsets, mask=(rows < n_rows)[:, None] & kept[None, :], other=0.0)
    tl.store(sums_ptr + cols, tl.sum(total, axis=0), mask=kept)


def column_sums_launch(
    x: Tensor,  # (n_rows, n_cols), fp32 or fp64, contiguous
    sums: Tensor,  # (n_cols,), any floating dtype
) -> Launch:
    """The launch that fills `sums` with the sums of the columns of x; zeros where n_rows is 0."""
    n_rows, n_cols = x.shape
    return Launch(
        kernel=column_sums_kernel,
        grid=(ceil_divide(n_cols, BLOCK_COLS),),
        arguments=(x, sums, n_rows, n_cols),
        constants={"BLOCK_ROWS": BLOCK_ROWS, "BLOCK_COLS": BLOCK_COLS},
        num_warps=WARPS,
        bytes_read=bytes_of(x),
        bytes_written=bytes_of(sums),
    )
