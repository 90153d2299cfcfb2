"""What stands for one case in a figure: a shape and a colour a machine, a name, a way to its row.

Machines differ in shape and in colour, so that no one has to tell colours apart. A mark is a link
to its case's row; what it says is its label, which the page also shows on top of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from traincost.show.report.html import Html, joined, number, tag
from traincost.show.report.letters import fitted, width_px

N_COLOURS = 8
_R = 4.6


def _polygon(n: int, radius: float, turn: float) -> tuple[tuple[float, float], ...]:
    angles = (turn + 2 * math.pi * i / n for i in range(n))
    return tuple((radius * math.sin(a), -radius * math.cos(a)) for a in angles)


_PLUS = ((-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1))
_SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    (),  # a circle
    _polygon(4, _R * 1.2, math.pi / 4),
    _polygon(3, _R * 1.35, 0),
    _polygon(4, _R * 1.3, 0),
    _polygon(3, _R * 1.35, math.pi),
    tuple((x * 1.7, y * 1.7) for x, y in (*_PLUS, (-3, -1), (-1, -1))),
    _polygon(6, _R * 1.15, 0),
)


@dataclass(frozen=True)
class Mark:
    """One case at a place."""

    x: float
    y: float
    label: str
    style: int = 0  # which colour and shape
    classes: str = ""  # by which filters hide it
    href: str | None = None
    hollow: bool = False  # measured, and not to be leaned on
    size: float = 1.0
    low: float | None = None  # ends of an interval
    high: float | None = None


def colour(style: int) -> str:
    """The class of a colour."""
    return f"s{style % N_COLOURS}"


def shape(style: int, x: float, y: float, size: float = 1.0) -> Html:
    """The outline of a style's mark."""
    points = _SHAPES[style % len(_SHAPES)]
    if not points:
        return Html(f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(_R * size)}"/>')
    path = "L".join(f"{number(x + px * size)} {number(y + py * size)}" for px, py in points)
    return Html(f'<path d="M{path}Z"/>')


def drawn(mark: Mark, x: float, y: float) -> Html:
    """A mark at a pixel: a link where its case has a row."""
    classes = f"m {colour(mark.style)}{' hollow' if mark.hollow else ''} {mark.classes}".rstrip()
    body = shape(mark.style, x, y, mark.size)
    if mark.href is None:
        return tag("g", body, class_=classes, role="img", aria_label=mark.label, tabindex="-1")
    return tag("a", body, class_=classes, href=mark.href, aria_label=mark.label, tabindex="-1")


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    name: str
    style: int
    line: bool = False
    hollow: bool = False


_KEY_WIDTH, _KEY_HEIGHT, MOST_KEYS = 22, 20, 12
_GAP = 16


def legend(keys: Sequence[Key], width: float) -> tuple[Html, float]:
    """Keys in as many lines as they need, and the height of these; nothing for one key alone."""
    if len(keys) < 2:
        return Html(""), 0.0
    shown = list(keys[:MOST_KEYS])
    parts: list[Html] = []
    x, y = 0.0, 10.0
    for key in shown:
        text = fitted(key.name, width - _KEY_WIDTH)
        wide = _KEY_WIDTH + width_px(text) + _GAP
        if x and x + wide - _GAP > width:
            x, y = 0.0, y + _KEY_HEIGHT
        body = (
            Html(f'<path class="line {colour(key.style)}" d="M{x:.0f} {y:.0f}h14"/>')
            if key.line
            else tag(
                "g",
                shape(key.style, x + 7, y),
                class_=f"m {colour(key.style)}{' hollow' if key.hollow else ''}",
            )
        )
        parts += [body, tag("text", text, x=x + _KEY_WIDTH - 2, y=y + 4, class_="key")]
        x += wide
    if len(keys) > MOST_KEYS:
        y += _KEY_HEIGHT
        parts.append(tag("text", f"and {len(keys) - MOST_KEYS} more", x=0, y=y + 4, class_="key"))
    return tag("g", joined(parts), class_="legend", aria_hidden="true"), y + _KEY_HEIGHT
