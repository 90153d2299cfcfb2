"""How wide text will be: an SVG has no layout, so that labels are placed and cut by arithmetic.

Widths are those of DejaVu Sans, the widest of the fonts that the page asks for; where another one
is used, labels have room to spare. A letter that isn't in the table is as wide as a Chinese one.
"""

from __future__ import annotations

from collections.abc import Iterator

SIZE_PX = 12.0
"""The font of labels and legends."""

_CLASSES = (  # parts of the font's size
    *((0.28, "'ijl"), (0.34, " ,./:;IJ\\f|·"), (0.41, "!()-[]rt"), (0.5, '"*_`')),
    *((0.6, "?FLcksvxyz"), (0.65, "$0123456789EKPSTYabdeghnopqu{}µ"), (0.73, "ABCHNRUVXZ")),
    (0.84, "#&+<=>DGOQ^w~"),
)
_EMS = {letter: ems for ems, letters in _CLASSES for letter in letters}
_WIDEST = 1.0


def width_px(text: str, size_px: float = SIZE_PX) -> float:
    """Of one line."""
    return size_px * sum(_EMS.get(letter, _WIDEST) for letter in text)


def fitted(text: str, room_px: float, size_px: float = SIZE_PX) -> str:
    """Text cut to a width, with … in its middle, as both ends of a name tell cases apart."""
    if width_px(text, size_px) <= room_px:
        return text
    room = room_px - size_px * _WIDEST
    left = _as_many(iter(text), room * 0.6, size_px)
    right = _as_many(reversed(text), room - width_px(text[:left], size_px), size_px)
    return f"{text[: max(left, 1)]}…{text[len(text) - max(right, 1) :]}"


def _as_many(letters: Iterator[str], room_px: float, size_px: float) -> int:
    """How many of them fit."""
    n = 0
    for letter in letters:
        room_px -= width_px(letter, size_px)
        if room_px < 0:
            break
        n += 1
    return n
