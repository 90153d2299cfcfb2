"""Which numbers a column can hold: no time is zero, no count negative, and no ratio endless.

A number outside its range is bad input, named to the cell, and never part of a result. So is a
column that holds a known quantity in another unit: `time_median_ms` would be a column of unknown
text to a reader, and the times would be missing.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from traincost.data.record import COLUMNS

_SIGNED = frozenset({"loss_first", "loss_last", "loss_heldout", "seed", "temperature_max_c"})
POSITIVE = frozenset(
    name
    for name in COLUMNS
    if (name.startswith("time_") and name != "time_stddev_s")
    or name in ("samples_per_s", "tokens_per_s", "peak_flops_per_s", "peak_bytes_per_s")
)
NON_NEGATIVE = (
    frozenset(name for name, kind in COLUMNS.items() if kind is not str) - POSITIVE - _SIGNED
)
DIVIDED = POSITIVE | {"gpu_energy_j", "cpu_energy_j", "energy_to_target_j"}
"""Whose ratios are formed; those, and the mean of two, must be numbers that a cell can hold."""
LEAST, MOST = 1e-100, 1e100
_UNIT = re.compile(r"(_mean|_max|_per)?_(s|j|w|hz|c|bytes|rel)$")
_OTHER_UNITS = (
    *("ms", "us", "ns", "sec", "seconds", "min", "mj", "uj", "kj", "wh", "kwh", "mw", "kw"),
    *("b", "kb", "mb", "gb", "kib", "mib", "gib", "mhz", "ghz", "percent", "pct"),
)


def range_fault(column: str, value: float) -> str | None:
    """What was expected of `value` instead; None where it can be."""
    if column in POSITIVE and value <= 0:
        return "a number above 0"
    if column in NON_NEGATIVE and value < 0:
        return "0 or more"
    if column in DIVIDED and value and not LEAST <= value <= MOST:
        return f"a number from {LEAST:g} to {MOST:g}"
    return None


def ends_fault(column: str, lowest: float, highest: float) -> tuple[float, str] | None:
    """Of a whole column, by its ends: the value that cannot be, and what was expected."""
    for value in (lowest, highest):
        if expected := range_fault(column, value):
            return value, expected
    return None


def unit_faults(header: Collection[str]) -> dict[str, str]:
    """Columns of a header that are one of ours in another unit, and which column was expected."""
    ours = {_UNIT.sub("", name): name for name in COLUMNS if _UNIT.search(name)}
    found: dict[str, str] = {}
    for name in header:
        stem, _, unit = name.rpartition("_")
        if name not in COLUMNS and unit.lower() in _OTHER_UNITS and stem in ours:
            found[name] = ours[stem]
    return found
