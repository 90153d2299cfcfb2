"""How row kernels cut rows into tiles: by the length of the row and its dtype, nothing else.

Found by ahead-of-time compilation for sm_80, sm_90 and sm_100: 16 accumulators of fp32 a thread and
tensor keep every kernel below 128 registers, so that 16 warps fit an SM, without spills.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from traincost_kernels.tiling import ACCESS_BYTES, THREADS_PER_WARP, ceil_divide

ACCUMULATOR_BYTES_A_THREAD = 64  # of one tensor: 16 in fp32
MAX_WARPS = 16
SHORT_ROWS_WARPS = 4
MIN_BLOCK = 16
SMS_ELSEWHERE = 132  # an H100's, for tensors that are not on a GPU
LOOPED_WARPS = 8
CHUNKED_WARP_BYTES = 2 * ACCESS_BYTES * THREADS_PER_WARP


@dataclass(frozen=True)
class RowTiling:
    """A tile is (rows, block); what is constant about the addresses: see `rows`."""

    n_rows: int
    n_cols: int
    rows: int
    block: int
    vec: int  # elements in 16 bytes
    aligned: bool  # every row starts on 16 bytes
    num_warps: int

    @property
    def n_tiles(self) -> int:
        """Tiles of rows."""
        return ceil_divide(self.n_rows, self.rows)

    @property
    def addressing(self) -> dict[str, object]:
        """The constexprs that every row kernel has."""
        return {"BLOCK": self.block, "VEC": self.vec, "ALIGNED": self.aligned}


def rows_and_cols(x: Tensor) -> tuple[int, int]:
    """Rows and length of a row, the last dimension; a scalar is a row of one."""
    n_cols = x.shape[-1] if x.dim() else 1
    return (x.numel() // n_cols if n_cols else 0), n_cols


def accumulator_dtype(x: Tensor) -> torch.dtype:
    """What sums over x are kept in."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def whole_rows(x: Tensor, short_tile: int, short_warps: int = SHORT_ROWS_WARPS) -> RowTiling:
    """Tiles of whole rows: several where they are shorter than `short_tile` fp32 accumulators."""
    _, n_cols = rows_and_cols(x)
    size = accumulator_dtype(x).itemsize
    block = max(MIN_BLOCK, next_power_of_two(n_cols))
    rows = max(1, short_tile * 4 // (block * size))
    warps = block * size // (ACCUMULATOR_BYTES_A_THREAD * THREADS_PER_WARP)
    return _tiling(x, rows, block, min(max(warps, short_warps), MAX_WARPS))


def looped_rows(x: Tensor, share: int = 1) -> RowTiling:
    """Tiles of one row that a program loops over: 16 KiB of accumulators, or that over `share`."""
    threads = LOOPED_WARPS * THREADS_PER_WARP
    block = threads * ACCUMULATOR_BYTES_A_THREAD // accumulator_dtype(x).itemsize
    return _tiling(x, 1, block // share, LOOPED_WARPS)


def column_tiles(x: Tensor) -> RowTiling:
    """Tiles of one row that programs share: 8 KiB of accumulators."""
    warps = SHORT_ROWS_WARPS
    block = warps * THREADS_PER_WARP * ACCUMULATOR_BYTES_A_THREAD
    return _tiling(x, 1, block // accumulator_dtype(x).itemsize, warps)


def _tiling(x: Tensor, rows: int, block: int, num_warps: int) -> RowTiling:
    n_rows, n_cols = rows_and_cols(x)
    vec = ACCESS_BYTES // x.element_size()
    return RowTiling(n_rows, n_cols, rows, block, vec, n_cols % vec == 0, num_warps)


def next_power_of_two(value: int) -> int:
    """The least power of two that is not below `value`."""
    return 1 << max(value - 1, 0).bit_length()


def sm_count(device: torch.device) -> int:
    """Streaming multiprocessors of the device."""
    return _cuda_sm_count(device) if device.type == "cuda" else SMS_ELSEWHERE


@cache
def _cuda_sm_count(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def chunked_rows(x: Tensor) -> RowTiling:
    """Tiles of one row in chunks of 16 bytes, two a thread: to 16 KiB, 16 warps."""
    _, n_cols = rows_and_cols(x)
    size = x.element_size()
    block = min(next_power_of_two(n_cols) * size, MAX_WARPS * CHUNKED_WARP_BYTES)
    block = max(block, THREADS_PER_WARP * ACCESS_BYTES)
    return _tiling(x, 1, block // size, max(1, block // CHUNKED_WARP_BYTES))
