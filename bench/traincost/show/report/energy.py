"""Energy of a step against its time: the slope is power."""

from __future__ import annotations

import math

from traincost.show.report.content import Report, Section, caption, cloud, nothing
from traincost.show.report.html import Html
from traincost.show.report.marks import Mark
from traincost.show.report.plot import WIDE, Axis, Figure, Plot
from traincost.show.report.points import short_case
from traincost.show.report.scale import decade, log_scale
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount

TITLE = "Energy against time"
LEAD = (
    "Joules of a step, GPU and CPU where both are known, over its seconds. Along a dashed line the"
    " power is the same: a case above another that takes as long draws more."
)
_MOST_ROWS, _MOST_LINES = 40, 12


def section(report: Report) -> Section:
    """The plot, and the hungriest cases."""
    import numpy as np

    points = report.points
    gpu, cpu, time_s = (points.of(c) for c in ("gpu_energy_j", "cpu_energy_j", "time_median_s"))
    energy = np.where(
        np.isnan(gpu) & np.isnan(cpu), np.nan, np.nan_to_num(gpu) + np.nan_to_num(cpu)
    )
    placed = np.flatnonzero((energy > 0) & (time_s > 0)).tolist()
    if not placed:
        why = (
            "No row has energy. `traincost machine` says what this machine could measure and how to"
            " get access; every row's notes say why it has none."
        )
        return nothing("energy", TITLE, LEAD, why)

    def say(g: int) -> list[str]:
        both = f"{amount(energy[g], 'J')} in {amount(time_s[g], 's')}"
        return [f"{both}: {amount(energy[g] / time_s[g], 'W')}"]

    marks, thin = cloud(report, placed, time_s, energy, say)
    figure = Figure("energy", "", lambda width: _draw(report, marks, width), caption(thin) or None)
    order = sorted(placed, key=lambda g: -energy[g] / time_s[g])[:_MOST_ROWS]
    rows = [
        TableRow(
            [
                short_case(points.cases[g]),
                None
                if points.has_one_side()
                else points.side_name(int(points.data.groups.side[g])),
                Cell(amount(energy[g] / time_s[g], "W"), float(energy[g] / time_s[g])),
                *(
                    Cell("" if v[g] != v[g] else amount(v[g], "J"), float(np.nan_to_num(v[g])))
                    for v in (gpu, cpu)
                ),
                Cell(amount(time_s[g], "s"), float(time_s[g])),
                places(points.places(g)),
            ],
            points.classes(g),
        )
        for g in order
    ]
    heads = ("case", "machine", "power", "GPU energy", "CPU energy", "time", "row")
    body = table(heads, rows, right=heads[2:6], caption="Cases by the power they draw")
    return Section("energy", TITLE, LEAD, body, (figure,))


def _draw(report: Report, marks: list[Mark], width: int) -> Html:
    plot = Plot(
        width,
        360 if width >= WIDE else 310,
        Axis("time of a step", "s"),
        Axis("energy of a step", "J"),
        report.machine_keys(marks),
    )
    plot.scales(
        log_scale([m.x for m in marks], *plot.x_pixels),
        log_scale([m.y for m in marks], *plot.y_pixels),
    )
    x, y = plot.x, plot.y
    powers = [decade(m.y) - decade(m.x) for m in marks]
    lowest, highest = math.floor(min(powers)), math.ceil(max(powers))
    for power in range(lowest, highest + 1) if highest - lowest <= _MOST_LINES else ():
        watts = 10.0**power
        left, right = max(x.low, y.low / watts), min(x.high, y.high / watts)
        if right > left:
            plot.line([(left, left * watts), (right, right * watts)], 7, "equal")
            plot.write(plot.x(right) - 4, plot.y(right * watts) + 14, amount(watts, "W"), "end")
    plot.marks(marks)
    return plot.svg("Energy of a step over its time, both logarithmic")
