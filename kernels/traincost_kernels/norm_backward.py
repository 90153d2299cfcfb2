"""Backward kernels that RMSNorm and LayerNorm share.

    x_hat  = (x - mean) * rstd (LayerNorm),  x * rstd (RMSNorm)
    g      = dy * weight
    dx     = rstd * (g - x_hat * mean(g * x_hat) - mean(g)) + dsum     (mean(g): LayerNorm only;
                                                 dsum: gradient of the sum with the residual)
    dweight = sum over rows of dy * x_hat,   dbias = sum over rows of dy

A fixed number of programs walks over the rows, ROWS at a time: program p takes the tiles p, p + P,
p + 2P, … Its sums for dweight and dbias stay in registers and are stored once, as partial sums that
`column_sums` adds up: no atomics, and the order of every addition depends on P alone. The next
STAGES - 1 tiles are on their way into shared memory while one is computed.

In rows that are not aligned (see `rows`) the body starts in column `lead`. P * ROWS is a multiple
of VEC there, so that a program meets the same lead in every tile, and its sums stay in their
columns.
"""

import triton
import triton.language as tl

from traincost_kernels.rows import (
    body_chunks,
    body_lead,
    body_start,
    edge_columns,
    load,
    load_columns,
    row_of_program,
    row_sum,
)


@triton.jit
def _store_dx(
    dx_ptr: tl.tensor,
    dsum_ptr: tl.tensor | None,
    offsets: tl.tensor,
    mask: tl.tensor,
    g: tl.tensor,
    x_hat: tl.tensor,
    rstd: tl.tensor,
    projection: tl.tensor,
    g_mean: tl.tensor,
) -> None:
    dx = rstd * (g - x_hat * projection - g_mean)
    if dsum_ptr is not None:
        dx += load(dsum_ptr, offsets, mask)
    tl.store(dx_ptr + offsets, dx, mask=mask)


