"""One figure of the page as a file: SVG as it is, or PNG by resvg, a renderer without a browser."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from traincost.data.errors import BadInputError
from traincost.show.report.colours import DARK, LIGHT, figure_style
from traincost.show.report.content import Report, Section
from traincost.show.report.html import Html, joined, tag
from traincost.show.report.page import sections_of
from traincost.show.report.plot import Figure

_MARGIN, _TITLE = 16, 26
_ZOOM = 2
_FAMILIES = ("Inter", "Roboto", "Arial", "Helvetica", "Liberation Sans", "DejaVu Sans", "Noto Sans")


def figures_of(sections: Iterable[Section]) -> dict[str, Figure]:
    """Every figure of the page, by name."""
    return {figure.name: figure for section in sections for figure in section.figures}


def svg_file(report: Report, name: str) -> str:
    """The text of an SVG file with a figure of the page. BadInputError if there is none of it."""
    sections = sections_of(report)
    known = figures_of(sections)
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise BadInputError(
            f"--figure {name!r}: not a figure of these rows{hint}; expected one of "
            f"{', '.join(known) or 'none: nothing can be drawn'}"
        )
    figure = known[name]
    title = figure.title or next(s.title for s in sections if figure in s.figures)
    return framed(title, figure.draw(figure.width))


def framed(title: str, inner: Html, *, follows_reader: bool = False) -> str:
    """The text of an SVG file: a drawing on a card, under its title.

    Light; `follows_reader` makes it dark where the reader's system is, for pages on a screen.
    """
    width, height = (int(_attribute(inner, a)) for a in ("width", "height"))
    dark = f"@media (prefers-color-scheme: dark) {{\n{figure_style(DARK)}}}\n"
    body = joined(
        (
            tag("style", Html(figure_style() + (dark if follows_reader else ""))),
            tag("rect", width="100%", height="100%", fill=LIGHT["card"], class_="card"),
            tag("text", title, x=_MARGIN, y=_MARGIN + 8, font_weight="bold", font_size="15"),
            tag("g", inner, transform=f"translate({_MARGIN} {_MARGIN + _TITLE})"),
        )
    )
    wide, high = width + 2 * _MARGIN, height + 2 * _MARGIN + _TITLE
    outer = tag(
        "svg",
        body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {wide} {high}",
        width=f"{wide}",
        height=f"{high}",
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{outer}\n'


def _attribute(svg: str, name: str) -> str:
    return svg.partition(f' {name}="')[2].partition('"')[0]


def png(svg: str) -> bytes:
    """The picture of an SVG, two pixels a pixel. BadInputError where resvg or a font is missing."""
    resvg: Any
    try:
        resvg = importlib.import_module("resvg_py")
    except ImportError as e:
        raise BadInputError(
            "--format png: resvg-py is not installed; expected pip install 'traincost[png]', or "
            "--format svg"
        ) from e
    family = next((f for f in _FAMILIES if _is_installed(resvg, f)), None)
    if family is None:
        raise BadInputError(
            f"--format png: none of the fonts {', '.join(_FAMILIES)} is installed; expected one "
            "(as apt-get install fonts-dejavu-core), or --format svg"
        )
    return bytes(resvg.svg_to_bytes(svg_string=svg, zoom=_ZOOM, sans_serif_family=family))


def _is_installed(resvg: Any, family: str) -> bool:
    """Whether a letter leaves anything on the picture: resvg says nothing of a missing font."""
    empty = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}</svg>'
    letter = f'<text x="2" y="16" font-family="{family}" font-size="16">M</text>'
    blank, written = (
        bytes(resvg.svg_to_bytes(svg_string=empty.format(inside))) for inside in ("", letter)
    )
    return blank != written
