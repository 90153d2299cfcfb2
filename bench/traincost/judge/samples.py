"""What the gate judges: one metric of one case on one machine, and the rows that it is made of."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from traincost.data.record import Record, Status
from traincost.judge.replay import Pairs
from traincost.judge.rule import Rule
from traincost.judge.sides import Case, differences, having


@dataclass(frozen=True)
class Sample:
    """One metric of one case on one machine; both sides have a value at least."""

    case: Case  # rows that are ok and have the metric
    metric: str
    label: str  # which machine, where there are several
    rule: Rule
    pairs: Pairs | None

    @property
    def key(self) -> str:
        """Names it among those of its metric."""
        return f"{self.label}{self.case.case_id}"

    def logs(self) -> tuple[list[float], list[float]]:
        """Of the values of BASE's runs, and of HEAD's."""
        base, head = (
            [math.log(getattr(r, self.metric)) for r in rows]
            for rows in (self.case.base, self.case.head)
        )
        return base, head


def with_metric(rows: Iterable[Record], metric: str) -> tuple[Record, ...]:
    """Rows that have the metric."""
    return tuple(r for r in rows if getattr(r, metric) is not None)


def ok_rows(rows: Iterable[Record]) -> tuple[Record, ...]:
    """Rows that ended well."""
    return having(rows, (Status.OK,))


def machines_of(rows: Iterable[Record]) -> list[str]:
    """The machines of rows, in their order."""
    return list(dict.fromkeys(r.machine_id for r in rows if r.machine_id is not None))


def lost_machines(base: Sequence[Record], head: Sequence[Record]) -> list[str]:
    """Machines of BASE that HEAD did not run on."""
    there = machines_of(head)
    return [machine for machine in machines_of(base) if machine not in there]


def on_machine(case: Case, machine: str) -> Case:
    """The rows of one machine."""
    base, head = (
        tuple(r for r in rows if r.machine_id == machine) for rows in (case.base, case.head)
    )
    return Case(case.case_id, base, head)


def why_another(base: Sequence[Record], head: Sequence[Record]) -> str:
    """Why times are not gated where no machine is on both sides."""
    if not machines_of(base) or not machines_of(head):
        return "machine not recorded: times are compared, not gated"
    ours = differences(base, head)
    apart = "; ".join(d for d in ours if not d.startswith(("host:", "gpu_uuid:", "commit:")))
    what = f" ({apart})" if apart else ""
    return f"another machine{what}: times are compared, not gated"


def machine_name(record: Record) -> str:
    """How people know it."""
    return record.gpu or record.cpu or str(record.machine_id)


def medians_of(case: Case, metric: str) -> tuple[float, float]:
    """Of BASE and of HEAD."""
    base, head = (
        statistics.median(getattr(r, metric) for r in rows) for rows in (case.base, case.head)
    )
    return base, head


def change_rel(base: float, head: float) -> float | None:
    """Head / base - 1; None where that is no float."""
    try:
        return head / base - 1
    except (OverflowError, ZeroDivisionError):
        return None
