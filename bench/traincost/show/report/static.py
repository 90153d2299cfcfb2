"""What compiled kernels cost before they run: bytes moved against the least, registers, spills."""

from __future__ import annotations

from traincost.show.report.html import Html
from traincost.show.report.points import Points, short_case
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import plain

_MOST_ROWS = 120


def static_table(points: Points) -> Html:
    """Kernels that spill or move more than they must, first; nothing where none was compiled."""
    import numpy as np

    moved, least, spilled, registers = (
        points.of(c)
        for c in ("bytes_per_element", "least_bytes_per_element", "spill_bytes", "registers")
    )
    known = np.flatnonzero(~np.isnan(registers))
    if not known.size:
        return Html("")
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(least > 0, moved / least, np.nan)
    worse = (np.nan_to_num(spilled), np.nan_to_num(excess))
    order = sorted(known.tolist(), key=lambda g: tuple(-float(v[g]) for v in worse))
    rows = [
        TableRow(
            [
                short_case(points.cases[g], ("arch", "impl")),
                points.table["impl"].astype(object).iloc[g],
                points.table["arch"].astype(object).iloc[g],
                _cell(moved[g], "B"),
                _cell(least[g], "B"),
                Cell("" if excess[g] != excess[g] else f"{excess[g]:.3g}x", _or_0(excess[g])),
                _cell(registers[g], ""),
                _cell(spilled[g], "B"),
                places(points.places(g)),
            ],
            points.classes(g),
        )
        for g in order[:_MOST_ROWS]
    ]
    heads = (
        *("kernel", "implementation", "for", "bytes an element", "least", "excess", "registers"),
        *("spilled", "row"),
    )
    left = len(order) - len(rows)
    n_spilling = int((spilled[known] > 0).sum())
    more = f"{left:,} more move fewer bytes over the least." if left else ""
    caption = f"Compiled kernels: {len(order):,}, of which {n_spilling:,} spill registers"
    return table(heads, rows, right=heads[3:8], caption=caption, more=more)


def _or_0(value: float) -> float:
    return 0.0 if value != value else float(value)


def _cell(value: float, unit: str) -> Cell:
    if value != value:
        return Cell(None)
    return Cell(f"{plain(float(value))} {unit}".strip(), float(value))
