"""What a clock decides, the slowest rank's decides on every rank."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
from rank_orders import SHORT

from traincost.instruments import clock as clocks
from traincost.machine.device import CpuDevice
from traincost.parallel.passes import Rounds
from traincost.parallel.together import AgreedClock, Place, Together


@dataclass
class Scripted(Together):
    """Another rank is slower: its steps take `step_s`, and its clock goes by seconds."""

    step_s: float = 5.0
    ticks: Iterator[int] = field(default_factory=count)

    def slowest(self, value: float) -> float:
        """The other rank's."""
        return max(value, self.step_s)

    def now_s(self) -> float:
        """A second later at each look."""
        return float(next(self.ticks))


def rank(step_s: float = 5.0) -> AgreedClock:
    return AgreedClock(CpuDevice(), together=Scripted(Place(0, 0, 2), None, step_s=step_s))


def steps_of(budget_s: float) -> int:
    """Of a warm-up that is never steady: this rank's own time does not count."""
    taken: list[int] = []
    clock = rank()

    def step() -> None:
        taken.append(1)
        clock.together.step_s *= 2  # type: ignore[attr-defined]

    clocks.warm_up(step, clock, budget_s)
    return len(taken)


def test_a_warm_up_ends_by_the_slowest_ranks_clock() -> None:
    assert steps_of(3.0) == 4  # a look before, then one after each step from the second on
    assert steps_of(6.0) == 7


def test_rounds_end_by_the_slowest_ranks_clock_and_last_as_long_as_its_steps() -> None:
    clock = rank()
    rounds = Rounds(clock)
    profile = replace(SHORT, timed_s=30.0, timed_max_s=7.0)
    stop: Any = clocks.Stop(lambda: rounds.stats.stats.data, profile, clock.now_s)
    with pytest.raises(clocks.RoundsDone):
        rounds.pedantic(lambda: None, setup=None, teardown=stop, iterations=5)
    assert rounds.stats.stats.data == [1.0] * 7
    assert len(rounds.own_s) == 7
    assert max(rounds.own_s) < 1.0
