"""`parallel_cost`: the fixture that measures one case on several ranks and leaves its row."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest

from traincost.case_fixture import TrainCostUsageError
from traincost.data.case import Case
from traincost.data.profile import current_profile
from traincost.data.record import Record
from traincost.machine.device import cuda_count
from traincost.parallel.merge import efficiencies
from traincost.parallel.order import Order
from traincost.parallel.ranks import JoinedRanks, Ranks
from traincost.session import Run

SINGLE = "single"
"""The strategy whose rows of one rank the efficiencies are against."""


class RankFailedError(Exception):
    """A rank failed, or has gone; the other cases are not touched by it."""


@dataclass
class ParallelCost:
    """Measures one case on ranks: one test, one case, one row."""

    case: Case
    run: Run
    ranks: Ranks
    passing: Callable[[str], AbstractContextManager[None]]
    timing_off: bool
    called: bool = field(default=False, init=False)
    name: ClassVar[str] = "parallel_cost"

    def __call__(self, make: str, **arguments: Any) -> Record | None:
        """Measure the step that every rank builds, and save its row.

        Args:
            make: `module:function`, called on each rank as `function(place, device, **arguments)`:
                its `Place`, the name of its device (`cuda:1`), and what follows. It returns this
                rank's `RankWork`.
            arguments: Plain values. The number of ranks is the test's parameter `world_size`.

        Raises:
            TrainCostUsageError: Called a second time, or `make` does not name a function.
            RankFailedError: A rank raised, or its process ended.
        """
        if self.called:
            raise TrainCostUsageError(
                f"{self.name} called twice in one test; expected once: one test, one case, one row"
            )
        self.called = True
        if ":" not in make:
            raise TrainCostUsageError(f"{self.name} make={make!r}: expected 'module:function'")
        columns = self.case.columns()
        kind, world_size = str(columns["device"]), int(columns["world_size"])
        if isinstance(self.ranks, JoinedRanks) and self.ranks.gone:
            pytest.exit("the ranks have gone; --cost-resume runs what is missing", returncode=1)
        if lacking := self._lacking(kind, world_size):
            pytest.skip(lacking)
        order = Order(
            case=self.case,
            origin=self.run.origin(kind),
            peak=self.run.peak(self.case),
            profile=current_profile(),
            make=make,
            arguments=arguments,
            world_size=world_size,
            device=kind,
            timing_off=self.timing_off,
            path=tuple(entry for entry in sys.path if entry),
        )
        with self.passing("ranks"):
            outcome = self.ranks.run(order)
        if outcome.out_of_memory:
            raise MemoryError(outcome.error)
        if outcome.error is not None:
            raise RankFailedError(outcome.error)
        if outcome.record is None:
            return None
        return self._save(outcome.record, outcome.rounds_s)

    def _save(self, record: Record, rounds_s: tuple[float, ...]) -> Record:
        found = efficiencies(record, self.run.records, SINGLE)
        record = replace(record, metrics={**record.metrics, **found})
        with self.passing("row"):
            self.run.put(record, rounds_s)
        return record

    def _lacking(self, kind: str, world_size: int) -> str | None:
        """Why there are not as many ranks as the case has; a rank needs a device of its own."""
        if isinstance(self.ranks, JoinedRanks):
            there, what = self.ranks.world_size, "ranks in this job"
        elif kind == "cuda":
            there, what = cuda_count(), "CUDA devices"
        else:
            there, what = len(self.run.cpus), "CPU cores, one a rank"
        if world_size <= there:
            return None
        return f"world_size {world_size}, and here are {there} {what}"
