"""A GPU's energy counter in virtual time: power traces whose energy is known exactly."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from traincost.instruments.edge_finder import EdgeFinder
from traincost.instruments.edges import Edge


class Trace(Protocol):
    """Power over time, integrated in closed form."""

    def energy_j(self, t_s: float) -> float:
        """From time 0 to `t_s`."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same power always."""

    power_w: float = 250.0

    def energy_j(self, t_s: float) -> float:
        return self.power_w * t_s


@dataclass(frozen=True)
class Jump:
    """Low before a moment, high after it."""

    at_s: float
    low_w: float = 70.0
    high_w: float = 400.0

    def energy_j(self, t_s: float) -> float:
        return self.low_w * t_s + (self.high_w - self.low_w) * max(0.0, t_s - self.at_s)


@dataclass(frozen=True)
class Square:
    """High in the first half of each cycle, low in the second."""

    cycle_s: float
    low_w: float = 70.0
    high_w: float = 400.0

    def energy_j(self, t_s: float) -> float:
        cycles = math.floor(t_s / self.cycle_s)
        high_s = cycles * self.cycle_s / 2 + min(t_s - cycles * self.cycle_s, self.cycle_s / 2)
        return self.low_w * t_s + (self.high_w - self.low_w) * high_s


@dataclass(frozen=True)
class Ramp:
    """From low to high within a time, high from then on."""

    rise_s: float
    low_w: float = 70.0
    high_w: float = 400.0

    def energy_j(self, t_s: float) -> float:
        rising_s = min(t_s, self.rise_s)
        risen_j = (self.high_w - self.low_w) / self.rise_s * rising_s**2 / 2
        return self.low_w * t_s + risen_j + (self.high_w - self.low_w) * max(0, t_s - self.rise_s)


@dataclass(frozen=True)
class Counter:
    """What the driver shows: the energy at the latest update, in whole millijoules."""

    trace: Trace
    period_s: float
    phase_s: float = 0.0

    def shown_j(self, t_s: float) -> float:
        updates = math.floor((t_s - self.phase_s) / self.period_s)
        updated_s = max(0.0, updates * self.period_s + self.phase_s)
        return math.floor(self.trace.energy_j(updated_s) * 1e3) / 1e3

    def true_j(self, start_s: float, end_s: float) -> float:
        return self.trace.energy_j(end_s) - self.trace.energy_j(start_s)


def watched(
    shown_j: Callable[[float], float],
    start_s: float,
    end_s: float,
    rng: random.Random,
    late_s: float = 1e-3,
) -> tuple[list[Edge], int]:
    """The edges that a recorder finds, waking up to `late_s` late each time, and its readings."""
    finder, now_s, readings = EdgeFinder(), start_s, 0
    while now_s < end_s:
        finder.put(now_s, now_s + 20e-6, shown_j(now_s + 10e-6))
        readings += 1
        now_s += 20e-6 + finder.wait_s(now_s + 20e-6) + rng.random() ** 4 * late_s
    return finder.take(), readings
