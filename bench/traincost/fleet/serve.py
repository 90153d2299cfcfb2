"""Inside a slot's pytest: say which cases there are, then run those that are ordered, one by one.

It reads orders from one inherited descriptor and writes replies to another, so that what a case
prints disturbs neither. Rows are kept and go home; the node's disk sees none.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from traincost.collecting import CASE, UNAVAILABLE
from traincost.data.errors import BadInputError
from traincost.data.fleet_messages import Hello, Offer, Order, Reply
from traincost.data.record import Record
from traincost.data.results import ResultFile
from traincost.running import CostSession

PR_SET_PDEATHSIG = 1


class HeldRows(ResultFile):
    """Rows kept in memory."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.rounds_s: dict[str, Sequence[float]] = {}

    def put_all(self, records: Iterable[Record]) -> None:
        """Keep rows, or replace them."""
        self._records |= {(r.run_id, r.case_id): r for r in records}

    def put_rounds(self, case_id: str, times_s: Sequence[float]) -> None:
        """Keep the rounds of a case."""
        self.rounds_s[case_id] = tuple(times_s)

    def put_machine(self, text: str) -> None:
        """The driver writes it."""


@dataclass(eq=False)  # a plugin is itself, and hashable
class Serving:
    """Registered as a plugin under `--cost-fleet`."""

    cost: CostSession
    orders: TextIO
    replies: TextIO

    @classmethod
    def start(cls, option: str, cost: CostSession) -> Serving:
        """From `--cost-fleet READ,WRITE`, two descriptors that this process was given."""
        try:
            read, write = (int(number) for number in option.split(","))
            for number in (read, write):
                os.set_inheritable(number, False)
            _end_with_parent()
            return cls(cost, os.fdopen(read, "r"), os.fdopen(write, "w"))
        except (ValueError, OSError) as e:
            expected = "expected two descriptors: set by `traincost fleet`"
            raise BadInputError(f"--cost-fleet {option}: {e}; {expected}") from e

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of pytest's own loop over all items."""
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted(f"{session.testsfailed} errors while collecting")
        if self.cost.timing_off is not None:
            raise session.Interrupted(self.cost.timing_off)
        run = self.cost.run
        run.file = held = HeldRows()
        self._send(self._hello().to_text())
        items = {item.stash[CASE].case_id: item for item in self.cost.plan.cases}
        for line in self.orders:
            order = Order.of_text(line)
            known = {r.case_id for r in held.records}
            held.put_all(r for r in order.peaks if r.case_id not in known)
            self._send(self._run(items[order.case_id], held).to_text())
        return True

    def _hello(self) -> Hello:
        run, offers = self.cost.run, [_offer(item) for item in self.cost.plan.cases]
        machines = {kind: run.machine(kind) for kind in run.devices.names}
        return Hello(
            {kind: machine.columns() for kind, machine in machines.items()},
            {kind: machine.to_json() for kind, machine in machines.items()},
            offers,
        )

    def _run(self, item: pytest.Item, held: HeldRows) -> Reply:
        """One case; the fixtures of its module and above are kept for the next."""
        begun_s, case_id = time.perf_counter(), item.stash[CASE].case_id
        item.session._setupstate.teardown_exact(item)  # those that this case has not
        next_item: object = item.parent  # all that pytest asks of it is whose child it is
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
        own = {r.case_id: r for r in held.records if r.run_id == self.cost.run.run_id}
        in_case_s = time.perf_counter() - begun_s
        return Reply(case_id, own.get(case_id), held.rounds_s.get(case_id, ()), in_case_s)

    def _send(self, line: str) -> None:
        self.replies.write(line + "\n")
        self.replies.flush()


def _offer(item: pytest.Item) -> Offer:
    case = item.stash[CASE]
    return Offer(
        case.case_id,
        case.suite,
        dict(case.axes),
        dict(case.defaults),
        first=item.get_closest_marker("cost_first") is not None,
        unavailable=UNAVAILABLE in item.stash,
    )


def _end_with_parent() -> None:
    """Be killed when the slot's worker goes: nobody waits for the case, and it would disturb."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
