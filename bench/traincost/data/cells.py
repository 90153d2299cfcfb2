"""One CSV cell: a value to text and back, unchanged.

Text that a spreadsheet would run as a formula gets a leading apostrophe, taken off when reading.
Numbers are written by `repr`, so that a float comes back to the bit.
"""

import math
import re
from collections.abc import Iterable

LARGEST_INTEGER = 2**63 - 1
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_SPECIAL = frozenset(',"\r\n')
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"[ \t\v\f]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?[ \t\v\f]*")
"""As a spreadsheet may write it. An integer is digits only: `1.6E+10` has lost its own."""

EXPECTED = {
    int: "an integer of 64 bits or nothing",
    float: "a finite number or nothing",
    str: "text",
}


def write_cell(value: str | int | float | None) -> str:
    """Text of a cell; empty for None."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value}: expected a finite number; leave it None and say why in `notes`")
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{value}: expected an integer of 64 bits")
    return repr(value)


def csv_line(cells: Iterable[str]) -> str:
    """One line of a CSV, quoted where needed.

    `csv.writer` leaves a lone carriage return unquoted before Python 3.13, and splits the row.
    """
    return ",".join(_quoted(c) if _SPECIAL & set(c) else c for c in cells) + "\n"


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def read_cell(text: str, kind: type) -> str | int | float | None:
    """The value of a cell of a column of type `kind`; ValueError if it is none."""
    if text == "":
        return None
    if kind is str:
        return text[1:] if text.startswith("'") else text
    pattern = _INTEGER if kind is int else _NUMBER
    if not pattern.fullmatch(text):
        raise ValueError(f"{text!r}: expected {EXPECTED[kind]}")
    if kind is int:
        if abs(integer := int(text)) > LARGEST_INTEGER:
            raise ValueError(f"{text!r}: expected {EXPECTED[kind]}")
        return integer
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text!r}: expected {EXPECTED[kind]}")
    return number
