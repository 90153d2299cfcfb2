"""HTML and SVG as text that is safe by its type: whatever is not `Html` already is escaped.

Cells of a CSV were written by anybody, so nothing of them may become a tag, an attribute, or half a
megabyte of one line: marks are escaped, control characters and those that turn text around are
shown as �, and long strings are cut, with their length said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST_TEXT = 600
"""Characters of one piece of text; a note's reasons have 500 at most."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "`": "&#96;"}
)
_VOID = frozenset({"meta", "br", "input", "link", "hr"})

Child = object
"""Html, text, a number, or None, which is nothing."""


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def shown(text: str) -> str:
    """Text as people may see it: visible, and not endless."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}… (cut; {len(text):,} characters)"
    return _UNSEEN.sub("�", text)


def escaped(text: object) -> str:
    """Any text, for between tags and for inside quotes."""
    return shown(str(text)).translate(_ESCAPES)


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """An element. `class_` and `data_v` are written `class` and `data-v`; None is left out."""
    opened = name + "".join(_attribute(k, v) for k, v in attributes.items())
    if name in _VOID:
        return Html(f"<{opened}>")
    return Html(f"<{opened}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """Children one after the other; what is not `Html` is escaped."""
    parts = (c if isinstance(c, Html) else "" if c is None else escaped(c) for c in children)
    return Html("".join(parts))


def folded(summary: Child, *children: Child, is_open: bool = False) -> Html:
    """What is shown on demand: many wide tables would make a page that nobody scrolls through."""
    return tag("details", tag("summary", summary), *children, class_="fold", open=is_open)


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    return f' {name}="{number(value) if isinstance(value, float) else escaped(value)}"'


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0")
