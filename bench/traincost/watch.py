"""Any command, watched from its start to its end: energy, power, memory and clocks.

    before    every visible GPU gets a recorder, and half a second shows its idle power
    start     the CPU's counters are read, the command is started
    during    the memory of its processes ten times a second; each `interval_s` a sample of all
    end       the CPU's counters at once; the GPU's once they were updated, a moment later

The recorders are processes of their own; this one reads files in /proc and /sys. What cannot be
measured is None with the reason in `notes`, and the command is run whatever happens.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from traincost.child import Child, Ended
from traincost.instruments.edges import Refusal
from traincost.instruments.listing import listed_gpus
from traincost.instruments.process_tree import Tree, look
from traincost.instruments.rapl import RaplReader, Reading, open_reader
from traincost.instruments.recorder import Recorder
from traincost.instruments.visible import visible
from traincost.watch_gpu import IDLE_S, GpuUse, Sample, WatchedGpu

MEMORY_EVERY_S = 0.1
HOST = "host"
LONG_S = 20.0
"""A CPU counter is added up so often: none wraps twice within."""


@dataclass(frozen=True)
class HostUse:
    """What a command took of the host."""

    command: str
    exit_code: int
    time_s: float
    cpu_time_s: float
    host_peak_bytes: int | None
    cpu_energy_j: float | None
    cpu_power_mean_w: float | None
    notes: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Watched:
    """A command that has ended, and what it took."""

    host: HostUse
    gpus: tuple[GpuUse, ...]
    gpu_note: str | None = None  # why there is no GPU, or how the visible ones were found


def watch(
    command: Sequence[str],
    interval_s: float,
    on_sample: Callable[[Sample], object],
    sys: Path = Path("/sys"),
) -> Watched:
    """Run a command to its end; BadInputError if it cannot be started."""
    gpus, gpu_note = _visible_gpus()
    cpu = _Cpu(open_reader(sys))
    try:
        if gpus:
            with ThreadPoolExecutor(len(gpus)) as pool:
                list(pool.map(WatchedGpu.begin, gpus))
            time.sleep(IDLE_S)
        cpu.read()
        child = Child.start(command)
        for gpu in gpus:
            gpu.start(child.started_s)
        memory = _Memory(child.pid)
        ended = _until_end(child, interval_s, on_sample, _Probes(gpus, cpu, memory))
        cpu.read()
        uses = tuple(gpu.end(ended.time_s, tuple(memory.pids), on_sample) for gpu in gpus)
        return Watched(_host(shlex.join(command), child, ended, cpu, memory), uses, gpu_note)
    finally:
        for gpu in gpus:
            gpu.recorder.close()


def _visible_gpus() -> tuple[list[WatchedGpu], str | None]:
    listed = listed_gpus()
    if isinstance(listed, Refusal):
        return [], listed.reason
    if not listed:
        return [], "NVML lists no GPU"
    shown = visible(listed)
    return [WatchedGpu(uuid, Recorder(uuid)) for uuid in shown.uuids], shown.note


@dataclass
class _Cpu:
    """Adds up what the counters rise between readings that are not too far apart."""

    reader: RaplReader | Refusal
    fault: str | None = None
    _added_j: float = 0.0
    _base: Reading | None = None
    _latest: Reading | None = None

    def read(self) -> None:
        if isinstance(self.reader, Refusal) or self.fault is not None:
            return
        before, self._latest = self._latest, self.reader.read()
        self._base = self._base or self._latest
        if before is not None and self._latest.time_s - self._base.time_s > LONG_S:
            # Up to the reading before: from there to the next one counters have time to move.
            added_j = self.reader.joules(self._base, before)
            if isinstance(added_j, Refusal):
                self.fault = added_j.reason
            else:
                self._added_j, self._base = self._added_j + added_j, before

    def joules(self) -> float | Refusal:
        """Since the first reading."""
        if isinstance(self.reader, Refusal):
            return self.reader
        if self.fault is not None or self._base is None or self._latest is None:
            return Refusal(self.fault or "the counters were not read")
        rest_j = self.reader.joules(self._base, self._latest)
        return rest_j if isinstance(rest_j, Refusal) else self._added_j + rest_j


@dataclass
class _Memory:
    """The tree of the command's processes."""

    pid: int
    pids: set[int] = field(default_factory=set[int])
    peak_bytes: int | None = None  # resident, of all together
    largest_bytes: int | None = None  # of one process
    latest: Tree = field(default_factory=lambda: Tree((), None, None))

    def read(self) -> None:
        self.latest = look(self.pid)
        self.pids |= {*self.latest.pids}
        self.peak_bytes = max(self.peak_bytes or 0, self.latest.rss_bytes or 0) or None
        self.largest_bytes = max(self.largest_bytes or 0, self.latest.largest_bytes or 0) or None


@dataclass(frozen=True)
class _Probes:
    gpus: Sequence[WatchedGpu]
    cpu: _Cpu
    memory: _Memory


def _until_end(
    child: Child, interval_s: float, on_sample: Callable[[Sample], object], probes: _Probes
) -> Ended:
    """Look at the memory often and at everything each interval."""
    due_s, before_s, before_j = child.started_s + interval_s, child.started_s, 0.0
    while True:
        probes.memory.read()
        now_s = time.monotonic()
        if ended := child.wait(min(MEMORY_EVERY_S, interval_s, max(0.0, due_s - now_s))):
            return ended
        now_s = time.monotonic()
        if now_s < due_s:
            continue
        due_s = max(due_s + interval_s, now_s)
        probes.cpu.read()
        total_j = probes.cpu.joules()
        energy_j = None if isinstance(total_j, Refusal) else total_j
        power_w = None if energy_j is None else (energy_j - before_j) / (now_s - before_s)
        before_s, before_j = now_s, energy_j or 0.0
        on_sample(
            Sample(
                time_s=now_s - child.started_s,
                device=HOST,
                energy_j=energy_j,
                power_mean_w=power_w,
                memory_bytes=probes.memory.latest.rss_bytes,
            )
        )
        for gpu in probes.gpus:
            gpu.sample(probes.memory.latest.pids, on_sample)


def _host(command: str, child: Child, ended: Ended, cpu: _Cpu, memory: _Memory) -> HostUse:
    length_s, notes = ended.time_s - child.started_s, dict[str, str]()
    energy_j = cpu.joules()
    if isinstance(energy_j, Refusal):
        notes["cpu_energy_j"] = energy_j.reason
    elif isinstance(cpu.reader, RaplReader) and cpu.reader.note is not None:
        notes["cpu_energy_j"] = cpu.reader.note
    peaks = (memory.peak_bytes, memory.largest_bytes, ended.largest_bytes)
    known = [peak for peak in peaks if peak is not None]
    if not known:
        notes["host_peak_bytes"] = "it ended before it was looked at"
    elif max(known) != memory.peak_bytes:
        notes["host_peak_bytes"] = "of its largest process, by the kernel"
    else:
        every = f"{MEMORY_EVERY_S:g} s"
        notes["host_peak_bytes"] = f"of all its processes together, looked at every {every}"
    return HostUse(
        command=command,
        exit_code=ended.exit_code,
        time_s=length_s,
        cpu_time_s=ended.cpu_time_s,
        host_peak_bytes=max(known, default=None),
        cpu_energy_j=None if isinstance(energy_j, Refusal) else energy_j,
        cpu_power_mean_w=None if isinstance(energy_j, Refusal) else energy_j / length_s,
        notes=notes,
    )
