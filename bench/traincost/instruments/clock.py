"""Timed rounds: a clock that waits for the device, a warm-up to the steady state, and a stop.

The rounds themselves are pytest-benchmark's (`pedantic`); this file hands it the timer and tells it
when the median is known well enough. The interval is the distribution-free one, from order
statistics:

    ranks  ⌊(n - 1.96·√n)/2⌋ and ⌈1 + (n + 1.96·√n)/2⌉, counted from 1

which covers 95% or more at any fixed n; stopping at the first narrow one costs some of it.

Rounds are autocorrelated, so the interval says how well this process's median is known, not how far
the next process's will lie from it (`run_spread_rel` does).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from traincost.data.profile import Profile
from traincost.machine.device import Device, Event

MIN_ROUNDS = 20
PRECISION_REL = 0.01  # stop when the 95% half-width of the median is below this
UNSTABLE_REL = 0.05  # above this at the end of the budget, the number is not to be leaned on
DRIFT_REL = 0.10  # medians of the first and the second half this far apart: the same
WAITED_REL = 0.25  # threads that waited for a CPU this share of the time: the same
FEW_ROUNDS = 5  # fewer say nothing of their spread
SHORT_STEP_S = 1e-3  # on CUDA, steps below this are timed by device events behind an L2 flush
MIN_BLOCK_S = 1e-3  # on a CPU, steps are repeated within a round until it lasts this long
STEADY_REL = 0.03  # medians of two neighbouring windows this close: warmed up
STEADY_WINDOW = 5

Step = Callable[[], object]


@dataclass(frozen=True)
class HostMark:
    """A moment on the host's clock, taken when the device had nothing left to do."""

    at_s: float

    def __sub__(self, start: HostMark) -> float:
        return self.at_s - start.at_s


@dataclass(frozen=True)
class DeviceMark:
    """A moment on the device's clock; subtracting waits for it."""

    event: Event

    def __sub__(self, start: DeviceMark) -> float:
        self.event.synchronize()
        return start.event.elapsed_time(self.event) / 1e3  # the event counts milliseconds


@dataclass
class Clock:
    """The timer handed to pytest-benchmark: called at the start and at the end of each round.

    With `short_steps`, on CUDA: wait, queue an L2 flush, and put the start mark behind it. The
    flush runs long enough to hide the launch of the step's first kernels, which would else count.
    """

    device: Device
    short_steps: bool = False
    _started: bool = field(default=False, init=False)

    @property
    def timer(self) -> Callable[[], Any]:
        """What pytest-benchmark calls: on a CPU the bare clock, which costs the least."""
        return time.perf_counter if self.device.kind == "cpu" else self.read

    def read(self) -> Any:
        """A mark; `end - start` is seconds."""
        if self.device.kind == "cpu":
            return time.perf_counter()
        if not self.short_steps:
            self.device.synchronize()
            return HostMark(time.perf_counter())
        self._started = not self._started
        if self._started:
            self.device.synchronize()
            self.device.flush_cache()
        event = self.device.event()
        assert event is not None  # only a CPU has none
        event.record()
        return DeviceMark(event)

    def now_s(self) -> float:
        """The clock by which budgets end."""
        return time.perf_counter()

    def seconds(self, step: Step) -> float:
        """One step, timed."""
        start = self.read()
        step()
        return float(self.read() - start)


@dataclass(frozen=True)
class WarmUp:
    """How the warm-up went: `typical_s` is the median of its last steps."""

    steps: int
    typical_s: float
    steady: bool


def warm_up(
    step: Step, clock: Clock, budget_s: float, setup: Callable[[], object] | None = None
) -> WarmUp:
    """Run steps until two neighbouring windows agree, or the budget ends; at least two steps.

    `setup` runs before each, untimed, as it will in the rounds.
    """
    times_s: list[float] = []
    deadline_s = clock.now_s() + budget_s
    window = STEADY_WINDOW
    while True:
        if setup is not None:
            setup()
        times_s.append(clock.seconds(step))
        if len(times_s) >= 2 * window:
            late, early = times_s[-window:], times_s[-2 * window : -window]
            ratio = statistics.median(late) / statistics.median(early)
            if abs(ratio - 1) <= STEADY_REL:
                return WarmUp(len(times_s), statistics.median(late), steady=True)
        if len(times_s) >= 2 and clock.now_s() >= deadline_s:
            return WarmUp(len(times_s), statistics.median(times_s[-window:]), steady=False)


