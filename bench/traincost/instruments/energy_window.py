"""The energy of a step: whole steps repeated until the counter's bound is small enough.

    idle power   a while without work, which also shows the counter's period
    repetitions  whole steps, 30 periods of the counter or more, then a pause of random length, so
                 that no repetition starts in step with the counter or with the power sensor
    end          when four repetitions are each known to 5%, or the profile's budget is spent

A repetition that is not known to 5% is dropped, and the next one is longer. Counter and
integrated power, the two sources, cover the same repetitions. Outside of them nothing is sampled.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from traincost.data.profile import Profile
from traincost.instruments.edges import CounterEnergy, Refusal, estimate_period_s
from traincost.instruments.energy import CpuMeter, Energy, NoMeter
from traincost.instruments.energy_result import (
    COUNTER,
    Repetition,
    energy_of,
    measured,
    too_wide,
    wide,
)
from traincost.instruments.recorder import RecorderGoneError
from traincost.instruments.recording import Recording

REPETITIONS = 4
PERIODS, TAIL_PERIODS = 30, 2.5
SHORTEST_S = 0.2
IDLE_S = 0.5
BLIND_S = 0.5
"""The repetition of a GPU whose counter cannot be read."""
CALIBRATING_S = 0.02
"""Steps before the first repetition: by the device's clock a step may be shorter than it takes."""
CPU_S = 0.5
"""Counters that are updated every millisecond know this to 0.4%."""
ON_THE_CPU = "the case runs on the CPU"
IDLE_EDGES = 5


class Records(Protocol):
    """What a window needs of the recorder."""

    def open(self) -> Recording:
        """Start it; what is known of the GPU, or of why it cannot be reached."""
        ...

    def on(self) -> None:
        """Readings begin."""

    def off(self) -> None:
        """Readings end."""

    def take(self) -> Recording:
        """What was read since the last time."""
        ...


@dataclass(frozen=True)
class Time:
    """The clock of the recorder's readings, and sleep; a test hands in others."""

    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class GpuWindow:
    """Repeats a step on one GPU while its energy is recorded."""

    recorder: Records
    synchronize: Callable[[], None]
    time: Time = field(default_factory=Time)
    rng: random.Random = field(default_factory=random.Random)
    own_pids: tuple[int, ...] = field(default_factory=lambda: (os.getpid(),))
    cpu: CpuMeter = field(default_factory=lambda: NoMeter("no counters of the CPU were given"))

    def window(self, step: Callable[[], object], step_s: float, profile: Profile) -> Energy:
        """Energy of `step`, which takes about `step_s`, or the reason why it is not known."""
        self.synchronize()
        try:
            opened = self.recorder.open()
            if not opened.facts:
                return self._without(", ".join(opened.faults.values()), step, step_s, profile)
            self.recorder.on()
            try:
                idle = opened.then(self._idle())
                return self._repeated(step, step_s, profile.energy_s, idle)
            finally:
                self.recorder.off()
        except RecorderGoneError as e:
            return self._without(str(e), step, step_s, profile)

    def _without(
        self, reason: str, step: Callable[[], object], step_s: float, profile: Profile
    ) -> Energy:
        """The energy of the CPU alone; why that of the GPU is not known."""
        cpu = CpuWindow(self.cpu, self.time.now_s, self.synchronize, gpu_reason=reason)
        return cpu.window(step, step_s, profile)

    def _idle(self) -> Recording:
        """What is read while nothing runs; longer where the counter is slow."""
        self.time.sleep(IDLE_S)
        idle = self.recorder.take()
        if len(idle.edges) < IDLE_EDGES:
            self.time.sleep(IDLE_S)
            idle = idle.then(self.recorder.take())
        return idle

    def _repeated(
        self, step: Callable[[], object], step_s: float, budget_s: float, idle: Recording
    ) -> Energy:
        period_s = estimate_period_s(idle.edges) or BLIND_S / PERIODS
        length_s = max(SHORTEST_S, PERIODS * period_s)
        spent_s, most = 0.0, 0
        if step_s < CALIBRATING_S:
            calibrating = self._run(step, steps_in(CALIBRATING_S, step_s))
            spent_s, step_s = calibrating.length_s, max(step_s, calibrating.step_s)
        work, ran, kept = Recording(), list[Repetition](), list[Repetition]()
        missed: Refusal | None = None
        while len(kept) < REPETITIONS:
            steps, left = steps_in(length_s, step_s), int((budget_s - spent_s) / step_s)
            whole = steps <= left
            if not whole:
                steps = left if ran else max(1, left)
                if kept or steps <= most:
                    break
            repetition, most = self._run(step, steps), max(most, steps)
            ran.append(repetition)
            self.time.sleep(TAIL_PERIODS * period_s + self.rng.uniform(0, period_s))
            work = work.then(self.recorder.take())
            spent_s += repetition.length_s
            step_s = repetition.step_s
            if whole and repetition.length_s < length_s / 2:
                most = 0  # the steps before it were held up, so that these were too few
                continue
            moved = idle.edges or work.edges
            if COUNTER in idle.faults or COUNTER in work.faults or not moved:
                break  # one repetition to see the GPU's state under load
            found = measured(idle.then(work), (repetition,))
            if isinstance(found, CounterEnergy) and not too_wide(found):
                kept.append(repetition)
                continue
            missed = found if isinstance(found, Refusal) else wide(found)
            period_s = estimate_period_s(idle.then(work).edges) or period_s
            length_s = max(2 * length_s, PERIODS * period_s)
        return energy_of(idle, work, ran, kept, self.own_pids, missed)

    def _run(self, step: Callable[[], object], steps: int) -> Repetition:
        self.cpu.start()
        start_s = self.time.now_s()
        for _ in range(steps):
            step()
        self.synchronize()
        end_s = self.time.now_s()
        return Repetition(start_s, end_s, steps, self.cpu.stop())


def steps_in(length_s: float, step_s: float) -> int:
    """Whole steps that take so long, one at least."""
    return max(1, math.ceil(length_s / step_s))


@dataclass
class CpuWindow:
    """Repeats a step between two readings of the CPU's counters."""

    cpu: CpuMeter
    now_s: Callable[[], float] = time.monotonic
    synchronize: Callable[[], None] = lambda: None
    gpu_reason: str = ON_THE_CPU  # why there is no energy of a GPU

    def window(self, step: Callable[[], object], step_s: float, profile: Profile) -> Energy:
        """Energy of `step`, which takes about `step_s`, or the reason why it is not known."""
        notes = {"gpu_energy_j": self.gpu_reason}
        if isinstance(self.cpu, NoMeter):
            return Energy(notes={**notes, "cpu_energy_j": self.cpu.reason})
        steps = steps_in(min(CPU_S, profile.energy_s), step_s)
        self.cpu.start()
        start_s = self.now_s()
        for _ in range(steps):
            step()
        self.synchronize()
        length_s = self.now_s() - start_s
        joules = self.cpu.stop()
        if isinstance(joules, str):
            return Energy(notes={**notes, "cpu_energy_j": joules})
        return Energy(
            cpu_energy_j=joules / steps,
            energy_source="rapl",
            energy_window_s=length_s,
            notes=notes,
        )