@triton.jit
def _store_partial(
    ptr: tl.tensor,
    sums: tl.tensor,
    lane: tl.tensor,
    slots: tl.tensor,
    lead: tl.tensor,
    n_cols: tl.tensor,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
) -> None:
    """One row of partial sums a program; where the leads differ, one for each of its ROWS."""
    if ALIGNED:
        start = tl.program_id(0).to(tl.int64) * (n_cols // VEC) * VEC
        tl.store(ptr + start + lane, tl.sum(sums, 0)[None, :], mask=lane // VEC < n_cols // VEC)
    else:
        start = (slots * n_cols)[:, None] + lead
        tl.store(ptr + start + lane, sums, mask=lane // VEC < body_chunks(lead, n_cols, VEC))


@triton.jit
def norm_backward_kernel(  # noqa: C901 (the branches are constant: options of one body)
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    weight_ptr: tl.tensor,  # (n_cols,) or None
    mean_ptr: tl.tensor,  # (n_rows,) or None
    rstd_ptr: tl.tensor,  # (n_rows,)
    dy_ptr: tl.tensor,  # (n_rows, n_cols)
    dsum_ptr: tl.tensor,  # (n_rows, n_cols) or None
    projection_ptr: tl.tensor,  # (n_rows,) mean(g * x_hat), or None to compute it here
    g_mean_ptr: tl.tensor,  # (n_rows,) mean(g), or None
    dx_ptr: tl.tensor,  # (n_rows, n_cols)
    dweight_ptr: tl.tensor,  # (partial sums, n_cols) or None
    dbias_ptr: tl.tensor,  # (partial sums, n_cols) or None
    n_rows: tl.tensor,
    n_cols: tl.tensor,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """A tile of BLOCK columns, by the second axis of the grid, in every P-th tile of rows.

    The tile is the whole row, or one of several where the means are given (`projection_ptr`).
    """
    slots = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    lead = body_lead(slots, n_cols, VEC, ALIGNED)[:, None]
    chunks = body_chunks(lead, n_cols, VEC)
    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)[None, :]
    if ALIGNED:
        col, in_cols = lane, lane // VEC < n_cols // VEC
    else:
        col, in_cols = lead + lane, lane // VEC < chunks
        edge_col, edge_exists = edge_columns(lead, n_cols, VEC)
        edge_weight = load_columns(weight_ptr, edge_col, edge_exists, 1.0)
        edge_dweight = tl.zeros([ROWS, 2 * VEC], rstd_ptr.dtype.element_ty)
        edge_dbias = tl.zeros_like(edge_dweight)
        edge_is_mine = edge_exists & (tl.program_id(1) == 0)
    weight = load_columns(weight_ptr, col, in_cols, 1.0)
    dweight = tl.zeros([ROWS, BLOCK], rstd_ptr.dtype.element_ty)
    dbias = tl.zeros_like(dweight)

    n_tiles = tl.cdiv(n_rows, ROWS)
    for tile in tl.range(tl.program_id(0), n_tiles, tl.num_programs(0), num_stages=STAGES):
        row = tl.arange(0, ROWS).to(tl.int64) + tile * ROWS
        row_exists = row < n_rows
        exists = row_exists[:, None]
        start = body_start(row, n_cols, VEC, ALIGNED)[:, None]
        in_row = tl.where(exists, chunks, 0)
        rstd = load(rstd_ptr, row, row_exists)[:, None]
        mean = 0.0
        if mean_ptr is not None:
            mean = load(mean_ptr, row, row_exists)[:, None]
        body, in_body = start + lane, lane // VEC < in_row
        x_hat = (load(x_ptr, body, in_body) - mean) * rstd
        dy = load(dy_ptr, body, in_body)
        g = dy * weight
        if not ALIGNED:
            edge, in_edge = (row * n_cols)[:, None] + edge_col, edge_exists & exists
            edge_x_hat = (load(x_ptr, edge, in_edge) - mean) * rstd
            edge_dy = load(dy_ptr, edge, in_edge)
            edge_g = edge_dy * edge_weight

        g_mean = 0.0
        if projection_ptr is not None:
            projection = load(projection_ptr, row, row_exists)[:, None]
            if g_mean_ptr is not None:
                g_mean = load(g_mean_ptr, row, row_exists)[:, None]
        else:
            projection_sum = row_sum(g * x_hat, ROWS)
            g_sum = tl.zeros_like(projection_sum)
            if mean_ptr is not None:
                g_sum += row_sum(g, ROWS)
            if not ALIGNED:
                projection_sum += row_sum(edge_g * edge_x_hat, ROWS)
                if mean_ptr is not None:
                    g_sum += row_sum(edge_g, ROWS)
            projection = (projection_sum / n_cols)[:, None]
            g_mean = (g_sum / n_cols)[:, None]

        _store_dx(dx_ptr, dsum_ptr, body, in_body, g, x_hat, rstd, projection, g_mean)
        dweight += dy * x_hat
        dbias += dy
        if not ALIGNED:
            mine = in_edge & edge_is_mine
            _store_dx(dx_ptr, dsum_ptr, edge, mine, edge_g, edge_x_hat, rstd, projection, g_mean)
            edge_dweight += edge_dy * edge_x_hat
            edge_dbias += edge_dy

    if dweight_ptr is not None:
        _store_partial(dweight_ptr, dweight, lane, slots, lead, n_cols, VEC, ALIGNED)
    if dbias_ptr is not None:
        _store_partial(dbias_ptr, dbias, lane, slots, lead, n_cols, VEC, ALIGNED)
    if not ALIGNED:
        edge = (slots * n_cols)[:, None] + edge_col
        if dweight_ptr is not None:
            tl.store(dweight_ptr + edge, edge_dweight, mask=edge_is_mine)
        if dbias_ptr is not None:
            tl.store(dbias_ptr + edge, edge_dbias, mask=edge_is_mine)


@triton.jit
def norm_backward_means_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    weight_ptr: tl.tensor,  # (n_cols,) or None
    mean_ptr: tl.tensor,  # (n_rows,) or None
    rstd_ptr: tl.tensor,  # (n_rows,)
    dy_ptr: tl.tensor,  # (n_rows, n_cols)
    projection_ptr: tl.tensor,  # (n_rows,)
    g_mean_ptr: tl.tensor,  # (n_rows,) or None
    n_cols: tl.tensor,
    BLOCK: tl.constexpr,
    VEC: tl.constexpr,
    ALIGNED: tl.constexpr,
    STAGES: tl.constexpr,
) -> None:
    """The two means of one long row a program."""
    row, lead, chunks, start = row_of_program(n_cols, VEC, ALIGNED)  # pyright: ignore
    lane = tl.arange(0, BLOCK)[None, :]
    rstd = tl.load(rstd_ptr + row)[:, None]
    mean = 0.0
    if mean_ptr is not None:
        mean = tl.load(mean_ptr + row)[:, None]
    projection = tl.zeros([1, BLOCK], rstd_ptr.dtype.element_ty)
    g_total = tl.zeros_like(projection)
    for tile in tl.range(0, tl.cdiv(n_cols, BLOCK), num_stages=STAGES):
        col = tile * BLOCK + lane
        in_body = col // VEC < chunks
        x_hat = (load(x_ptr, start + col, in_body) - mean) * rstd
        weight = load_columns(weight_ptr, lead + col, in_body, 1.0)
        g = load(dy_ptr, start + col, in_body) * weight
        projection += g * x_hat
        g_total += g
    projection_sum = row_sum(projection, 1)
    g_sum = row_sum(g_total, 1)
    if not ALIGNED:
        edge_col, in_edge = edge_columns(lead, n_cols, VEC)
        edge = (row * n_cols)[:, None] + edge_col
        g = load(dy_ptr, edge, in_edge) * load_columns(weight_ptr, edge_col, in_edge, 1.0)
        projection_sum += row_sum(g * ((load(x_ptr, edge, in_edge) - mean) * rstd), 1)
        g_sum += row_sum(g, 1)
    tl.store(projection_ptr + row, projection_sum / n_cols)
    if g_mean_ptr is not None:
        tl.store(g_mean_ptr + row, g_sum / n_cols)