class RoundsDone(BaseException):
    """Ends `pedantic` after a round. Not an Exception: those mark the benchmark as failed."""


@dataclass
class Stop:
    """Handed to `pedantic` as its teardown: ends the rounds when the median is known."""

    rounds_s: Callable[[], Sequence[float]]  # pytest-benchmark's own list, seconds per step
    profile: Profile
    now_s: Callable[[], float] = time.perf_counter
    _next_check: int = field(default=MIN_ROUNDS, init=False)
    _started_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._started_s = self.now_s()

    def __call__(self) -> None:
        """After each round."""
        rounds_s = self.rounds_s()
        n = len(rounds_s)
        elapsed_s = self.now_s() - self._started_s
        if n < MIN_ROUNDS:
            if elapsed_s >= self.profile.timed_max_s:
                raise RoundsDone
            return
        if elapsed_s >= self.profile.timed_s:
            raise RoundsDone
        if n >= self._next_check:
            self._next_check = math.ceil(n * 1.25)
            if half_width_rel(rounds_s) <= PRECISION_REL:
                raise RoundsDone


def median_interval(times_s: Sequence[float]) -> tuple[float, float]:
    """95% interval of the median; all of the rounds where they are too few for one."""
    ordered = sorted(times_s)
    n = len(ordered)
    reach = 1.96 * math.sqrt(n)
    low = max(0, math.floor((n - reach) / 2) - 1)
    high = min(n - 1, math.ceil((n + reach) / 2))
    return ordered[low], ordered[high]


def half_width_rel(times_s: Sequence[float]) -> float:
    """Half of the 95% interval of the median, as a share of the median."""
    low, high = median_interval(times_s)
    return (high - low) / 2 / statistics.median(times_s)


def iterations_for(typical_s: float) -> int:
    """Steps in a round on a CPU: as many as make a block of `MIN_BLOCK_S`."""
    return max(1, math.ceil(MIN_BLOCK_S / typical_s))


@dataclass(frozen=True)
class Times:
    """The time columns that come from the rounds."""

    rounds: int
    iterations: int
    time_min_s: float
    time_p20_s: float
    time_median_s: float
    time_p80_s: float
    time_mean_s: float
    time_stddev_s: float | None


def summarise(times_s: Sequence[float], iterations: int) -> Times:
    """Rounds to columns; quantiles by linear interpolation."""
    ordered = sorted(times_s)
    return Times(
        rounds=len(ordered),
        iterations=iterations,
        time_min_s=ordered[0],
        time_p20_s=_quantile(ordered, 0.2),
        time_median_s=_quantile(ordered, 0.5),
        time_p80_s=_quantile(ordered, 0.8),
        time_mean_s=statistics.fmean(ordered),
        time_stddev_s=statistics.stdev(ordered) if len(ordered) > 1 else None,
    )


def _quantile(ordered: Sequence[float], q: float) -> float:
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def waiting(waited_share: float | None) -> str | None:
    """Why rounds are not to be leaned on whose threads waited for a CPU; None if they did not."""
    if waited_share is not None and waited_share > WAITED_REL:
        return f"threads waited for a CPU {waited_share:.0%} of the time: another process has it"
    return None


def instability(times_s: Sequence[float]) -> str | None:
    """Why these rounds are not to be leaned on; None if they are."""
    if len(times_s) < FEW_ROUNDS:
        return f"only {len(times_s)} rounds in the budget"
    width = half_width_rel(times_s)
    if width > UNSTABLE_REL:
        return f"95% half-width {width:.1%} after {len(times_s)} rounds"
    half = len(times_s) // 2
    if half >= MIN_ROUNDS // 2:
        drift = statistics.median(times_s[half:]) / statistics.median(times_s[:half]) - 1
        if abs(drift) > DRIFT_REL:
            return f"the second half of the rounds was {drift:+.1%} from the first"
    return None
