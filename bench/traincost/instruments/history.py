"""What a GPU did over minutes or days, from its recordings, in bounded memory.

Fifty edges of the counter a second are 180,000 an hour, and only those near the ends of the window
place it. In between, any few edges have the same energy, so that every second one is dropped when
there are too many; where the counter went backwards none is. The lowest and the highest power from
edge to edge are kept for the bound, as are sum and number of the power sensor's readings. States of
the GPU are merged in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import fmean, median
from typing import TypeVar

from traincost.instruments.edges import CounterEnergy, Edge, Refusal, energy_between
from traincost.instruments.gpu_memory import Process
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.power import IntegratedPower, averaging_s
from traincost.instruments.recording import Recording

T = TypeVar("T")
Number = TypeVar("Number", int, float)

MOST_EDGES, END_EDGES = 1800, 600
"""Edges kept, and those of them at each end that are never dropped: 6 s at 10 ms. The gaps between
most of the edges are then the counter's period, which is told from their median."""
MOST_STATES = 16_000
"""Over an hour's."""
UPDATES_SEEN = 50
"""Readings of the power sensor from which its period is told."""
FEWEST = 10
"""Readings of it that are worth a comparison."""
TAIL_S = 0.1
"""What one reading of an unknown sensor averages, at most."""


@dataclass
class History:
    """Recordings of one GPU, added up."""

    edges: list[Edge] = field(default_factory=list[Edge])
    states: list[GpuState] = field(default_factory=list[GpuState])
    faults: dict[str, str] = field(default_factory=dict[str, str])
    name: str | None = None
    limit_w: float | None = None
    _seen_w: list[float] = field(default_factory=list[float])  # lowest and highest
    _sensor_s: list[float] = field(default_factory=list[float])  # the first readings
    _sensor_w: float = 0.0
    _sensor_readings: int = 0

    def add(self, recording: Recording, start_s: float = math.inf, end_s: float = math.inf) -> None:
        """What was recorded next; the sensor's readings count between these moments."""
        self.name = recording.facts.get("name", self.name)
        self.limit_w = recording.facts.get("power_limit_w", self.limit_w)
        self.faults = {**recording.faults, **self.faults}
        self.states += recording.states
        self.edges += recording.edges
        tail_s = averaging_s(self.name) or TAIL_S
        for reading in recording.powers:
            self._see(reading.power_w)
            if len(self._sensor_s) < UPDATES_SEEN:
                self._sensor_s.append(reading.seen_s)
            if start_s <= reading.after_s - tail_s and reading.seen_s <= end_s:
                self._sensor_w += reading.power_w
                self._sensor_readings += 1
        while len(self.edges) > MOST_EDGES:
            before = len(self.edges)
            self._thin()
            if len(self.edges) == before:
                break  # a counter that keeps falling
        if len(self.states) > MOST_STATES:
            self.states = [merged(a, b) for a, b in _pairs(self.states)]

    def energy(self, start_s: float, end_s: float) -> CounterEnergy | Refusal:
        """Energy between two moments, as `energy_between` has it."""
        return energy_between(self.edges, start_s, end_s, seen_w=self._seen_w, limit_w=self.limit_w)

    def sensor(self, length_s: float) -> IntegratedPower | Refusal:
        """Energy of so many seconds by the power sensor's mean."""
        if self._sensor_readings < FEWEST:
            return Refusal(f"the power sensor gave {self._sensor_readings} readings")
        mean_w = self._sensor_w / self._sensor_readings
        update_s = median(b - a for a, b in pairwise(self._sensor_s))
        tail_s = averaging_s(self.name)
        coverage = None if tail_s is None else min(1.0, tail_s / update_s)
        return IntegratedPower(mean_w * length_s, mean_w, self._sensor_readings, update_s, coverage)

    def _see(self, power_w: float) -> None:
        seen_w = [*self._seen_w, power_w]
        self._seen_w = [min(seen_w), max(seen_w)]

    def _thin(self) -> None:
        """Drop every second edge between the ends."""
        first, last = self.edges[:END_EDGES], self.edges[-END_EDGES:]
        between = self.edges[END_EDGES:-END_EDGES]
        kept: list[Edge] = []
        for i, (a, b) in enumerate(pairwise([*between, last[0]])):
            falls = b.energy_j < a.energy_j or (i > 0 and a.energy_j < between[i - 1].energy_j)
            if i % 2 == 0 or falls:
                kept.append(a)
            elif b.time_s > a.time_s:
                before = between[i - 1]
                self._see((a.energy_j - before.energy_j) / (a.time_s - before.time_s))
                self._see((b.energy_j - a.energy_j) / (b.time_s - a.time_s))
        self.edges = [*first, *kept, *last]


def _pairs(items: Sequence[T]) -> list[tuple[T, T]]:
    """Neighbours, two by two; the last one twice where it is alone."""
    return [(items[i], items[min(i + 1, len(items) - 1)]) for i in range(0, len(items), 2)]


def merged(a: GpuState, b: GpuState) -> GpuState:
    """Two states as one: what either saw, the mean of clocks, the higher of the rest."""
    reasons = [s.reasons for s in (a, b) if s.reasons is not None]
    clocks = [s.sm_clock_hz for s in (a, b) if s.sm_clock_hz is not None]
    return replace(
        b,
        reasons=reasons[0] | reasons[-1] if reasons else None,
        sm_clock_hz=fmean(clocks) if clocks else None,
        temperature_c=_most(a.temperature_c, b.temperature_c),
        power_limit_w=b.power_limit_w if b.power_limit_w is not None else a.power_limit_w,
        corrected=_most(a.corrected, b.corrected),
        uncorrected=_most(a.uncorrected, b.uncorrected),
        processes=_processes(a, b),
        used_bytes=_most(a.used_bytes, b.used_bytes),
    )


def _most(a: Number | None, b: Number | None) -> Number | None:
    if a is None or b is None:
        return b if a is None else a
    return max(a, b)


def _processes(a: GpuState, b: GpuState) -> tuple[Process, ...] | None:
    if a.processes is None or b.processes is None:
        return a.processes if b.processes is None else b.processes
    sizes = {p.pid: p.used_bytes for p in a.processes}
    for p in b.processes:
        sizes[p.pid] = _most(sizes.get(p.pid), p.used_bytes)
    return tuple(Process(pid, used) for pid, used in sizes.items())
