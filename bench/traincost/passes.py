"""Where a run's wall time goes: each pass is a named span, and whoever watches is told of it."""

import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

MEASURING = ("timed rounds", "training", "ranks")
WARMING = ("first step", "warm-up")
UNTIMED = ("arithmetic", "memory", "loss", "energy")


@dataclass
class Passes:
    """Seconds by pass, over all cases of a run."""

    watch: Callable[[str], None] = lambda name: None
    spent_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def passing(self, name: str) -> Generator[None]:
        """Surrounds one pass of one case."""
        self.watch(name)
        begun_s = time.perf_counter()
        try:
            yield
        finally:
            self.spent_s[name] += time.perf_counter() - begun_s

    @property
    def total_s(self) -> float:
        """Seconds inside passes."""
        return sum(self.spent_s.values())


@dataclass(frozen=True)
class WallTime:
    """A run's wall time, in seconds; `overhead_s` is what no case needed."""

    total_s: float
    measuring_s: float
    warm_up_s: float
    untimed_s: float
    building_s: float

    @property
    def overhead_s(self) -> float:
        """Starting, collecting, saving, pytest itself."""
        known = self.measuring_s + self.warm_up_s + self.untimed_s + self.building_s
        return self.total_s - known


def wall_time(passes: Passes, total_s: float, in_tests_s: float) -> WallTime:
    """`in_tests_s` is the time inside the test functions: what is in no pass there is building."""
    return WallTime(
        total_s=total_s,
        measuring_s=sum(passes.spent_s[name] for name in MEASURING),
        warm_up_s=sum(passes.spent_s[name] for name in WARMING),
        untimed_s=sum(passes.spent_s[name] for name in UNTIMED),
        building_s=max(0.0, in_tests_s - passes.total_s),
    )
