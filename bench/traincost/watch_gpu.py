"""One GPU while a command runs: its recorder, what that saw, and what is told of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from traincost.instruments.edges import CounterEnergy, Refusal, estimate_period_s
from traincost.instruments.energy_result import COUNTER, SENSOR, idle_power_w
from traincost.instruments.gpu_memory import sharing
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.history import History
from traincost.instruments.nvml import reason_names
from traincost.instruments.power import disagreement
from traincost.instruments.recorder import Recorder, RecorderGoneError
from traincost.instruments.recording import Recording
from traincost.instruments.validity import validity

IDLE_S = 0.5
"""Watched before the command: idle power, and updates of the counter before its start."""
TAIL_PERIODS, TAIL_MOST_S = 2.5, 0.3


@dataclass(frozen=True)
class Sample:
    """A line of the trace: one device, at a moment since the command's start."""

    time_s: float
    device: str  # `host`, or the GPU's UUID
    energy_j: float | None = None  # since the start
    energy_error_j: float | None = None
    power_mean_w: float | None = None  # since the line before of this device
    memory_bytes: int | None = None  # of the command
    device_used_bytes: int | None = None
    sm_clock_hz: float | None = None
    temperature_c: float | None = None
    throttle_reasons: str | None = None


@dataclass(frozen=True)
class GpuUse:
    """What a GPU did while a command ran."""

    uuid: str
    name: str | None = None
    gpu_energy_j: float | None = None
    gpu_energy_error_j: float | None = None
    power_mean_w: float | None = None
    power_idle_w: float | None = None
    power_limit_w: float | None = None
    temperature_max_c: float | None = None
    sm_clock_mean_hz: float | None = None
    throttle_reasons: str | None = None
    device_peak_bytes: int | None = None
    notes: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class WatchedGpu:
    """Never raises for what NVML or the recorder do; `gone` says why it knows nothing more."""

    uuid: str
    recorder: Recorder
    gone: str | None = None
    _history: History = field(default_factory=History)
    _idle: Recording = field(default_factory=Recording)
    _start_s: float = math.inf
    _told_s: float = 0.0  # of the sample before
    _told_j: float = 0.0

    def begin(self) -> None:
        """Start recording."""
        try:
            opened = self.recorder.open()
            if not opened.facts:
                self.gone = ", ".join(f"{call}: {what}" for call, what in opened.faults.items())
                return
            self.recorder.on()
        except RecorderGoneError as e:
            self.gone = str(e)
        else:
            self._history.add(opened)

    def start(self, start_s: float) -> None:
        """The command was started; what was recorded so far is of an idle GPU."""
        self._idle = self._take()
        self._start_s = self._told_s = start_s

    def sample(self, pids: Sequence[int], on_sample: Callable[[Sample], object]) -> None:
        """Tell what was read since the sample before, up to the counter's last update but one."""
        taken = self._take()
        if self.gone is None:
            edges = self._history.edges
            at_s = edges[-2].time_s if len(edges) > 1 else time.monotonic()
            on_sample(self._sample(at_s, taken, pids))

    def end(
        self, end_s: float, pids: Sequence[int], on_sample: Callable[[Sample], object]
    ) -> GpuUse:
        """The command has ended; wait until the counter was updated once more."""
        period_s = estimate_period_s(self._history.edges) or TAIL_MOST_S
        rest_s = end_s + min(TAIL_MOST_S, TAIL_PERIODS * period_s) - time.monotonic()
        if self.gone is None:
            time.sleep(max(0.0, rest_s))
        taken = self._take(end_s)
        if self.gone is None:
            on_sample(self._sample(end_s, taken, pids))
        return self._use(end_s, pids)

    def _take(self, end_s: float = math.inf) -> Recording:
        if self.gone is not None:
            return Recording()
        try:
            taken = self.recorder.take()
        except RecorderGoneError as e:
            self.gone = str(e)
            return Recording()
        self._history.add(taken, self._start_s, end_s)
        return taken

    def _sample(self, at_s: float, taken: Recording, pids: Sequence[int]) -> Sample:
        energy = self._history.energy(self._start_s, at_s)
        known = isinstance(energy, CounterEnergy) and at_s > self._told_s
        power_w = None
        if known and isinstance(energy, CounterEnergy):
            power_w = (energy.energy_j - self._told_j) / (at_s - self._told_s)
            self._told_s, self._told_j = at_s, energy.energy_j
        memory_bytes, used_bytes = _memory(taken.states, pids)
        latest = taken.states[-1] if taken.states else GpuState(at_s)
        return Sample(
            time_s=at_s - self._start_s,
            device=self.uuid,
            energy_j=energy.energy_j if isinstance(energy, CounterEnergy) else None,
            energy_error_j=energy.error_j if isinstance(energy, CounterEnergy) else None,
            power_mean_w=power_w,
            memory_bytes=memory_bytes,
            device_used_bytes=used_bytes,
            sm_clock_hz=latest.sm_clock_hz,
            temperature_c=latest.temperature_c,
            throttle_reasons=_reasons(taken.states),
        )

    def _use(self, end_s: float, pids: Sequence[int]) -> GpuUse:
        history, length_s = self._history, end_s - self._start_s
        during = [s for s in history.states if self._start_s <= s.time_s <= end_s]
        state = validity(self._idle.states, during, pids)
        energy = history.energy(self._start_s, end_s)
        if fault := history.faults.get(COUNTER):
            energy = Refusal(f"{COUNTER}: {fault}")
        if self.gone is not None:
            energy = Refusal(self.gone)
        notes = dict(state.notes)
        idle_w = idle_power_w(self._idle)
        if isinstance(idle_w, Refusal):
            notes["power_idle_w"] = idle_w.reason
        if isinstance(energy, Refusal):
            notes["gpu_energy_j"] = energy.reason
        elif apart := self._apart(energy.energy_j, length_s):
            notes["gpu_energy_j"] = apart
        return GpuUse(
            uuid=self.uuid,
            name=history.name,
            gpu_energy_j=energy.energy_j if isinstance(energy, CounterEnergy) else None,
            gpu_energy_error_j=energy.error_j if isinstance(energy, CounterEnergy) else None,
            power_mean_w=energy.energy_j / length_s if isinstance(energy, CounterEnergy) else None,
            power_idle_w=None if isinstance(idle_w, Refusal) else idle_w,
            power_limit_w=state.power_limit_w,
            temperature_max_c=state.temperature_max_c,
            sm_clock_mean_hz=state.sm_clock_mean_hz,
            throttle_reasons=state.throttle_reasons,
            device_peak_bytes=state.device_peak_bytes,
            notes=notes,
        )

    def _apart(self, counter_j: float, length_s: float) -> str | None:
        """What the second source has to say about the counter."""
        if fault := self._history.faults.get(SENSOR):
            return f"the counter alone, not compared: {SENSOR}: {fault}"
        sensor = self._history.sensor(length_s)
        return None if isinstance(sensor, Refusal) else disagreement(counter_j, sensor)


def _memory(states: Sequence[GpuState], pids: Sequence[int]) -> tuple[int | None, int | None]:
    """The command's on the GPU, and all that is used there, by the last complete reading."""
    own = used = None
    for state in states:
        if state.processes is not None:
            mine = sharing(state.processes, pids).own
            own = None if mine is None else mine.used_bytes
        used = used if state.used_bytes is None else state.used_bytes
    return own, used


def _reasons(states: Sequence[GpuState]) -> str | None:
    """By name, what any of the readings gave as a reason for its clocks."""
    seen = [s.reasons for s in states if s.reasons is not None]
    if not seen:
        return None
    bits = 0
    for one in seen:
        bits |= one
    return ", ".join(reason_names(bits)) or "none"
