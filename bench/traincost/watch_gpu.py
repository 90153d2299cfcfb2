"""One GPU while a command runs: its recorder, what that saw, and what is told of it."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from traincost.instruments.edges import CounterEnergy, Refusal, estimate_period_s
from traincost.instruments.energy_result import COUNTER, SENSOR, idle_power_w
from traincost.instruments.gpu_memory import Process, exists, sharing
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.history import History
from traincost.instruments.nvml import reason_names
from traincost.instruments.power import disagreement
from traincost.instruments.recorder import Recorder, RecorderGoneError
from traincost.instruments.recording import Recording
from traincost.instruments.validity import Validity, validity
from traincost.watch_sample import Sample, Tell

IDLE_S = 0.5
"""Watched before the command: idle power, and updates of the counter before its start."""
TAIL_PERIODS, TAIL_MOST_S = 2.5, 0.3
"""Waited for the counter's next update: so many of its periods, and at most so long."""
UNUSED = "the command did not use this GPU, by NVML's list of processes"
SEVERAL_UNKNOWN = "NVML lists processes unknown here, and does not tell which are the command's"


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
    _told_s: float = 0.0  # of the latest line that has its energy
    _told_j: float = 0.0
    _line_s: float = 0.0  # of the latest line
    _untold: tuple[GpuState, ...] = ()  # states since then
    _known_pids: set[int] = field(default_factory=set[int])  # listed, and there before or here

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
        self._known_pids |= {p.pid for p in _listed(self._idle.states)}
        self._untold = ()
        self._start_s = self._told_s = self._line_s = start_s

    def sample(self, pids: Sequence[int], tell: Tell) -> None:
        """Tell what was read since the sample before, up to the counter's last update but one.

        Where there was none since then the line waits for it, but not for long.
        """
        self._take()
        if self.gone is not None:
            return
        edges, now_s = self._history.edges, time.monotonic()
        at_s = edges[-2].time_s if len(edges) > 1 else -math.inf
        if at_s > self._line_s:
            tell(self._sample(at_s, self._energy(at_s), pids))
        elif self._history.faults.get(COUNTER) or now_s - self._line_s >= TAIL_MOST_S:
            tell(self._sample(now_s, None, pids))

    def end(self, end_s: float, pids: Collection[int], tell: Tell) -> GpuUse:
        """The command has ended; wait until the counter was updated once more."""
        period_s = estimate_period_s(self._history.edges) or TAIL_MOST_S
        rest_s = end_s + min(TAIL_MOST_S, TAIL_PERIODS * period_s) - time.monotonic()
        if self.gone is None:
            time.sleep(max(0.0, rest_s))
        self._take(end_s)
        listed = {p.pid for p in _listed(self._history.states)}
        own_pids = tuple(listed.intersection(pids))  # few, of however many it started
        if self.gone is None:
            tell(self._sample(end_s, self._energy(end_s), own_pids))
        return self._use(end_s, own_pids)

    def _take(self, end_s: float = math.inf) -> Recording:
        if self.gone is not None:
            return Recording()
        try:
            taken = self.recorder.take()
        except RecorderGoneError as e:
            self.gone = str(e)
            return Recording()
        self._history.add(taken, self._start_s, end_s)
        self._untold += taken.states
        self._known_pids |= {p.pid for p in _listed(taken.states) if exists(p.pid)}
        return taken

    def _energy(self, at_s: float) -> CounterEnergy | None:
        energy = self._history.energy(self._start_s, at_s)
        return energy if isinstance(energy, CounterEnergy) else None

    def _sample(self, at_s: float, energy: CounterEnergy | None, pids: Sequence[int]) -> Sample:
        power_w = None
        if energy is not None:
            power_w = (energy.energy_j - self._told_j) / (at_s - self._told_s)
            self._told_s, self._told_j = at_s, energy.energy_j
        states, self._line_s, self._untold = self._untold, at_s, ()
        memory_bytes, used_bytes = self._memory(states, pids)
        latest = states[-1] if states else GpuState(at_s)
        return Sample(
            time_s=at_s - self._start_s,
            device=self.uuid,
            energy_j=None if energy is None else energy.energy_j,
            energy_error_j=None if energy is None else energy.error_j,
            power_mean_w=power_w,
            memory_bytes=memory_bytes,
            device_used_bytes=used_bytes,
            sm_clock_hz=latest.sm_clock_hz,
            temperature_c=latest.temperature_c,
            throttle_reasons=_reasons(states),
        )

    def _memory(
        self, states: Sequence[GpuState], pids: Sequence[int]
    ) -> tuple[int | None, int | None]:
        """The command's on the GPU, and all that is used there, by the last complete reading."""
        own = used = None
        for state in states:
            if state.processes is not None:
                mine = sharing(state.processes, pids, self._known).own
                own = None if mine is None else mine.used_bytes
            used = used if state.used_bytes is None else state.used_bytes
        return own, used

    def _known(self, pid: int) -> bool:
        """Whether it was there before the command, or is a process that can be seen here.

        Where it is neither it may be the command's, by its number outside of this container.
        """
        return pid in self._known_pids or exists(pid)

    def _use(self, end_s: float, pids: Sequence[int]) -> GpuUse:
        history, length_s = self._history, end_s - self._start_s
        during = [s for s in history.states if self._start_s <= s.time_s <= end_s]
        state = self._of_the_command(
            validity(self._idle.states, during, pids, self._known), during, pids
        )
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

    def _of_the_command(
        self, state: Validity, during: Sequence[GpuState], pids: Sequence[int]
    ) -> Validity:
        """Without memory where nothing of the command was on the GPU: it need not use it."""
        listings = [s.processes for s in during if s.processes is not None]
        if not listings or any(sharing(one, pids, self._known).own for one in listings):
            return state
        unknown = any(not self._known(p.pid) for one in listings for p in one)
        reason = SEVERAL_UNKNOWN if unknown else UNUSED
        return replace(
            state, device_peak_bytes=None, notes={**state.notes, "device_peak_bytes": reason}
        )

    def _apart(self, counter_j: float, length_s: float) -> str | None:
        """What the second source has to say about the counter."""
        if fault := self._history.faults.get(SENSOR):
            return f"the counter alone, not compared: {SENSOR}: {fault}"
        sensor = self._history.sensor(length_s)
        return None if isinstance(sensor, Refusal) else disagreement(counter_j, sensor)


def _listed(states: Sequence[GpuState]) -> Iterator[Process]:
    return (p for state in states for p in state.processes or ())


def _reasons(states: Sequence[GpuState]) -> str | None:
    """By name, what any of the readings gave as a reason for its clocks."""
    seen = [s.reasons for s in states if s.reasons is not None]
    if not seen:
        return None
    bits = 0
    for one in seen:
        bits |= one
    return ", ".join(reason_names(bits)) or "none"
