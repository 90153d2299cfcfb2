"""A case on one rank: the passes of `measure`, in step with the other ranks, and the collectives.

The same passes over the same instruments as for one process, but whatever a clock decides is
decided by the slowest rank's (`AgreedClock`), so that all ranks take the same steps. Afterwards the
collectives of a step are counted, each timed alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from traincost.data.profile import Profile
from traincost.instruments.clock import Clock, Step
from traincost.machine.device import Device
from traincost.measure import Bench, Measured, losses_of, number_of, timed, untimed
from traincost.parallel.energy import AgreedSource
from traincost.parallel.rank_work import RankStart, RankWork
from traincost.parallel.together import AgreedClock, Together

if TYPE_CHECKING:
    from traincost.instruments.collectives import Collective

COMM_STEPS = 5
"""Steps over which the time of the collectives is the median."""


@dataclass(frozen=True)
class Communication:
    """The collectives of one step of this rank."""

    calls: int
    payload_bytes: int
    bus_bytes: float
    time_s: float | None  # each alone; None where some were not timed


@dataclass(frozen=True)
class RankResult:
    """What a rank saw: its own rounds, and memory and counts of its share."""

    measured: Measured
    own_rounds_s: tuple[float, ...]
    communication: Communication
    hidden_bytes: int


@dataclass
class Rounds:
    """In the place of pytest-benchmark's fixture: rounds that all ranks begin together.

    `stats.stats.data` is what each round took the slowest rank, `own_s` what it took this one.
    """

    clock: Clock
    own_s: list[float] = field(default_factory=list[float], init=False)
    extra_info: dict[str, Any] = field(default_factory=dict[str, Any], init=False)
    stats: Any = field(init=False)

    def __post_init__(self) -> None:
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=list[float]()))

    def pedantic(self, target: Step, **options: Any) -> None:
        """Rounds of `iterations` steps, until `teardown` raises; `setup` and it are untimed."""
        iterations: int = options["iterations"]

        def block() -> None:
            for _ in range(iterations):
                target()

        while True:
            if options["setup"] is not None:
                options["setup"]()
            self.stats.stats.data.append(self.clock.seconds(block) / iterations)
            if isinstance(self.clock, AgreedClock):
                self.own_s.append(self.clock.own_s[-1] / iterations)
            options["teardown"]()


def measure_rank(
    built: RankWork, device: Device, together: Together, profile: Profile
) -> RankResult:
    """Every pass over this rank's step; all ranks must call it together."""
    start = RankStart.of(built)
    clock = AgreedClock(device, together=together)
    rounds = Rounds(clock)
    source = AgreedSource(device, together)
    bench = Bench(device, clock, source, profile, rounds, lambda _: nullcontext())
    work = replace(built.work, optimizer=built.optimizer or built.work.optimizer)
    together.meet()
    timing = timed(work, bench, start)

    def mean_loss() -> float:
        """Of all ranks: one that diverges alone would leave the others waiting."""
        loss = number_of(work.step())
        if loss is None:
            raise TypeError("the step of a rank returned no number; expected its loss")
        return together.mean(loss)

    together.meet()
    if not profile.untimed:
        nothing = Communication(0, 0, 0.0, None)
        return RankResult(Measured(timing), tuple(rounds.own_s), nothing, 0)
    measured = untimed(work, bench, start, timing, lambda: losses_of(replace(work, step=mean_loss)))
    communication = _communication(work.step, start, device, together)
    return RankResult(measured, tuple(rounds.own_s), communication, built.hidden_bytes())


def _communication(
    step: Step, start: RankStart, device: Device, together: Together
) -> Communication:
    from traincost.instruments.collectives import collectives_of

    start.restore()
    step()
    steps: list[list[Collective]] = []
    for _ in range(COMM_STEPS):
        with collectives_of(together.meet, device.synchronize) as ledger:
            step()
        steps.append(ledger.calls)
    times_s = [t for calls in steps if (t := _time_s(calls)) is not None]
    return Communication(
        calls=len(steps[-1]),
        payload_bytes=sum(c.payload_bytes for c in steps[-1]),
        bus_bytes=sum(c.bus_bytes for c in steps[-1]),
        time_s=statistics.median(times_s) if len(times_s) == COMM_STEPS else None,
    )


def _time_s(calls: Sequence[Collective]) -> float | None:
    """Of all of them; None if one was not timed."""
    known_s = [c.time_s for c in calls if c.time_s is not None]
    return sum(known_s) if len(known_s) == len(calls) else None
