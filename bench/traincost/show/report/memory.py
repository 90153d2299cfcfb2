"""What a step holds in memory: what lived before it, and its peak above that."""

from __future__ import annotations

from traincost.show.report.content import Report, Section, caption, nothing
from traincost.show.report.marks import Key
from traincost.show.report.plot import Axis, Figure
from traincost.show.report.points import short_case, short_cases
from traincost.show.report.rows_plot import Row, rows_svg
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount

TITLE = "Memory"
LEAD = (
    "Parameters and optimizer state live through training; gradients and activations come on top"
    " within each step, and grow with the batch."
)
_MOST_BARS, _MOST_ROWS = 22, 60


def section(report: Report) -> Section:
    """The cases that hold the most."""
    import numpy as np

    points = report.points
    live, peak = points.of("live_before_bytes"), points.of("step_peak_bytes")
    known = np.flatnonzero(~np.isnan(peak))
    if not known.size:
        why = "No row has the peak of its step (step_peak_bytes)."
        return nothing("memory", TITLE, LEAD, why)
    total = np.nan_to_num(live) + peak
    order = sorted(known.tolist(), key=lambda g: -total[g])
    shown = order[:_MOST_BARS]
    names, shared = short_cases([points.cases[g] for g in shown])
    bars = [_bar(report, g, names[points.cases[g]], live, peak) for g in shown]
    left = len(order) - len(bars)
    figure = Figure(
        "memory",
        "The cases that hold the most",
        lambda width: rows_svg(
            width,
            bars,
            Axis("memory", "B", log=False),
            "Memory of steps",
            keys=[Key(points.names[i], i) for i in sorted({row.style for row in bars})],
        ),
        caption(
            f"All of them: {shared}." if shared else "",
            "Full colour: lives through training. Pale: on top, within a step.",
            f"{left:,} more hold less." if left else "",
        ),
    )
    rows = [
        TableRow(
            [
                short_case(points.cases[g]),
                None
                if points.has_one_side()
                else points.side_name(int(points.data.groups.side[g])),
                *(
                    Cell("" if v != v else amount(float(v), "B"), None if v != v else float(v))
                    for v in (live[g], peak[g], points.of("device_peak_bytes")[g])
                ),
                places(points.places(g)),
            ],
            points.classes(g),
        )
        for g in order[:_MOST_ROWS]
    ]
    heads = ("case", "machine", "live before", "step peak", "process on the device", "row")
    body = table(heads, rows, right=heads[2:5], caption="Memory, the most first")
    return Section("memory", TITLE, LEAD, body, (figure,))


def _bar(report: Report, group: int, name: str, live: object, peak: object) -> Row:
    import numpy as np

    points = report.points
    before, above = (float(np.nan_to_num(np.asarray(v)[group])) for v in (live, peak))
    side = int(points.data.groups.side[group])
    told = f"{amount(before, 'B')} live before the step, {amount(above, 'B')} on top"
    return Row(
        name,
        parts=((before, side), (above, side)),
        value=amount(before + above, "B"),
        classes=points.classes(group),
        told=report.label(group, told),
        href=report.href(group),
        style=side,
    )
