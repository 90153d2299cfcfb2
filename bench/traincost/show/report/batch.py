"""Throughput over the batch size: where a machine is saturated, and which batch to take."""

from __future__ import annotations

from collections.abc import Sequence

from traincost.show.report.content import Report, Section, nothing
from traincost.show.report.html import Html, joined, tag
from traincost.show.report.marks import Key
from traincost.show.report.plot import Axis, Figure, Plot
from traincost.show.report.scale import linear_scale, log_scale
from traincost.show.report.series import Series, series_of
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount

TITLE = "Batch size"
LEAD = (
    "Samples per second rise with the batch until the machine is saturated. The smallest batch"
    " within a tenth of the highest rate is the one to use: more costs memory and buys nothing."
)
ENOUGH = 0.9
"""Of the highest rate."""
_MOST_FIGURES, _MOST_TICKS = 6, 8


def section(report: Report) -> Section:
    """Curves of the highest rates' shares, and a table of knees."""
    found = series_of(report.points, "batch_size", "samples_per_s")
    if not found:
        why = "No model was measured at three batch sizes. pytest suites/test_batch.py does that."
        return nothing("batch", TITLE, LEAD, why)
    found.sort(key=lambda s: (not _is_whole_step(s), -len(s.groups)))
    curves: dict[tuple[str, str], list[Series]] = {}
    for s in found:
        curves.setdefault((s.test, s.name), []).append(s)
    figures = tuple(
        Figure(
            f"batch-{i + 1}",
            name,
            lambda width, same=same: _draw(report, same, width),  # type: ignore[misc]
            half=len(curves) > 1,
        )
        for i, ((_, name), same) in enumerate(list(curves.items())[:_MOST_FIGURES])
    )
    left = len(curves) - len(figures)
    said = f"A ring marks the batch to use.{f' {left:,} more are in the table.' if left else ''}"
    body = joined((tag("p", said, class_="more"), _table(report, found)))
    return Section("batch", TITLE, LEAD, body, figures)


def _is_whole_step(series: Series) -> bool:
    return not any(f"· {p}" in series.name for p in ("forward", "backward", "optimizer"))


def knee(series: Series) -> int:
    """The place of the smallest batch within `ENOUGH` of the highest rate."""
    most = max(series.y)
    return next(i for i, rate in enumerate(series.y) if rate >= ENOUGH * most)


def is_saturated(series: Series) -> bool:
    """Whether a larger batch than the knee was tried."""
    return knee(series) < len(series.groups) - 1


def _draw(report: Report, shown: Sequence[Series], width: int) -> Html:
    points = report.points
    keys = [Key(points.side_name(s.side), s.side) for s in shown]
    plot = Plot(
        width,
        300,
        Axis("batch size", plain=True),
        Axis("samples per second", plain=True),
        keys,
    )
    sizes = sorted({v for s in shown for v in s.x})
    plot.scales(
        log_scale([v for s in shown for v in s.x], *plot.x_pixels),
        linear_scale([v for s in shown for v in s.y], *plot.y_pixels),
        sizes if len(sizes) <= _MOST_TICKS else None,
    )
    for s in shown:
        classes = points.classes(s.groups[0])
        plot.line(list(zip(s.x, s.y, strict=True)), s.side, classes)
        marks = [
            report.mark(g, x, y, f"{amount(y)} samples/s, {y / max(s.y):.0%} of the highest")
            for g, x, y in zip(s.groups, s.x, s.y, strict=True)
        ]
        at = marks[knee(s)]
        plot.ring(at.x, at.y, s.side, classes)
        plot.marks(marks)
    return plot.svg(f"Samples per second over batch size: {shown[0].name}")


def _table(report: Report, found: Sequence[Series]) -> Html:
    points = report.points
    memory = points.of("step_peak_bytes")
    rows: list[TableRow] = []
    for s in found[:200]:
        at = knee(s)
        group = s.groups[at]
        batch = f"{s.x[at]:,.0f}" if is_saturated(s) else f"{s.x[at]:,.0f} or more"
        said = None if is_saturated(s) else "still rising: measure larger batches"
        kept = None if memory[group] != memory[group] else float(memory[group])
        rows.append(
            TableRow(
                [
                    s.name,
                    None if points.has_one_side() else points.side_name(s.side),
                    Cell(batch, s.x[at]),
                    Cell(amount(s.y[at]), s.y[at]),
                    Cell(amount(max(s.y)), max(s.y)),
                    Cell(amount(kept, "B"), kept),
                    said,
                    places(points.places(group)),
                ],
                points.classes(group),
            )
        )
    heads = (
        "cases",
        "machine",
        "batch to use",
        "samples/s",
        "highest",
        "step memory",
        "note",
        "row",
    )
    return table(heads, rows, right=heads[2:6], caption="The batch to use of every curve")
