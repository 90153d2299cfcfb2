"""The colours of page and figures, light and dark, and the style of a figure that stands alone.

Each series' colour has a contrast of 3:1 at least to the card it lies on, text 4.5:1; a test
computes them. Series are told apart by shape too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

LIGHT: Mapping[str, str] = {
    **{"page": "#f4f5f7", "card": "#ffffff", "ink": "#161b22", "muted": "#596273"},
    **{"grid": "#e9ebef", "axis": "#aab1bc", "edge": "#dfe2e8", "link": "#1a5fb4"},
    **{"good": "#17734a", "bad": "#b3261e", "warn": "#8a5a00", "chip": "#eef0f4"},
    **{"s0": "#2468c8", "s1": "#d9541e", "s2": "#0f8563", "s3": "#8250d0"},
    **{"s4": "#c52f86", "s5": "#8a6a00", "s6": "#0b7f99", "s7": "#6b7280"},
}
DARK: Mapping[str, str] = {
    **{"page": "#0e1116", "card": "#171b22", "ink": "#e6e9ee", "muted": "#a0a9b6"},
    **{"grid": "#262c36", "axis": "#4b5462", "edge": "#2a313c", "link": "#79b0ff"},
    **{"good": "#56c98d", "bad": "#ff8a80", "warn": "#e3b341", "chip": "#222833"},
    **{"s0": "#5c9dff", "s1": "#ff8552", "s2": "#34c798", "s3": "#b18cff"},
    **{"s4": "#f573bd", "s5": "#d9b13b", "s6": "#3fc1dd", "s7": "#9aa3af"},
}
_HERE = Path(__file__).parent


def variables(colours: Mapping[str, str]) -> str:
    """As custom properties of CSS."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())


def text_of(name: str) -> str:
    """A file that stands beside this one."""
    return (_HERE / name).read_text(encoding="utf-8")


def page_style() -> str:
    """All CSS of the page."""
    dark = variables(DARK)
    return (
        f":root{{color-scheme:light dark;{variables(LIGHT)}}}\n"
        f"@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"
        f":root[data-theme=light]{{color-scheme:light;{variables(LIGHT)}}}\n"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}}}\n"
        f"{text_of('figure.css')}\n{text_of('page.css')}"
    )


def figure_style(colours: Mapping[str, str] = LIGHT) -> str:
    """The CSS of a figure alone, without custom properties: few programs know these."""
    css = text_of("figure.css")
    css = re.sub(r"^\.s\d.*\n?", "", css, flags=re.M)
    css = re.sub(r"^.*var\(--c\).*\n?", "", css, flags=re.M)
    for i in range(8):
        colour = colours[f"s{i}"]
        css += (
            f".m.s{i}, .band.s{i}, .bar.s{i} {{ fill: {colour}; }}\n"
            f".line.s{i}, .whisker.s{i}, .ring.s{i}, .m.hollow.s{i} {{ stroke: {colour}; }}\n"
            f".m.hollow.s{i} {{ fill: {colours['card']}; }}\n"
        )
    css += f"svg .card {{ fill: {colours['card']}; }}\n"
    css = re.sub(r"var\(--(\w+)\)", lambda m: colours[m[1]], css)
    return re.sub(r"font: 12px [^;]*;", "font-size: 12px; font-family: sans-serif;", css)
