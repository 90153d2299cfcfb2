"""A GPU, its recorder and the clock, all in virtual time."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from virtual_counter import Counter

from traincost.data.profile import PROFILES
from traincost.instruments.edge_finder import EdgeFinder
from traincost.instruments.energy import Energy
from traincost.instruments.energy_window import GpuWindow, Time
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.power import PowerReading
from traincost.instruments.recording import Recording


@dataclass
class History:
    """Power over time, piece by piece, as the work made it."""

    now_s: float = 0.0
    _pieces: list[tuple[float, float, float]] = field(  # since when, its energy then, power
        default_factory=list[tuple[float, float, float]]
    )

    def last_for(self, length_s: float, power_w: float) -> None:
        """Time passes at this power."""
        self._pieces.append((self.now_s, self.energy_j(self.now_s), power_w))
        self.now_s += length_s

    def energy_j(self, t_s: float) -> float:
        for since_s, before_j, power_w in reversed(self._pieces):
            if t_s >= since_s:
                return before_j + power_w * (t_s - since_s)
        return 0.0


@dataclass
class VirtualGpu:
    """Idle power while it sleeps; a step takes `step_s`, the first half at high power."""

    step_s: float = 7e-3
    period_s: float = 0.02
    idle_w: float = 70.0
    high_w: float = 500.0
    low_w: float = 200.0
    sensor_s: float = 0.025  # of every 100 ms
    sensor_gain: float = 1.0
    name: str = "NVIDIA H100 80GB HBM3"
    limit_w: float = 700.0
    faults: dict[str, str] = field(default_factory=dict[str, str])
    spoil: Callable[[float], float] = lambda energy_j: energy_j  # what the counter shows of it
    state: dict[str, Any] = field(default_factory=dict[str, Any])
    history: History = field(default_factory=History)
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    on_s: list[float] = field(default_factory=list[float])  # moments when it was turned on or off
    steps: int = field(default=0, init=False)
    steps_at_sleep: list[int] = field(default_factory=list[int], init=False)
    woken_s: list[float] = field(default_factory=list[float], init=False)
    _finder: EdgeFinder = field(default_factory=EdgeFinder, init=False)
    _read_s: float = field(default=0.0, init=False)

    def step(self) -> None:
        """One step of the work."""
        self.steps += 1
        self.history.last_for(self.step_s / 2, self.high_w)
        self.history.last_for(self.step_s / 2, self.low_w)

    @property
    def step_j(self) -> float:
        """What a step costs, truly."""
        return self.step_s * (self.high_w + self.low_w) / 2

    def window(self) -> GpuWindow:
        """The instrument, on this GPU and its time."""
        time = Time(lambda: self.history.now_s, self.sleep)
        return GpuWindow(self, lambda: None, time, self.rng)

    def sleep(self, length_s: float) -> None:
        self.steps_at_sleep.append(self.steps)
        self.history.last_for(length_s, self.idle_w)
        self.woken_s.append(self.history.now_s)

    def open(self) -> Recording:
        facts: dict[str, Any] = {"name": self.name, "power_limit_w": self.limit_w}
        return Recording(facts=facts)

    def on(self) -> None:
        self.on_s.append(self.history.now_s)
        self._finder, self._read_s = EdgeFinder(), self.history.now_s

    def off(self) -> None:
        self.on_s.append(self.history.now_s)

    def take(self) -> Recording:
        counter = Counter(self.history, self.period_s, phase_s=0.0123)
        since_s, now_s = self._read_s, self._read_s
        while now_s < self.history.now_s:
            self._finder.put(now_s, now_s + 2e-5, self.spoil(counter.shown_j(now_s)))
            now_s += 2e-5 + self._finder.wait_s(now_s) + self.rng.random() ** 4 * 1e-3
        self._read_s = now_s
        edges = tuple(self._finder.take())
        states = (GpuState(time_s=self.history.now_s - 1e-3, **self.state),) if self.state else ()
        return Recording(edges, self._powers(since_s, now_s), states, self.faults)

    def _powers(self, since_s: float, until_s: float) -> tuple[PowerReading, ...]:
        readings: list[PowerReading] = []
        if "nvmlDeviceGetFieldValues" in self.faults:
            return ()
        for update in range(int(since_s * 10) + 1, int(until_s * 10) + 1):
            at_s = update / 10
            energy_j = self.history.energy_j(at_s) - self.history.energy_j(at_s - self.sensor_s)
            power_w = self.sensor_gain * energy_j / self.sensor_s
            readings.append(PowerReading(update, at_s, at_s + 8e-3, power_w))
        return tuple(readings)


def measure(gpu: VirtualGpu, profile: str = "standard") -> Energy:
    """The energy of its step."""
    return gpu.window().window(gpu.step, gpu.step_s, PROFILES[profile])
