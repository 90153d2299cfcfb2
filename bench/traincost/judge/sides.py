"""The rows of BASE and HEAD, put together by case, and what of them can be used.

Throttled and unstable rows are left out of everything that is measured: their time says little
about the code. What is counted (`exact.py`) is right in them, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from traincost.data.errors import BadInputError
from traincost.data.record import Record, Status
from traincost.judge.exact import EXACT
from traincost.judge.policy import STATISTICAL

BASE, HEAD = "BASE", "HEAD"
MEASURED = (Status.OK, Status.UNSTABLE, Status.THROTTLED)
LEFT_OUT = (Status.UNSTABLE, Status.THROTTLED)
FAILING = (Status.ERROR, Status.OOM, Status.INVALID, Status.DIVERGED)
MACHINE = (
    *("host", "cpu", "gpu", "gpu_uuid", "driver", "cuda", "torch", "triton", "arch", "python"),
    *("threads", "commit"),
)
"""Columns of the machine and its software in which two sides may differ."""
MOST_PAIRS = 10**6
_PLANNED = re.compile(r"one of at most (.*)", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """One case on both sides; a row a run."""

    case_id: str
    base: tuple[Record, ...]
    head: tuple[Record, ...]

    @property
    def suite(self) -> str:
        """The suite file of a case that HEAD has."""
        return self.head[0].suite


def checked(records: Sequence[Record], side: str) -> None:
    """BadInputError where rows can't be what a run has measured."""
    if not records:
        raise BadInputError(f"{side}: no rows; expected at least one measured case")
    seen: set[tuple[str, str]] = set()
    for record in records:
        where = f"{side}, run {record.run_id!r}, case {record.case_id!r}"
        if (record.run_id, record.case_id) in seen:
            raise BadInputError(f"{where}: there twice; expected one row per case and run")
        seen.add((record.run_id, record.case_id))
        planned_pairs(record, side)
        for metric in STATISTICAL:
            value = getattr(record, metric)
            if value is not None and not value > 0:
                raise BadInputError(f"{where}, column {metric}: {value}; expected more than 0")
        for metric in EXACT:
            value = getattr(record, metric)
            if value is not None and value < 0:
                raise BadInputError(f"{where}, column {metric}: {value}; expected 0 or more")


def cases_of(base: Sequence[Record], head: Sequence[Record]) -> list[Case]:
    """Every case of either side, by id. BadInputError if a run stands on both sides."""
    both = {r.run_id for r in base} & {r.run_id for r in head}
    if both:
        raise BadInputError(
            f"run {min(both)!r} stands in BASE and in HEAD; expected different runs, else a file "
            "is compared with itself"
        )
    of_base, of_head = _by_case(base), _by_case(head)
    return [
        Case(case_id, of_base.get(case_id, ()), of_head.get(case_id, ()))
        for case_id in sorted(of_base.keys() | of_head.keys())
    ]


def _by_case(records: Iterable[Record]) -> Mapping[str, tuple[Record, ...]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.case_id, []).append(record)
    return {case_id: tuple(rows) for case_id, rows in found.items()}


def one_work(case: Case) -> Case | None:
    """The rows of HEAD's newest workload on both sides; None where BASE measured none of it.

    A row without a workload hash fits any.
    """
    known = [r for r in having(case.head, MEASURED) if r.workload is not None]
    if not known:
        return case
    newest = max(known, key=lambda r: r.started_at).workload
    base, head = (
        tuple(r for r in rows if r.workload in (None, newest)) for rows in (case.base, case.head)
    )
    return replace(case, base=base, head=head) if having(base, MEASURED) else None


def having(rows: Iterable[Record], statuses: Iterable[str]) -> tuple[Record, ...]:
    """The rows of these statuses."""
    wanted = frozenset(statuses)
    return tuple(r for r in rows if r.status in wanted)


def statuses_text(rows: Sequence[Record]) -> str:
    """`oom`, or `error in 1 of 3 runs`, with the first reason that a note gives."""
    failing = having(rows, FAILING)
    count = ", ".join(Counter(str(r.status) for r in failing))
    share = "" if len(failing) == len(rows) == 1 else f" in {len(failing)} of {len(rows)} runs"
    reasons = [reason for r in failing if (reason := note_of(r, "status"))]
    return count + share + (f": {reasons[0]}" if reasons else "")


def note_of(record: Record, column: str) -> str | None:
    """The reason that `notes` gives for a column."""
    for note in (record.notes or "").split("; "):
        name, _, reason = note.partition(": ")
        if name == column:
            return reason
    return None


def planned_pairs(record: Record, side: str = "") -> int | None:
    """How many pairs an A/B planned, by the note on `pair`; None where the row does not tell.

    Raises:
        BadInputError: a number that cannot be; `side` is the file, or the side, that is named.
    """
    note = note_of(record, "pair")
    match = _PLANNED.fullmatch(note or "")
    if match is None:
        return None
    number = match[1] if match[1].isdecimal() and len(match[1]) <= len(str(MOST_PAIRS)) else "0"
    if not 1 <= int(number) <= MOST_PAIRS:
        raise BadInputError(
            f"{side}, run {record.run_id!r}, case {record.case_id!r}, column notes: "
            f"'pair: {str(note)[:60]}'; expected a number of pairs from 1 to {MOST_PAIRS:,}"
        )
    return int(number)


def left_out_text(case: Case) -> list[str]:
    """Throttled and unstable rows, counted by side and status."""
    lines: list[str] = []
    for side, rows in ((BASE, case.base), (HEAD, case.head)):
        for status, n in Counter(str(r.status) for r in having(rows, LEFT_OUT)).items():
            lines.append(f"{case.case_id}: {n} of {len(rows)} runs of {side} {status}")
    return lines


def differences(base: Iterable[Record], head: Iterable[Record]) -> list[str]:
    """In what the machines and their software differ: `torch: 2.12.0 → 2.13.0`."""
    found: list[str] = []
    sides = (list(base), list(head))
    for column in MACHINE:
        old, new = ({getattr(r, column) for r in rows} - {None} for rows in sides)
        if old != new:
            found.append(f"{column}: {_named(old)} → {_named(new)}")
    return found


def _named(values: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, values))) or "none"
