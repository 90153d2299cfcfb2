"""What a driver of a fleet and a slot's pytest tell each other, a line of JSON each.

traincost fleet  --Order-->  pytest --cost-fleet  --Reply-->  traincost fleet

The first line that comes from a slot is its `Hello`: which machine it is, and which cases it has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from traincost.data.case import Case
from traincost.data.record import Record
from traincost.data.results import record_of_row, to_row

Told = dict[str, Any]


@dataclass(frozen=True)
class Offer:
    """A case that a slot has collected."""

    case_id: str
    suite: str
    axes: Mapping[str, str] = field(default_factory=dict[str, str])
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])
    first: bool = False  # others need its numbers
    unavailable: bool = False  # here it would only become a row that says so

    @property
    def case(self) -> Case:
        """As the slot's pytest named it."""
        return Case(self.suite, self.case_id, self.axes, self.defaults)


@dataclass(frozen=True)
class Hello:
    """A slot is ready."""

    machines: Mapping[str, Mapping[str, Any]]  # kind of device: machine columns of its rows
    facts: Mapping[str, str]  # kind of device: text of a `machine.json`
    offers: Sequence[Offer]

    @property
    def machine_ids(self) -> tuple[str, ...]:
        """What makes slots alike: rows of theirs are compared."""
        return tuple(sorted({str(m["machine_id"]) for m in self.machines.values()}))

    def to_text(self) -> str:
        """One line."""
        offers = json.dumps([asdict(offer) for offer in self.offers])
        return json.dumps({"machines": self.machines, "facts": self.facts, "offers": offers})

    @classmethod
    def of_text(cls, text: str) -> Hello:
        """The reverse; slots that offer the same share one tuple of offers."""
        told: Told = json.loads(text)
        return cls(told["machines"], told["facts"], _offers_of(told["offers"]))


@dataclass(frozen=True)
class Order:
    """Run this case."""

    case_id: str
    peaks: Sequence[Record] = ()  # rows of the suite `machine`, of slots like this

    def to_text(self) -> str:
        """One line."""
        return json.dumps({"case_id": self.case_id, "peaks": [_told(r) for r in self.peaks]})

    @classmethod
    def of_text(cls, text: str) -> Order:
        """The reverse."""
        told: Told = json.loads(text)
        return cls(told["case_id"], tuple(record_of_row(row) for row in told["peaks"]))


@dataclass(frozen=True)
class Reply:
    """A case has ended."""

    case_id: str
    record: Record | None  # None: it left no row
    rounds_s: Sequence[float] = ()
    in_case_s: float = 0.0  # from set-up to teardown

    def to_text(self) -> str:
        """One line."""
        row = None if self.record is None else _told(self.record)
        told = {"case_id": self.case_id, "record": row, "in_case_s": self.in_case_s}
        return json.dumps({**told, "rounds_s": list(self.rounds_s)})

    @classmethod
    def of_text(cls, text: str) -> Reply:
        """The reverse."""
        told: Told = json.loads(text)
        row = told["record"]
        record = None if row is None else record_of_row(row)
        return cls(told["case_id"], record, tuple(told["rounds_s"]), told["in_case_s"])


@lru_cache(maxsize=64)  # kinds of machine
def _offers_of(text: str) -> tuple[Offer, ...]:
    return tuple(Offer(**told) for told in json.loads(text))


def _told(record: Record) -> Told:
    return {name: value for name, value in to_row(record).items() if value is not None}
