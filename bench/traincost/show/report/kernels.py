"""Implementations against every baseline, the losing cases first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from traincost.judge.derived import BASELINES, speedups
from traincost.judge.lines import Line
from traincost.show.report.content import Report, Section, caption, nothing
from traincost.show.report.groups import Groups
from traincost.show.report.html import Html, joined, tag
from traincost.show.report.marks import Key, Mark
from traincost.show.report.plot import Axis, Figure
from traincost.show.report.points import short_case, short_cases
from traincost.show.report.rows_plot import Row, rows_svg
from traincost.show.report.static import static_table
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount

TITLE = "Kernels and implementations"
LEAD = (
    "The time of a baseline over that of another implementation of the same case on the same"
    " machine: right of 1 it wins, left of 1 it loses. Losing cases are never left out."
)
PEERS = ("composed", "compile", "aten-fused", "liger")
"""Baselines that another implementation is set against too."""
_MOST_ROWS, _MOST_TABLE_ROWS = 40, 300


def section(report: Report) -> Section:
    """Speedups over every baseline that there is."""
    lines = sorted(_lines(report), key=lambda line: line.ratio or 0)
    static = static_table(report.points)
    if not lines:
        why = (
            "No case was measured in two implementations. pytest suites/test_kernels.py does that."
        )
        found = nothing("kernels", TITLE, LEAD, why)
        return Section(found.name, found.title, found.lead, joined((found.body, static)))
    baselines = list(dict.fromkeys(line.baseline or "" for line in lines))
    groups = Groups(report.points)
    losing = [line for line in lines if (line.ratio or 1) < 1]
    drawn = _drawn(lines)
    names, shared = short_cases([same[0].case_id for same in drawn])
    several = len({line.side for line in lines}) > 1
    rows = [_row(report, groups, same, baselines, names, several=several) for same in drawn]
    figure = Figure(
        "kernels",
        "Speedups, losing cases first",
        lambda width: rows_svg(
            width,
            rows,
            Axis("times as fast as the baseline", plain=True),
            "Speedups of implementations over baselines",
            keys=[Key(f"over {name}", i) for i, name in enumerate(baselines)],
            rule=1.0,
            sides=("loses", "wins"),
        ),
        caption(
            f"All of them: {shared}." if shared else "",
            f"Rows of {len(lines):,} speedups; the number at the end is the lowest of its row.",
        ),
    )
    said = tag("p", tag("b", f"{len(losing):,} of {len(lines):,} lose"), ", and stand first.")
    body = joined((_table(report, groups, lines), static))
    return Section("kernels", TITLE, LEAD, body, (figure,), said)


def _lines(report: Report) -> Iterator[Line]:
    """Over each baseline; an implementation that is one itself is only set against the first."""
    data = report.points.data
    first, _, _ = speedups(data, BASELINES)
    yield from first
    for peer in PEERS:
        if peer in data.common("impl").values:
            found, _, _ = speedups(data, (peer,))
            yield from (x for x in found if x.impl not in (*BASELINES, *PEERS))


def _drawn(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines of one case and implementation together; the slowest ones, then the fastest."""
    found: dict[tuple[str, str | None, str | None], list[Line]] = {}
    for line in lines:
        found.setdefault((line.case_id, line.side, line.impl), []).append(line)
    every = list(found.values())
    half = _MOST_ROWS // 4
    return every if len(every) <= _MOST_ROWS else [*every[: _MOST_ROWS - half], *every[-half:]]


def _row(
    report: Report,
    groups: Groups,
    same: Sequence[Line],
    baselines: Sequence[str],
    names: Mapping[str, str],
    *,
    several: bool,
) -> Row:
    marks: list[Mark] = []
    classes = ""
    for line in same:
        group = groups.find_impl(line.case_id, line.side, line.impl)
        if group is None or line.ratio is None:
            continue
        said = f"{line.ratio:.3g}x as fast as {line.baseline}"
        mark = report.mark(group, line.ratio, 0.0, said, style=baselines.index(line.baseline or ""))
        marks.append(
            Mark(
                *(mark.x, mark.y, mark.label, mark.style, mark.classes, mark.href, mark.hollow),
                low=line.low,
                high=line.high,
            )
        )
        classes = mark.classes
    first = same[0]
    name = f"{first.impl} · {names[first.case_id]}{f' · {first.side}' if several else ''}"
    return Row(name, marks, value=f"{first.ratio or 0:#.3g}x", classes=classes)


def _table(report: Report, groups: Groups, lines: Sequence[Line]) -> Html:
    rows: list[TableRow] = []
    several = not report.points.has_one_side()
    for line in lines[:_MOST_TABLE_ROWS]:
        both = [
            groups.find_impl(line.case_id, line.side, impl) for impl in (line.baseline, line.impl)
        ]
        interval = f"{line.low:.3g} to {line.high:.3g}" if line.low and line.high else line.interval
        behind = ", ".join(report.points.places(g) for g in both if g is not None)
        loses = line.ratio is not None and line.ratio < 1
        rows.append(
            TableRow(
                [
                    short_case(line.case_id),
                    line.side if several else None,
                    line.impl,
                    line.baseline,
                    Cell(amount(line.other_value, "s"), line.other_value),
                    Cell(amount(line.base_value, "s"), line.base_value),
                    Cell(f"{line.ratio or 0:#.3g}x", line.ratio, "bad" if loses else None),
                    interval,
                    line.note or ("loses" if loses else ""),
                    places(behind),
                ],
                next((report.points.classes(g) for g in both if g is not None), None),
            )
        )
    heads = (
        *("case", "machine", "implementation", "baseline", "time", "of the baseline", "speedup"),
        *("95% interval", "note", "rows"),
    )
    left = len(lines) - len(rows)
    more = f"{left:,} more, all faster than these; traincost compare has them." if left else ""
    return table(
        heads,
        rows,
        right=heads[4:7],
        long=("note",),
        caption="Speedups, the lowest first",
        more=more,
    )
