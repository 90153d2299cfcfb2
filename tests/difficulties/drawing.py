"""The page's plots by the report's own marks and axes, light, or dark where the reader is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from traincost.show.report.figures import framed
from traincost.show.report.marks import Key, Mark
from traincost.show.report.plot import WIDE, Axis, Plot
from traincost.show.report.rows_plot import Row, rows_svg
from traincost.show.report.scale import linear_scale, log_scale
from traincost.show.units import plain

WIDTH, HEIGHT = 760, 340
_BESIDE = 0.007
"""Of the width, between two series."""
_LABEL_SHARE = 0.2


@dataclass(frozen=True)
class Point:
    """A value, the range of its seeds, and whether it is what it seems."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    hollow: bool = False
    size: float = 1.0


@dataclass(frozen=True)
class Series:
    """Points of one name, joined by a line."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Line:
    """A value that is marked across a plot."""

    y: float
    text: str
    at_end: bool = False


def curves(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    lines: Sequence[Line] = (),
    ticks: Sequence[float] | None = None,
) -> str:
    """A line a series; hollow marks stand apart from it.

    Series stand a little beside each other, or marks at one place would hide each other.
    """
    exact, series = series, _beside(series)
    keys = [Key(s.name, i) for i, s in enumerate(series)]
    plot = Plot(WIDTH, HEIGHT, x, y, keys)
    xs = [p.x for s in series for p in s.points]
    ys = [v for s in series for p in s.points for v in (p.y, p.low, p.high) if v is not None]
    ys += [line.y for line in lines]
    vertical = (
        log_scale(ys, *plot.y_pixels) if y.log else linear_scale(ys, *plot.y_pixels, zero=False)
    )
    plot.scales(log_scale(xs, *plot.x_pixels, room=0.04), vertical, ticks)
    for line in lines:
        plot.rule(y=line.y)
        left, right = plot.x_pixels
        at, classes = (right - 4, "end") if line.at_end else (left + 4, "")
        plot.write(at, plot.y(line.y) + 14, line.text, classes)
    for i, s in enumerate(series):
        plot.line([(p.x, p.y) for p in s.points if not p.hollow], i)
    for i, (s, true) in enumerate(zip(series, exact, strict=True)):
        plot.marks(
            _mark(p, f"{s.name}: {plain(p.y)} at {plain(at.x)}", i)
            for p, at in zip(s.points, true.points, strict=True)
        )
    return framed(title, plot.svg(title), follows_reader=True)


def _beside(series: Sequence[Series]) -> list[Series]:
    xs = [p.x for s in series for p in s.points]
    apart = (max(xs) / min(xs)) ** _BESIDE
    middle = (len(series) - 1) / 2
    return [
        Series(s.name, [replace(p, x=p.x * apart ** (i - middle)) for p in s.points])
        for i, s in enumerate(series)
    ]


def _mark(p: Point, label: str, style: int) -> Mark:
    return Mark(p.x, p.y, label, style, hollow=p.hollow, low=p.low, high=p.high)


@dataclass(frozen=True)
class Dots:
    """A line of text with marks: a style, a value and its range each."""

    label: str
    dots: Sequence[tuple[int, Point]]
    value: str = ""


def dot_rows(
    title: str, axis: Axis, rows: Sequence[Dots], keys: Sequence[str], rule: float | None = None
) -> str:
    """Rows from top to bottom, the values along one axis."""
    drawn = [
        Row(
            row.label,
            [
                Mark(
                    *(p.x, 0.0, f"{row.label}, {keys[style]}: {plain(p.x)}", style),
                    hollow=p.hollow,
                    size=p.size,
                    low=p.low,
                    high=p.high,
                )
                for style, p in row.dots
            ],
            value=row.value,
        )
        for row in rows
    ]
    named = [Key(name, i) for i, name in enumerate(keys)]
    inner = rows_svg(WIDE, drawn, axis, title, keys=named, rule=rule, label_share=_LABEL_SHARE)
    return framed(title, inner, follows_reader=True)
