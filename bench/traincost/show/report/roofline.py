"""Where every case stands under the limits of its machine, and which limit binds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from traincost.judge.roofline import MEASURE
from traincost.show.report.content import Report, Section, caption, cloud, nothing
from traincost.show.report.html import Html
from traincost.show.report.marks import Mark
from traincost.show.report.plot import WIDE, Axis, Figure, Plot
from traincost.show.report.points import short_case
from traincost.show.report.scale import log_scale
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

TITLE = "Roofline"
LEAD = (
    "How fast a step computes, against how much arithmetic it does for each byte that it must move."
    " The line is what the machine was measured to do at most: the slope is its memory, the flat"
    " part its arithmetic. A case far below the line is bound by neither."
)
_MOST_ROOFS = 6
_MOST_TABLE_ROWS = 40


def section(report: Report) -> Section:
    """The plot, and the cases by how near they come."""
    import numpy as np

    points = report.points
    limits = points.data.limits
    flops, moved, time_s = (points.of(c) for c in ("flops", "compulsory_bytes", "time_median_s"))
    placed = (flops > 0) & (moved > 0) & (time_s > 0)
    if not placed.any():
        why = "No case has FLOPs, bytes and a time. Suites that run models do."
        return nothing("roofline", TITLE, LEAD, why)
    with np.errstate(divide="ignore", invalid="ignore"):
        intensity, rate = flops / moved, flops / time_s

    def say(group: int) -> list[str]:
        said = [f"{amount(rate[group], 'FLOP/s')} at {intensity[group]:.3g} FLOP/B"]
        if limits.name[group]:
            said.append(f"{limits.name[group]}: {limits.share[group]:.1%} of the limit")
        return said

    marks, thin = cloud(report, placed.nonzero()[0].tolist(), intensity, rate, say)
    unknown = "" if any(limits.name) else f"No measured peaks, so no limits: run {MEASURE}."
    zero = int(((flops == 0) & (time_s > 0)).sum())
    figure = Figure(
        "roofline",
        "",
        lambda width: _draw(report, marks, width),
        caption(
            "Bytes are the least that a step must move (compulsory_bytes).",
            "Hollow marks are not ok.",
            _cached(limits.share),
            f"{zero} cases without arithmetic are in the table only." if zero else "",
            unknown,
            thin,
        ),
    )
    return Section("roofline", TITLE, LEAD, _table(report, limits.name, limits.share), (figure,))


def _cached(share: Floats) -> str:
    """Why a case may be faster than its machine's memory."""
    if not bool((share > 1.0).any()):
        return ""
    return "Above 100% of a memory limit, data come from a cache, which is faster than the memory."


def _draw(report: Report, marks: list[Mark], width: int) -> Html:
    plot = Plot(
        width,
        420 if width >= WIDE else 340,
        Axis("arithmetic intensity, FLOP per byte", plain=True),
        Axis("arithmetic rate", "FLOP/s"),
        report.machine_keys(marks),
    )
    roofs = _roofs(report)
    xs = [m.x for m in marks] + [flops / moved for _, _, flops, moved in roofs]
    ys = [m.y for m in marks] + [flops for _, _, flops, _ in roofs]
    plot.scales(log_scale(xs, *plot.x_pixels), log_scale(ys, *plot.y_pixels))
    for side, _, flops, moved in roofs:
        left, right = plot.x.low, plot.x.high
        ridge = flops / moved
        start = max(left, plot.y.low / moved)
        plot.line([(start, start * moved), (ridge, flops), (right, flops)], side, f"roof d{side}")
    above = math.inf
    for side, rate, flops, _ in sorted(roofs, key=lambda roof: roof[2]):
        above = min(plot.y(flops) - 5, above - 13)  # labels of near lines do not overlap
        text = f"{rate} {amount(flops, 'FLOP/s')}"
        plot.write(plot.x_pixels[1] - 2, above, text, f"end d{side}")
    plot.marks(marks)
    return plot.svg("Roofline: arithmetic rate over arithmetic intensity, both logarithmic")


def _roofs(report: Report) -> list[tuple[int, str, float, float]]:
    """(side, rate, FLOP/s, B/s); the rates that its cases use, each side's first ones."""
    found: list[tuple[int, str, float, float]] = []
    for side, peaks in enumerate(report.points.data.peaks):
        if peaks.bytes_per_s:
            found += [(side, r, f, peaks.bytes_per_s) for r, f in peaks.flops_per_s.items()]
    most = max(1, _MOST_ROOFS // max(1, len({side for side, *_ in found})))
    kept: list[tuple[int, str, float, float]] = []
    for roof in sorted(found, key=lambda r: (r[0], -r[2])):
        if sum(1 for k in kept if k[0] == roof[0]) < most and len(kept) < _MOST_ROOFS:
            kept.append(roof)
    return kept


def _table(report: Report, names: Sequence[str | None], share: Floats) -> Html:
    """Cases by the share of the limit that they reach, the best first."""
    points = report.points
    is_peak = (points.table["suite"] == "machine").tolist()  # the limits themselves
    known = [
        g for g in range(len(names)) if names[g] and math.isfinite(share[g]) and not is_peak[g]
    ]
    order = sorted(known, key=lambda g: -share[g])
    several = not points.has_one_side()
    rows = [
        TableRow(
            [
                short_case(points.cases[g]),
                points.side_name(int(points.data.groups.side[g])) if several else None,
                names[g],
                Cell(f"{share[g]:.1%}", float(share[g])),
                Cell(amount(points.of("time_median_s")[g], "s"), points.of("time_median_s")[g]),
                places(points.places(g)),
            ],
            points.classes(g),
        )
        for g in order[:_MOST_TABLE_ROWS]
    ]
    left = len(order) - len(rows)
    more = (
        f"{left:,} more, further from their limits, are in the table of all cases." if left else ""
    )
    heads = ("case", "machine", "bound by", "of the limit", "time", "row")
    caption = "Cases nearest to what their machine can do"
    return table(heads, rows, right=heads[3:5], caption=caption, more=more) if rows else Html("")
