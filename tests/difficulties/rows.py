"""The rows of the reference run, and what several seeds of one thing say together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from traincost.data.record import Record
from traincost.data.results import read_records

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
SUITES = ("gradients", "optimizers", "learning_rate", "data_requirements", "tuning", "efficiency")


def file_of(suite: str) -> Path:
    """Where the rows of a suite lie."""
    return REFERENCE / f"{suite}-cpu-standard.csv"


def rows_of(suite: str) -> list[Record]:
    """All rows of a suite."""
    return read_records(file_of(suite))


def told(record: Record, name: str) -> str:
    """An axis as text, a column or the suite's own."""
    return record.axes.get(name) or str(getattr(record, name, ""))


def number(record: Record, name: str) -> float | None:
    """A result, a column or the suite's own."""
    value = record.metrics.get(name)
    value = getattr(record, name, None) if value is None else value
    return None if value is None else float(value)


def those(rows: Iterable[Record], test: str, **axes: object) -> list[Record]:
    """Rows of a test with these values."""
    wanted = {name: str(value) for name, value in axes.items()}
    return [
        r
        for r in rows
        if r.case_id.partition("[")[0].endswith(f"/{test}")
        and all(told(r, name) == value for name, value in wanted.items())
    ]


def one(rows: Iterable[Record], test: str, **axes: object) -> Record:
    """The only such row."""
    found = those(rows, test, **axes)
    assert len(found) == 1, f"{test} {axes}: {len(found)} rows"
    return found[0]


def values(rows: Iterable[Record], name: str, order: Sequence[str] = ()) -> list[str]:
    """The values of an axis, in this order, then in that of the rows."""
    found = dict.fromkeys(told(r, name) for r in rows)
    return [v for v in order if v in found] + [v for v in found if v not in order]


@dataclass(frozen=True)
class Spread:
    """The median over seeds, and the lowest and highest; `n` of `of` rows have a value."""

    low: float
    median: float
    high: float
    n: int
    of: int

    def text(self, spec: str = ",.0f") -> str:
        """`130 (110 to 150)`, and how many seeds that is, where it is not all."""
        low, median, high = (format(v, spec) for v in (self.low, self.median, self.high))
        between = "" if low == high else f" ({low} to {high})"
        return f"{median}{between}{'' if self.n == self.of else f', {self.n} of {self.of} seeds'}"


def spread(rows: Sequence[Record], name: str) -> Spread | None:
    """Over the rows that have a value; None where none has."""
    known = [v for v in (number(r, name) for r in rows) if v is not None]
    if not known:
        return None
    return Spread(min(known), statistics.median(known), max(known), len(known), len(rows))


ROUNDS = 20
"""The fewest that a time is told of: a training that diverges at once has one or two."""


def is_timed(record: Record) -> bool:
    """Whether enough of its steps were timed for the fastest of them to be one."""
    return record.time_min_s is not None and (record.rounds or 0) >= ROUNDS


def fastest_s(record: Record) -> float:
    """Of a step: the fastest round, which other work on the machine disturbs least."""
    assert record.time_min_s is not None, record.case_id
    return record.time_min_s
