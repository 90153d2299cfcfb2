"""What the readers of other tools' files share: the file as rows, and single values checked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from traincost.data.case import Case
from traincost.data.errors import BadInputError
from traincost.data.record import COLUMNS, Record

Tool = Literal["pytest-benchmark", "Liger-Kernel"]


@dataclass(frozen=True)
class ForeignFile:
    """The rows of another tool's file, and what it does not tell."""

    tool: Tool
    records: Sequence[Record]
    missing: Sequence[str]
    skipped: Sequence[str] = ()  # kinds of rows that are not read


def machine_id(*facts: object) -> str:
    """As ours, over the little that these files know of a machine."""
    return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:12]


def columns(case: Case) -> dict[str, Any]:
    """The case's axes that are columns; the defaults of our own suites are not known to hold."""
    typed = case.columns()
    return {k: v for k, v in typed.items() if k in case.axes and k in COLUMNS}


def seconds(where: str, value: Any, *, zero: bool = False) -> float | None:
    """A time, None where there is none; `where` is what a message about a bad one begins with."""
    if value is None:
        return None
    number = float(value) if isinstance(value, int | float) and value is not True else math.nan
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise BadInputError(f"{where}: {value!r}; expected seconds, above 0")
    return number
