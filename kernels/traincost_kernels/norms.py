"""Launchers that RMSNorm and LayerNorm share: which kernels, which tiles, how many bytes.

Reads of each element of x (and of dy in the backward):

    forward    one for rows of up to 64 KiB of accumulators (16,384 in fp32), two beyond
    backward   one up to 32 KiB (8,192 in fp32), two beyond. At 16,384 columns x, dy and the sums
               for dweight (and dbias) are 192 to 256 KiB, and an SM has 256 KiB of registers:
               compiled, those rows spill 32 to 640 bytes a thread. fp64, and LayerNorm's rows that
               are not aligned, take 16 KiB.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from traincost_kernels.checks import (
    require_between,
    require_floating,
    require_like,
    require_shape,
)
from traincost_kernels.column_sums import column_sums_launch
from traincost_kernels.errors import KernelInputError
from traincost_kernels.launch import Launch, bytes_of
from traincost_kernels.norm_backward import norm_backward_kernel, norm_backward_means_kernel
from traincost_kernels.norm_forward import norm_forward_kernel, norm_forward_looped_kernel
from traincost_kernels.row_tiling import (
    MAX_WARPS,
    RowTiling,
    accumulator_dtype,
    column_tiles,
    looped_rows,
    rows_and_cols,
    sm_count,
    whole_rows,
)
from traincost_kernels.scalar import two_floats

FORWARD_SHORT_TILE = 2048
# 8 accumulators a thread; two programs an SM, so that partial sums stay few where rows are short.
BACKWARD_SHORT_TILE = 2048
BACKWARD_SHORT_WARPS = 8
MAX_FORWARD_BYTES = 64 * 1024
MAX_BACKWARD_BYTES = 32 * 1024
MAX_BACKWARD_BYTES_TIGHT = 16 * 1024  # fp64, and LayerNorm's unaligned rows
COLUMN_TILE_PROGRAMS_PER_SM = 4
LOOP_STAGES = 2
# LayerNorm's forward keeps a mean and a sum of squares for each lane: whole tiles take 95 registers
# in fp32, which leaves two programs an SM.
LOOPED_SHARE_CENTRED = 2
MIN_ROW_PROGRAMS = 8  # of column tiles; a multiple of every VEC


def forward_launches(
    x: Tensor,  # (..., n_cols)
    residual: Tensor | None,  # as x
    weight: Tensor | None,  # (n_cols,)
    bias: Tensor | None,  # (n_cols,)
    y: Tensor,  # as x
    total: Tensor | None,  # as x: x + residual
    mean: Tensor | None,  # (n_rows,): LayerNorm; None: RMSNorm
    rstd: Tensor,  # (n_rows,)
    eps: float,
) -> tuple[Launch, ...]:
    """Launches that fill y, total, mean and rstd."""
    whole = whole_rows(x, FORWARD_SHORT_TILE)
    tensors = (x, residual, weight, bias, y, total, mean, rstd)
    read, written = bytes_of(x, residual, weight, bias), bytes_of(y, total, mean, rstd)
    if _whole_row_bytes(whole, x) <= MAX_FORWARD_BYTES:
        return (
            Launch(
                kernel=norm_forward_kernel,
                grid=(whole.n_tiles,),
                arguments=(*tensors, whole.n_rows, whole.n_cols, *two_floats(eps)),
                constants={**whole.addressing, "ROWS": whole.rows},
                num_warps=whole.num_warps,
                bytes_read=read,
                bytes_written=written,
            ),
        )
    looped = looped_rows(x, 1 if mean is None else LOOPED_SHARE_CENTRED)
    return (
        Launch(
            kernel=norm_forward_looped_kernel,
            grid=(looped.n_rows,),
            arguments=(*tensors, looped.n_cols, *two_floats(eps)),
            constants={**looped.addressing, "STAGES": LOOP_STAGES},
            num_warps=looped.num_warps,
            bytes_read=read + bytes_of(x),
            bytes_written=written,
        ),
    )


def backward_launches(
    x: Tensor,  # (..., n_cols), or the sum with the residual
    weight: Tensor | None,  # (n_cols,)
    mean: Tensor | None,  # (n_rows,): LayerNorm; None: RMSNorm
    rstd: Tensor,  # (n_rows,)
    dy: Tensor,  # as x
    dsum: Tensor | None,  # as x
    dx: Tensor,  # as x
    dweight: Tensor | None,  # (n_cols,)
    dbias: Tensor | None,  # (n_cols,)
) -> tuple[Launch, ...]:
    """Launches that fill dx, dweight and dbias."""
    tiling = whole_rows(x, BACKWARD_SHORT_TILE, BACKWARD_SHORT_WARPS)
    means: tuple[Launch, ...] = ()
    projection: Tensor | None = None
    g_mean: Tensor | None = None
    column_tile_count = 1
    if _whole_row_bytes(tiling, x) > _max_backward_bytes(x, mean is not None, tiling):
        tiling = column_tiles(x)
        column_tile_count = -(-tiling.n_cols // tiling.block)
        projection = torch.empty_like(rstd)
        g_mean = None if mean is None else torch.empty_like(rstd)
        means = (_means_launch(x, weight, mean, rstd, dy, projection, g_mean),)
    n_programs = _n_programs(tiling, column_tile_count, x.device)
    n_partials = n_programs if tiling.aligned else n_programs * tiling.rows
    shape = (n_partials, tiling.n_cols)
    partial_dweight, partial_dbias = (
        None if total is None else x.new_empty(shape, dtype=accumulator_dtype(x))
        for total in (dweight, dbias)
    )
    main = Launch(
        kernel=norm_backward_kernel,
        grid=(n_programs, column_tile_count),
        arguments=(
            *(x, weight, mean, rstd, dy, dsum, projection, g_mean, dx),
            *(partial_dweight, partial_dbias, tiling.n_rows, tiling.n_cols),
        ),
        constants={**tiling.addressing, "ROWS": tiling.rows, "STAGES": _stages(x, mean, tiling)},
        num_warps=tiling.num_warps,
        bytes_read=bytes_of(x, weight, mean, rstd, dy, dsum, projection, g_mean),
        bytes_written=bytes_of(dx, partial_dweight, partial_dbias),
    )
    sums = ((partial_dweight, dweight), (partial_dbias, dbias))
    return (
        *means,
        main,
        *(column_sums_launch(a, b) for a, b in sums if a is not None and b is not None),
    )


def _means_launch(
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor | None,
    rstd: Tensor,
    dy: Tensor,
    projection: Tensor,
    g_mean: Tensor | None,
) -> Launch:
    tiling = looped_rows(x)
    return Launch(
        kernel=norm_backward_means_kernel,
        grid=(tiling.n_rows,),
        arguments=(x, weight, mean, rstd, dy, projection, g_mean, tiling.n_cols),
        constants={**tiling.addressing, "STAGES": LOOP_STAGES},
        num_warps=tiling.num_warps,
        bytes_read=bytes_of(x, weight, mean, rstd, dy),
        bytes_written=bytes_of(projection, g_mean),
    )


def _max_backward_bytes(x: Tensor, centred: bool, tiling: RowTiling) -> int:
    tight = x.dtype == torch.float64 or (centred and not tiling.aligned)
    return MAX_BACKWARD_BYTES_TIGHT if tight else MAX_BACKWARD_BYTES


def _n_programs(tiling: RowTiling, column_tile_count: int, device: torch.device) -> int:
    """Programs that walk over the rows: those that an SM holds, times the SMs."""
    if column_tile_count > 1:
        wanted = COLUMN_TILE_PROGRAMS_PER_SM * sm_count(device) // column_tile_count
        n_programs = max(MIN_ROW_PROGRAMS, wanted // MIN_ROW_PROGRAMS * MIN_ROW_PROGRAMS)
    else:
        n_programs = MAX_WARPS // tiling.num_warps * sm_count(device)
    if n_programs >= tiling.n_tiles:
        return tiling.n_tiles  # one tile each, so nothing about leads
    return n_programs if tiling.aligned else max(tiling.vec, n_programs // tiling.vec * tiling.vec)


def _stages(x: Tensor, mean: Tensor | None, tiling: RowTiling) -> int:
    """So that 32 KiB and more an SM are on their way, within registers and shared memory."""
    if tiling.rows * tiling.block <= BACKWARD_SHORT_TILE:
        return 4 if x.element_size() == 2 else 3 if mean is None else 2
    if mean is not None and x.element_size() > 2 and tiling.num_warps == MAX_WARPS:
        return 1  # two spill 8 bytes on sm_100
    return 3 if mean is None and x.element_size() == 2 else 2


def row_statistic(x: Tensor) -> Tensor:
    """An empty tensor for one number a row of x."""
    return x.new_empty((rows_and_cols(x)[0],), dtype=accumulator_dtype(x))


def contiguous_like(x: Tensor) -> Tensor:
    """An empty contiguous tensor of the shape and dtype of x."""
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def require_norm_inputs(
    op: str, x: Tensor, parameters: Mapping[str, Tensor | None], eps: float
) -> None:
    """Refuse what the norms do not take; `parameters` are of columns, by name."""
    require_floating(op, "x", x)
    if x.dim() == 0:
        raise KernelInputError(f"{op}: x has shape (), expected at least one dimension, the row")
    for name, parameter in parameters.items():
        if parameter is not None:
            require_like(op, name, parameter, "x", x)
            require_shape(op, name, parameter, x.shape[-1:], "the last dimension of x")
    require_between(op, "eps", eps, 0.0, math.inf)


def least_bytes_forward(dtype: torch.dtype, n_cols: int) -> float:
    """Bytes an element: x once or twice, y once."""
    like = torch.empty((1, n_cols), dtype=dtype, device="meta")
    looped = _whole_row_bytes(whole_rows(like, FORWARD_SHORT_TILE), like) > MAX_FORWARD_BYTES
    return float((3 if looped else 2) * dtype.itemsize)


def least_bytes_backward(dtype: torch.dtype, n_cols: int, *, centred: bool) -> float:
    """Bytes an element: x and dy once or twice, dx once; `centred` for LayerNorm."""
    like = torch.empty((1, n_cols), dtype=dtype, device="meta")
    tiling = whole_rows(like, BACKWARD_SHORT_TILE, BACKWARD_SHORT_WARPS)
    twice = _whole_row_bytes(tiling, like) > _max_backward_bytes(like, centred, tiling)
    return float((5 if twice else 3) * dtype.itemsize)


def _whole_row_bytes(tiling: RowTiling, x: Tensor) -> int:
    return tiling.block * accumulator_dtype(x).itemsize
