"""Ranks that decide alike: how long a step took, whether the budget is spent.

A rank that took one step more than the others would wait for them for ever. So whatever is decided
by a clock is decided by the slowest rank's, which all of them learn outside the timed region, by a
group of their own over gloo that no instrument counts.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from traincost.instruments.clock import Clock, Step
from traincost.parallel.store import Store

TIMEOUT_S = 45.0
"""A collective that is not done by then fails: a rank hangs or has gone."""


@dataclass(frozen=True)
class Place:
    """Where a process stands in the job: `local_rank` counts on its own host."""

    rank: int
    local_rank: int
    world_size: int


@dataclass
class Together:
    """The ranks of one case, all of them."""

    place: Place
    _group: Any
    _started_s: float = field(default_factory=time.perf_counter, init=False)

    def slowest(self, value: float) -> float:
        """The largest of the ranks' values; all of them have got here when it is known."""
        return self._reduced(value, "MAX")

    def mean(self, value: float) -> float:
        """The mean of the ranks' values, the same on every rank."""
        return self._reduced(value, "SUM") / self.place.world_size

    def _reduced(self, value: float, operation: str) -> float:
        import torch
        from torch import distributed

        shared = torch.tensor(float(value), dtype=torch.float64)
        how = getattr(distributed.ReduceOp, operation)
        distributed.all_reduce(shared, op=how, group=self._group)
        return float(shared)

    def now_s(self) -> float:
        """Seconds since the start, by the slowest rank's clock: the same number on every rank."""
        return self.slowest(time.perf_counter() - self._started_s)

    def meet(self) -> None:
        """Return when every rank has called it."""
        self.slowest(0.0)

    def gather(self, value: Any) -> list[Any] | None:
        """The ranks' values, in order, on rank 0; None on the others."""
        from torch import distributed

        found = [None] * self.place.world_size if self.place.rank == 0 else None
        distributed.gather_object(value, found, dst=0, group=self._group)
        return found


@contextmanager
def together(store: Store, place: Place, device: str) -> Generator[Together]:
    """The ranks' process groups while the `with` block lasts: NCCL on CUDA, gloo on a CPU."""
    import torch
    from torch import distributed

    options: dict[str, Any] = {"store": store}
    if device == "cuda":
        options["device_id"] = torch.device("cuda", place.local_rank)
    distributed.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        rank=place.rank,
        world_size=place.world_size,
        timeout=timedelta(seconds=TIMEOUT_S),
        **options,
    )
    try:
        group = distributed.new_group(backend="gloo", timeout=timedelta(seconds=TIMEOUT_S))
        yield Together(place, group)
    finally:
        distributed.destroy_process_group()


@dataclass
class AgreedClock(Clock):
    """A clock by which a step takes as long as it took the slowest rank.

    `own_s` is what this rank's steps took. All ranks set out together: each has heard from every
    other of the step before.
    """

    together: Together = field(kw_only=True)
    own_s: list[float] = field(default_factory=list[float], init=False)

    def now_s(self) -> float:
        """The slowest rank's: a budget ends for all of them at once."""
        return self.together.now_s()

    def seconds(self, step: Step) -> float:
        """One step, timed on every rank."""
        own_s = super().seconds(step)
        self.own_s.append(own_s)
        return self.together.slowest(own_s)
