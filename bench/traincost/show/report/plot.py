"""A figure of two axes: marks, lines, bands, and what is written on them, as one SVG.

The same figure is drawn for two widths. Scaled down, letters would be too small to read on a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from traincost.show.report.html import Html, joined, number, tag
from traincost.show.report.marks import Key, Mark, colour, drawn, legend
from traincost.show.report.scale import Scale
from traincost.show.units import amount, plain

WIDE, HALF, NARROW = 960, 470, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 26, 42
_TICK_WIDTH = 84
_LONG_UNIT = 2
_MILLION = 1e6


@dataclass(frozen=True)
class Axis:
    """What an axis shows; `unit` gets SI prefixes."""

    title: str
    unit: str = ""
    log: bool = True
    plain: bool = False  # counts, as they are: 1, 10, 100

    def text(self, value: float) -> str:
        """A tick's number; a long unit stands in the title."""
        if self.plain and abs(value) < _MILLION:
            return plain(value)
        text = amount(value, self.unit if len(self.unit) <= _LONG_UNIT else "")
        head, _, unit = text.partition(" ")
        return f"{head.rstrip('0').rstrip('.') if '.' in head else head} {unit}".strip()

    @property
    def shown_title(self) -> str:
        """With the unit where ticks have none."""
        return f"{self.title}, {self.unit}" if len(self.unit) > _LONG_UNIT else self.title


