"""Numbers as people give them in options: 7B, 350M, 1.3e9."""

from __future__ import annotations

import re
from decimal import Decimal

from traincost.data.errors import BadInputError

_AMOUNT = re.compile(r"(\d+(?:\.\d*)?(?:[eE][+]?\d+)?)([kMGBT]?)", re.ASCII)
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_MOST = 10**24
_MOST_COUNTED = 2**53
"""Whole numbers up to here are exact as floats."""


def amount_of(text: str, option: str) -> float:
    """`7B` -> 7e9, 1 at least and whole. BadInputError names the option."""
    value = _value(text)
    if value is None or not 1 <= value <= _MOST or value != int(value):
        raise BadInputError(
            f"{option} {text!r}: expected a whole number above 0, as 7B, 350M or 1.3e9 "
            "(k, M, B or G, T)"
        )
    return float(value)


def count_of(text: str, option: str) -> int:
    """The same of what is counted one by one: at most 2^53."""
    value = amount_of(text, option)
    if value > _MOST_COUNTED:
        raise BadInputError(f"{option} {text!r}: expected at most 2^53, {_MOST_COUNTED:,}")
    return int(value)


def rate_of(text: str, option: str) -> float:
    """`0.20` -> 0.2: 0 or more. BadInputError names the option."""
    value = _value(text)
    if value is None or value > _MOST:
        raise BadInputError(f"{option} {text!r}: expected a number, 0 or more, as 2.5 or 400")
    return float(value)


def _value(text: str) -> Decimal | None:
    match = _AMOUNT.fullmatch(text.strip())
    return Decimal(match[1]) * _UNITS[match[2]] if match and len(text) <= 40 else None
