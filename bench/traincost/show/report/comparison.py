"""How machines, commits or runs compare: ratios of times with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from traincost.judge.lines import METRICS, Line
from traincost.show.report.content import Report, Section, caption, nothing
from traincost.show.report.groups import Groups
from traincost.show.report.html import Html, joined
from traincost.show.report.marks import Key, Mark
from traincost.show.report.plot import Axis, Figure
from traincost.show.report.points import short_case, short_cases
from traincost.show.report.rows_plot import Row, rows_svg
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount

TITLE = "Compared"
LEAD = (
    "The time of a step on one side over that on the first, with a 95% interval where there are"
    " several runs. Nothing here is a verdict: machines differ in more than one thing."
)
_MOST_ROWS, _MOST_TABLE_ROWS = 24, 150


def section(report: Report) -> Section:
    """Those farthest from 1, and a table of all quantities."""
    found = report.comparison
    if found is None or not found.lines:
        why = "One side only. Give files of two machines, commits or runs to see them compared."
        return nothing("compared", TITLE, LEAD, why)
    times = [line for line in found.lines if line.metric == "time_median_s" and line.ratio]
    far = sorted(sorted(times, key=_distance)[:_MOST_ROWS], key=lambda line: line.ratio or 1)
    cases = list(dict.fromkeys(line.case_id for line in far))
    groups = Groups(report.points)
    names, shared = short_cases(cases) if cases else ({}, "")
    rows = [
        _row(report, groups, names[case], [x for x in far if x.case_id == case]) for case in cases
    ]
    left = len(times) - len(far)
    figure = Figure(
        "compared",
        "Time of a step, those farthest from equal",
        lambda width: rows_svg(
            width,
            rows,
            Axis("times that of the base", plain=True),
            "Ratios of times with intervals",
            keys=_keys(report),
            rule=1.0,
            sides=("faster", "slower"),
        ),
        caption(
            f"All of them: {shared}." if shared else "",
            f"{left:,} more are nearer to 1." if left > 0 else "",
            f"Base: {', '.join(dict.fromkeys(line.base for line in times))}.",
        ),
    )
    body = joined((_summary(report), _table(report, groups, found.lines)))
    return Section("compared", TITLE, LEAD, body, (figure,) if rows else ())


def _distance(line: Line) -> float:
    return -abs(math.log(line.ratio or 1))


def _keys(report: Report) -> list[Key]:
    bases = {base for base, _ in (report.comparison.pairs if report.comparison else ())}
    others = [key for key in report.machine_keys() if key.style not in bases]
    return others if len(others) > 1 else []


def _row(report: Report, groups: Groups, name: str, lines: Sequence[Line]) -> Row:
    marks: list[Mark] = []
    classes = ""
    for line in lines:
        group = groups.find(line.case_id, line.other)
        if group is None or line.ratio is None:
            continue
        said = f"{_times(line.ratio)} of {line.base}{_interval(line)}"
        mark = report.mark(group, line.ratio, 0.0, said)
        marks.append(
            Mark(
                *(mark.x, mark.y, mark.label, mark.style, mark.classes, mark.href, mark.hollow),
                low=line.low,
                high=line.high,
            )
        )
        classes = " ".join(c for c in mark.classes.split() if c[0] != "d")
    value = _times(lines[0].ratio) if len(lines) == 1 else ""
    return Row(name, marks, value=value, classes=classes)


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:#.3g}x"


def _interval(line: Line) -> str:
    if line.low is None or line.high is None:
        return f" ({line.interval})" if line.interval else ""
    return f" ({line.low:.3g} to {line.high:.3g})"


def _summary(report: Report) -> Html:
    """Geometric means over all cases."""
    titles = {m.name: m.title for m in METRICS}
    found = report.comparison
    rows = [
        TableRow(
            [
                *(titles.get(s.metric, s.metric), s.other, s.base, f"{s.n_cases:,}"),
                *(Cell(_times(v), v) for v in (s.geometric_mean, s.lowest, s.highest)),
            ]
        )
        for s in (found.summaries if found else ())
    ]
    heads = ("quantity", "side", "base", "cases", "geometric mean", "lowest", "highest")
    return table(heads, rows, right=heads[3:], caption="Ratios over all cases that both have")


def _table(report: Report, groups: Groups, lines: Sequence[Line]) -> Html:
    shown = sorted((x for x in lines if x.ratio), key=_distance)[:_MOST_TABLE_ROWS]
    metrics = {m.name: m for m in METRICS}
    rows: list[TableRow] = []
    for line in shown:
        both = [groups.find(line.case_id, side) for side in (line.base, line.other)]
        unit = metrics[line.metric].unit
        behind = ", ".join(report.points.places(g) for g in both if g is not None)
        classes = next((report.points.classes(g) for g in reversed(both) if g is not None), None)
        rows.append(
            TableRow(
                [
                    *(short_case(line.case_id), metrics[line.metric].title, line.other),
                    Cell(amount(line.base_value, unit), line.base_value),
                    Cell(amount(line.other_value, unit), line.other_value),
                    Cell(_times(line.ratio), line.ratio),
                    _interval(line).strip(" ()"),
                    line.note or "",
                    places(behind),
                ],
                classes,
            )
        )
    left = sum(1 for x in lines if x.ratio) - len(rows)
    heads = ("case", "quantity", "side", "base", "value", "ratio", "95% interval", "note", "rows")
    more = f"{left:,} more are nearer to 1; traincost compare --format csv has all." if left else ""
    return table(heads, rows, right=heads[3:6], caption="Ratios, farthest from 1 first", more=more)
