"""Matrices with a vector along their rows, cut so that any number of columns is read 16 bytes wide.

A row of 1,031 elements of 2 bytes starts at a 16-byte boundary only every 8th time, and a kernel
that walks rows would have to load element by element. So as many rows are put together as make a
multiple of 16 elements, a super-row: (n_rows, n_cols) is read as (n_super_rows, period) without
moving anything, period a multiple of n_cols and of 16. Every column of a super-row belongs to one
column of the matrix, so a program that keeps to a block of columns loads its part of the vector
once, and can add up its part of the vector's gradient over all its rows.

Where n_rows isn't a multiple of the rows put together, the last super-row is cut short: tiles that
lie inside the tensor go unmasked, and only the one across its end is masked by element.
"""

from dataclasses import dataclass
from math import gcd

import torch
import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.column_sums import column_sums_launch
from traincost_kernels.launch import Launch
from traincost_kernels.tiling import BY_16, ceil_divide, store_tile, widen

ALIGNMENT = 16  # elements; Triton knows of an integer argument only whether 16 divides it
WASTE = 1 / 16  # of the lanes of the last block of a super-row, at most, where that can be had
PROGRAMS = 2048  # two for each 4-warp slot of an H100 at 64 registers, about
FORWARD_TILES = 4  # a program's, at most: the vector is loaded once for so many
ONE_SUM_ROWS = 256  # partial sums of so many rows are added up in one launch instead of two
BACKWARD_TILES = 4  # a program's, at least: it stores a tile of partial sums, 4 bytes an element


@dataclass(frozen=True)
class SuperRows:
    """How a matrix is cut, from its shape alone, so that results don't depend on the device."""

    n_elements: int
    n_cols: int
    period: int  # elements in a super-row
    block: int  # columns of a tile
    n_groups: int  # of programs: group g has the super-rows g, g + n_groups, …

    @property
    def grid(self) -> tuple[int]:
        """One program a group and block of columns, those of one block being neighbours."""
        return (self.n_groups * ceil_divide(self.period, self.block),)

    @property
    def arguments(self) -> tuple[int, int, int, int]:
        """Arguments of a kernel: n_elements, n_cols, period, n_groups."""
        return (self.n_elements, self.n_cols, self.period, self.n_groups)

    @property
    def constants(self) -> dict[str, object]:
        """Constexprs of a kernel: BLOCK, and COLS_DIVISOR, a power of two that divides n_cols."""
        return {"BLOCK": self.block, "COLS_DIVISOR": gcd(self.n_cols, ALIGNMENT)}

    @property
    def rows_per_super_row(self) -> int:
        """Rows of the matrix in a super-row."""
        return self.period // self.n_cols


def rows_put_together(n_cols: int, block: int) -> int:
    """Rows in a super-row: the fewest that align, fill a block, and waste little of the last one.

    1 for 4,096 columns in blocks of 1,024, 4 for 768, 16 for 1,031, 1,024 for 1 column.
    """
    step = ALIGNMENT // gcd(ALIGNMENT, n_cols)
    first = ceil_divide(ceil_divide(block, n_cols), step) * step
    candidates = range(first, first + ALIGNMENT * step + 1, step)

    def waste(rows: int) -> float:
        return ceil_divide(rows * n_cols, block) * block / (rows * n_cols) - 1

    return next((rows for rows in candidates if waste(rows) <= WASTE), min(candidates, key=waste))


def cut(n_elements: int, n_cols: int, block: int, *, backward: bool, at_once: int = 1) -> SuperRows:
    """Cut a matrix of `n_elements` in rows of `n_cols` for a kernel with tiles of `block`.

    A program takes `at_once` super-rows in one step of its loop, and there is no more than a group
    for every step.
    """
    n_cols = max(n_cols, 1)
    period = rows_put_together(n_cols, block) * n_cols
    n_super_rows = ceil_divide(n_elements, period)
    most = max(1, PROGRAMS // ceil_divide(period, block))
    if backward:
        n_groups = min(ceil_divide(n_super_rows, max(BACKWARD_TILES, at_once)), most)
    else:
        n_steps = ceil_divide(n_super_rows, at_once)
        n_groups = max(ceil_divide(n_super_rows, FORWARD_TILES), min(n_steps, most))
    return SuperRows(n_elements, n_cols, period, block, n_groups)


def partial_sums(x: Tensor, rows: SuperRows) -> Tensor:  # (n_groups, period)
    """The buffer of the first stage of a gradient's column sums, fp64 for fp64, else fp32."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    return x.new_empty((rows.n_groups, rows.period), dtype=dtype)


def sum_launches(
    rows: SuperRows,
    partials: Tensor,  # (n_groups, period)
    sums: Tensor,  # (n_cols,)
) -> tuple[Launch, ...]:
    """Launches that add up the groups, then the rows of the super-row that this leaves.

    Few rows are added up at once, as rows of n_cols.
    """
    if sums.numel() == 0:  # rows of no columns, which are cut as if they had one
        return ()
    n_rows = rows.n_groups * rows.rows_per_super_row
    if 1 in (rows.n_groups, rows.rows_per_super_row) or n_rows <= ONE_SUM_ROWS:
        return (column_sums_launch(partials.view(-1, rows.n_cols), sums),)
    super_row = partials.new_empty((rows.rows_per_super_row, rows.n_cols))
    return (
        column_sums_launch(partials, super_row.view(-1)),
        column_sums_launch(super_row, sums),
    )


@triton.jit
def tiles_of_program(
    n_elements: tl.tensor, period: tl.tensor, n_groups: tl.tensor, BLOCK: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """Of this program: its group, the first column of its tiles, and how many columns they have.

    And how many super-rows reach to that column; 0 or less where none does.
    """
    group = tl.program_id(0) % n_groups
    first = (tl.program_id(0) // n_groups).to(tl.int64) * BLOCK
    n_block = tl.minimum(period - first, BLOCK).to(tl.int32)
    return group, first, n_block, tl.cdiv(n_elements - first, period).to(tl.int32)


@triton.jit
def store_partial_sums(
    ptr: tl.tensor,  # (n_groups, period)
    group: tl.tensor,
    period: tl.tensor,
    first: tl.tensor,
    sums: tl.tensor,
    n_block: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """A program's part of the partial sums."""
    start = group.to(tl.int64) * period + first
    store_tile(ptr + start, tl.arange(0, BLOCK), sums, n_block, BY_16)


@triton.jit
def load_vector(
    ptr: tl.tensor,  # (n_cols,)
    first: tl.tensor,  # column of a super-row
    n_cols: tl.tensor,
    COLS_DIVISOR: tl.constexpr,
    BLOCK: tl.constexpr,
) -> tl.tensor:
    """The elements of a vector along the rows that belong to the BLOCK columns from `first` on."""
    cols = ((first % n_cols).to(tl.int32) + tl.arange(0, BLOCK)) % n_cols
    cols = tl.max_contiguous(tl.multiple_of(cols, COLS_DIVISOR), COLS_DIVISOR)
    return widen(tl.load(ptr + cols))