@dataclass
class Plot:
    """Collects what is drawn; pixels come from `x` and `y`."""

    width: int
    height: int
    x_axis: Axis
    y_axis: Axis
    keys: Sequence[Key] = ()
    parts: list[Html] = field(default_factory=list[Html])
    top: float = 0.0

    def __post_init__(self) -> None:
        self._legend, self.top = legend(self.keys, self.width)
        self.height += round(self.top)

    @property
    def x_pixels(self) -> tuple[float, float]:
        """From left to right."""
        return _LEFT, self.width - _RIGHT

    @property
    def y_pixels(self) -> tuple[float, float]:
        """From the bottom up."""
        return self.height - _BOTTOM, self.top + _TOP

    def scales(self, x: Scale, y: Scale, x_ticks: Sequence[float] | None = None) -> None:
        """The scales, and with them the grid and the axes; `x_ticks` in place of round numbers."""
        self.x, self.y = x, y
        left, right = self.x_pixels
        bottom, top = self.y_pixels
        grid: list[Html] = []
        most = max(2, round((right - left) / _TICK_WIDTH))
        for value in x.ticks(most) if x_ticks is None else x_ticks:
            at = number(x(value))
            grid.append(Html(f'<path class="grid" d="M{at} {number(bottom)}V{number(top)}"/>'))
            text = self.x_axis.text(value)
            grid.append(tag("text", text, x=x(value), y=bottom + 16, class_="tick mid"))
        for value in y.ticks(max(2, round((bottom - top) / 56))):
            at = number(y(value))
            grid.append(Html(f'<path class="grid" d="M{number(left)} {at}H{number(right)}"/>'))
            text = self.y_axis.text(value)
            grid.append(tag("text", text, x=left - 7, y=y(value) + 4, class_="tick end"))
        base = f"M{number(left)} {number(bottom)}H{number(right)}"
        grid.append(Html(f'<path class="axis" d="{base}"/>'))
        titles = (
            tag("text", self.y_axis.shown_title, x=0, y=top - 12, class_="title"),
            tag("text", self.x_axis.shown_title, x=right, y=self.height - 6, class_="title end"),
        )
        self.parts.append(tag("g", joined((*grid, *titles)), aria_hidden="true"))

    def line(self, points: Iterable[tuple[float, float]], style: int, classes: str = "") -> None:
        """A line through values, in a style's colour."""
        pixels = [(self.x(a), self.y(b)) for a, b in points]
        if len(pixels) > 1:
            path = "L".join(f"{number(a)} {number(b)}" for a, b in pixels)
            names = f"line {colour(style)} {classes}".rstrip()
            self.parts.append(Html(f'<path class="{names}" d="M{path}"/>'))

    def band(
        self,
        low: Sequence[tuple[float, float]],
        high: Sequence[tuple[float, float]],
        style: int,
        classes: str = "",
    ) -> None:
        """What lies between two lines."""
        around = [(self.x(a), self.y(b)) for a, b in (*low, *reversed(high))]
        path = "L".join(f"{number(a)} {number(b)}" for a, b in around)
        names = f"band {colour(style)} {classes}".rstrip()
        self.parts.append(Html(f'<path class="{names}" d="M{path}Z"/>'))

    def rule(self, x: float | None = None, y: float | None = None, text: str = "") -> None:
        """A line across at a value, with what it means."""
        left, right = self.x_pixels
        bottom, top = self.y_pixels
        if x is not None:
            path = f"M{number(self.x(x))} {number(bottom)}V{number(top)}"
            at = (self.x(x) + 5, top + 10)
        else:
            path = f"M{number(left)} {number(self.y(y or 0))}H{number(right)}"
            at = (left + 4, self.y(y or 0) - 5)
        self.parts.append(Html(f'<path class="rule" d="{path}"/>'))
        if text:
            self.write(*at, text)

    def write(self, x_px: float, y_px: float, text: str, classes: str = "") -> None:
        """Small text at a pixel."""
        self.parts.append(
            tag("text", text, x=x_px, y=y_px, class_=f"note {classes}".rstrip(), aria_hidden="true")
        )

    def marks(self, marks: Iterable[Mark]) -> None:
        """Cases; with an interval as an upright line."""
        for mark in marks:
            x, y = self.x(mark.x), self.y(mark.y)
            if mark.low is not None and mark.high is not None:
                path = f"M{number(x)} {number(self.y(mark.low))}V{number(self.y(mark.high))}"
                names = f"whisker {colour(mark.style)} {mark.classes}".rstrip()
                self.parts.append(Html(f'<path class="{names}" d="{path}"/>'))
            self.parts.append(drawn(mark, x, y))

    def ring(self, x: float, y: float, style: int, classes: str = "") -> None:
        """A circle around a mark."""
        at = f'cx="{number(self.x(x))}" cy="{number(self.y(y))}" r="9"'
        names = f"ring {colour(style)} {classes}".rstrip()
        self.parts.append(Html(f'<circle class="{names}" {at}/>'))

    def svg(self, label: str) -> Html:
        """The whole figure."""
        return svg(self.width, self.height, label, (self._legend, *self.parts))


def svg(width: float, height: float, label: str, parts: Iterable[Html]) -> Html:
    """An SVG element of a size; its marks can be walked through by arrow keys."""
    return tag(
        "svg",
        joined(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="group",
        aria_label=label,
        tabindex="0",
    )


@dataclass(frozen=True)
class Figure:
    """A figure by name; `draw` makes it for a width."""

    name: str
    title: str
    draw: Callable[[int], Html]
    caption: Html | str | None = None
    half: bool = False  # of two beside each other

    @property
    def width(self) -> int:
        """In pixels, on a wide screen."""
        return HALF if self.half else WIDE

    def html(self) -> Html:
        """For both widths; one of them is shown."""
        head = tag("h3", self.title) if self.title else None
        pictures = (
            tag("div", self.draw(width), class_=kind)
            for width, kind in ((self.width, "wide"), (NARROW, "narrow"))
        )
        caption = tag("figcaption", self.caption) if self.caption else None
        half = "half" if self.half else None
        name = f"figure-{self.name}"
        return tag("figure", head, joined(pictures), caption, id=name, class_=half)


__all__ = ["HALF", "NARROW", "WIDE", "Axis", "Figure", "Key", "Mark", "Plot", "svg"]
