"""A figure of one axis, a line of text a row: ratios with their intervals, or stacked bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from traincost.show.report.html import Html, joined, number, tag
from traincost.show.report.letters import fitted, width_px
from traincost.show.report.marks import Key, Mark, colour, drawn, legend
from traincost.show.report.plot import WIDE, Axis, svg
from traincost.show.report.scale import Scale, linear_scale, log_scale

_LABEL_SHARE = 0.42
_VALUE_WIDTH = 108
_ROW, _STACKED_ROW = 24, 38
_BOTTOM = 40


@dataclass(frozen=True)
class Row:
    """A name, its marks or the parts of its bar, and what is written at its end."""

    label: str
    marks: Sequence[Mark] = ()
    parts: Sequence[tuple[float, int]] = ()  # lengths and styles, from left to right
    value: str = ""
    classes: str = ""
    told: str = ""  # of a bar, to who cannot see it
    href: str | None = None
    style: int = 0


def rows_svg(
    width: int,
    rows: Sequence[Row],
    axis: Axis,
    label: str,
    *,
    keys: Sequence[Key] = (),
    rule: float | None = None,
    sides: tuple[str, str] = ("", ""),
    label_share: float = _LABEL_SHARE,
) -> Html:
    """Rows from top to bottom; `sides` say what lies left and right of the rule.

    Labels have a share of a wide figure's width, and lines of their own in a narrow one.
    """
    wide = width >= WIDE
    each = _ROW if wide else _STACKED_ROW
    key, top = legend(keys, width)
    top += 20 if any(sides) else 4
    left = width * label_share if wide else 4.0
    right = width - _VALUE_WIDTH if wide else width - 10.0
    bottom = top + each * len(rows)
    scale = _scale(rows, axis, rule, left, right)
    grid: list[Html] = []
    for value in scale.ticks(max(2, round((right - left) / 84))):
        at = number(scale(value))
        grid.append(Html(f'<path class="grid" d="M{at} {number(top)}V{number(bottom)}"/>'))
        grid.append(tag("text", axis.text(value), x=scale(value), y=bottom + 15, class_="tick mid"))
    grid.append(tag("text", axis.shown_title, x=right, y=bottom + 33, class_="title end"))
    if rule is not None:
        rule_px = scale(rule)
        grid.append(
            Html(f'<path class="rule" d="M{number(rule_px)} {number(top - 4)}V{number(bottom)}"/>')
        )
        for text, x, where in ((sides[0], rule_px - 8, "end"), (sides[1], rule_px + 8, "")):
            grid.append(tag("text", text, x=x, y=top - 7, class_=f"note {where}".rstrip()))
    body = [_row(r, i * each + top, each, scale, width, left, wide) for i, r in enumerate(rows)]
    parts = (key, tag("g", joined(grid), aria_hidden="true"), *body)
    return svg(width, bottom + _BOTTOM, label, parts)


def _scale(rows: Sequence[Row], axis: Axis, rule: float | None, left: float, right: float) -> Scale:
    values = [v for r in rows for m in r.marks for v in (m.x, m.low, m.high) if v is not None]
    values += [sum(length for length, _ in r.parts) for r in rows if r.parts]
    values += [] if rule is None else [rule]
    if axis.log:
        return log_scale(values, left, right, least=0.1)
    return linear_scale(values, left, right)


def _row(
    row: Row, top: float, each: float, scale: Scale, width: int, left: float, wide: bool
) -> Html:
    y = top + (each / 2 if wide else each - 11)
    text_y = y + 4 if wide else top + 13
    room = left - 14 if wide else width - 10 - width_px(row.value) - 12
    parts: list[Html] = [
        tag("text", fitted(row.label, room), x=0, y=text_y, class_="label"),
        tag("text", row.value, x=width, y=text_y, class_="value end"),
    ]
    if row.parts:
        parts.append(_bar(row, y, scale))
    for mark in row.marks:
        if mark.low is not None and mark.high is not None:
            ends = f"M{number(scale(mark.low))} {number(y)}H{number(scale(mark.high))}"
            parts.append(Html(f'<path class="whisker {colour(mark.style)}" d="{ends}"/>'))
        parts.append(drawn(mark, scale(mark.x), y))
    return tag("g", joined(parts), class_=row.classes or None)


def _bar(row: Row, y: float, scale: Scale) -> Html:
    x = scale.start
    parts: list[Html] = []
    for i, (length, style) in enumerate(row.parts):
        wide = scale(length) - scale.start
        names = f"bar {colour(style)}{' second' if i else ''}"
        box = f'x="{number(x)}" y="{number(y - 6)}" width="{max(wide - 1, 0.6):.1f}" height="12"'
        parts.append(Html(f'<rect class="{names}" {box} rx="2"/>'))
        x += wide
    name = "a" if row.href else "g"
    return tag(
        name,
        joined(parts),
        class_="m bars",
        href=row.href,
        role=None if row.href else "img",
        aria_label=row.told,
        tabindex="-1",
    )
