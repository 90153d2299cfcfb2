"""What each remedy of a training difficulty costs a step, and what it buys: medians over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from traincost.data.record import METRIC_PREFIX
from traincost.show.report.content import Report, Section, caption, nothing
from traincost.show.report.html import Html, folded, joined, tag
from traincost.show.report.letters import width_px
from traincost.show.report.marks import MOST_KEYS, Key, Mark
from traincost.show.report.plot import Axis, Figure, Plot
from traincost.show.report.points import Points
from traincost.show.report.problems import BENEFITS, COSTS, Problem, problems_of
from traincost.show.report.scale import decade, log_scale
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount, plain

TITLE = "Remedies: cost against benefit"
LEAD = (
    "Training is hard in known ways, and every remedy has a price per step and an effect on how"
    " many steps are needed. Lower left is better; along a dashed line the whole training takes"
    " equally long."
)
_MOST_DECADES = 24
_UNITS = {"s": "s", "bytes": "B", "j": "J"}
_MOST_OPEN = 3
_MOST_PROBLEMS, _MOST_TABLES, _MOST_ROWS, _MOST_PLACES = 8, 60, 60, 3


def section(report: Report) -> Section:
    """A figure a problem that has steps to a target, and a table for every problem."""
    points = report.points
    problems = problems_of(points)
    if not problems:
        why = "No row has a benefit: pytest suites/test_optimizers.py measures some."
        return nothing("remedies", TITLE, LEAD, why)
    steps = points.of("steps_to_target").tolist()
    time_s = points.of("time_median_s").tolist()

    def reached(p: Problem) -> int:
        return sum(1 for r in p.remedies if r.median(steps) and r.median(time_s))

    drawn = sorted((p for p in problems if reached(p) > 1), key=lambda p: (-reached(p), p.name))
    figures = tuple(
        Figure(
            f"remedies-{i + 1}",
            _title(points, p),
            lambda width, p=p: _draw(report, p, width),  # type: ignore[misc]
            _unreached(points, p),
            half=True,
        )
        for i, p in enumerate(drawn[:_MOST_PROBLEMS])
    )
    above = tag("p", "What was measured of each, medians over seeds:", class_="more")
    left = len(problems) - _MOST_TABLES
    more = f"{left} more problems are in the table of all cases." if left > 0 else ""
    few = len(problems) <= _MOST_OPEN
    tables = [_table(points, p, is_open=few) for p in problems[:_MOST_TABLES]]
    return Section("remedies", TITLE, LEAD, joined((above, *tables, caption(more))), figures)


def _title(points: Points, problem: Problem) -> str:
    side = "" if points.has_one_side() else f" on {points.side_name(problem.side)}"
    return f"{problem.name}{side}"


def _unreached(points: Points, problem: Problem) -> str:
    steps = points.of("steps_to_target").tolist()
    names = [r.name for r in problem.remedies if r.median(steps) is None]
    n_drawn = len(problem.remedies) - len(names)
    which = "Which is which: point at a mark, or see the table. " if n_drawn > MOST_KEYS else ""
    if not names:
        return which
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{which}Target not reached: {', '.join(names[:8])}{more}."


def _draw(report: Report, problem: Problem, width: int) -> Html:
    points = report.points
    steps = points.of("steps_to_target").tolist()
    time_s = points.of("time_median_s").tolist()
    at = [(r, r.median(time_s), r.median(steps)) for r in problem.remedies]
    placed = [(r, x, y) for r, x, y in at if x and y]
    keys = [Key(r.name, i) for i, (r, _, _) in enumerate(placed)]
    plot = Plot(
        width,
        300,
        Axis("time of a step", "s"),
        Axis("steps to the target", plain=True),
        keys if len(keys) <= MOST_KEYS else (),
    )
    plot.scales(
        log_scale([x for _, x, _ in placed], *plot.x_pixels, room=0.12),
        log_scale(
            [v for r, _, _ in placed for v in (steps[g] for g in r.groups) if v == v],
            *plot.y_pixels,
            room=0.12,
        ),
    )
    _equal_times(plot)
    marks: list[Mark] = []
    for i, (remedy, x, y) in enumerate(placed):
        seeds = [steps[g] for g in remedy.groups if steps[g] == steps[g]]
        said = [
            f"{remedy.name}: {y:,.0f} steps of {amount(x, 's')}, {amount(x * y, 's')} in all",
            f"{len(seeds)} of {len(remedy.groups)} seeds reached the target"
            if len(remedy.groups) > 1
            else "",
        ]
        mark = report.mark(remedy.groups[0], x, y, *filter(None, said), style=i)
        marks.append(
            Mark(
                *(x, y, mark.label, i, mark.classes, mark.href, mark.hollow),
                low=min(seeds) if len(seeds) > 1 else None,
                high=max(seeds) if len(seeds) > 1 else None,
            )
        )
    plot.marks(marks)
    return plot.svg(f"{problem.name}: steps to the target over the time of a step")


def _equal_times(plot: Plot) -> None:
    """Diagonals along which steps x time is the same, a factor of 10 apart."""
    x, y = plot.x, plot.y
    low, high = decade(x.low) + decade(y.low), decade(x.high) + decade(y.high)
    if high - low > _MOST_DECADES:
        return
    every = 1 if high - low < 6 else 2
    for power in range(math.ceil(low), math.floor(high) + 1, every):
        total = 10.0**power
        left, right = max(x.low, total / y.high), min(x.high, total / y.low)
        if right > left:
            plot.line([(left, total / left), (right, total / right)], 7, "equal")
            text, at = amount(total, "s"), plot.x(left) + 4
            if at + width_px(text) < plot.x_pixels[1]:
                plot.write(at, plot.y(total / left) + 12, text)


def _table(points: Points, problem: Problem, *, is_open: bool) -> Html:
    own = [c for c in map(str, points.table.columns) if c.startswith(METRIC_PREFIX)]
    names = {**COSTS, **BENEFITS, **{c: _metric(c) for c in own}}
    values = {c: points.of(c).tolist() for c in names}
    shown = sorted(problem.remedies, key=lambda r: r.median(values["steps_to_target"]) or math.inf)
    rows: list[TableRow] = []
    for remedy in shown[:_MOST_ROWS]:
        cells: list[Cell | str | Html | None] = [remedy.name, f"{len(remedy.groups)}"]
        for column, (_, unit) in names.items():
            value = remedy.median(values[column])
            told = None if value is None else amount(value, unit) if unit else plain(value)
            cells.append(Cell(told, value))
        statuses = dict.fromkeys(str(points.table["status"].iloc[g]) for g in remedy.groups)
        cells.append(", ".join(s for s in statuses if s != "ok"))
        cells.append(places(_all_places(points, remedy.groups)))
        rows.append(TableRow(cells, points.classes(remedy.groups[0])))
    heads = ("remedy", "rows", *(title for title, _ in names.values()), "status", "row")
    left = len(shown) - len(rows)
    more = f"{left} more are in the table of all cases." if left > 0 else ""
    title = f"{_title(points, problem)}: medians over seeds"
    count = f" {len(shown)} {'remedy' if len(shown) == 1 else 'remedies'}"
    told = table(heads, rows, right=heads[1:-2], caption=title, more=more)
    return folded(joined((_title(points, problem), tag("span", count))), told, is_open=is_open)


def _metric(column: str) -> tuple[str, str]:
    """What a suite's own metric is called, and its unit."""
    name = column.removeprefix(METRIC_PREFIX)
    unit = _UNITS.get(name.rpartition("_")[2], "")
    return (name.rpartition("_")[0] if unit else name).replace("_", " "), unit


def _all_places(points: Points, groups: Sequence[int]) -> str:
    text = ", ".join(points.places(g) for g in groups[:_MOST_PLACES])
    more = len(groups) - _MOST_PLACES
    return text if more <= 0 else f"{text}, and {more} more"
