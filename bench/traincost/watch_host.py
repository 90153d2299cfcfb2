"""The host while a command runs: the CPU's energy and the memory of the command's processes.

CPU counters wrap around, so they are added up on a clock of their own, whatever the interval of the
trace. A look at the memory takes longer the more processes and threads there are, so it is taken
less often then: it costs at most about `MEMORY_SHARE` of one core.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from traincost.child import Child, Ended
from traincost.instruments.edges import Refusal
from traincost.instruments.process_tree import look
from traincost.instruments.rapl import RaplReader, Reading
from traincost.watch_sample import HOST, Sample, Tell

MEMORY_EVERY_S, MEMORY_SHARE = 0.1, 0.01
FEWEST_LOOKS = 3
"""A peak of fewer is that of a program which starts."""
CPU_EVERY_S = 20.0
"""No CPU counter wraps twice within two of these."""
SHORTEST_S = 0.05
"""A mean power over less would be that of the few moments at which the counters are updated."""


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


@contextmanager
def noted(notes: dict[str, str], column: str) -> Generator[None]:
    """Any error in here becomes a note: a command is run to its end, whatever befalls a meter."""
    try:
        yield
    except Exception as e:
        notes[column] = told(e)


def told(error: Exception) -> str:
    """An error that nobody expected, in one line."""
    return f"{type(error).__name__}: {error}"


@dataclass
class Cpu:
    """Adds up what the counters rise between readings that are not too far apart."""

    reader: RaplReader | Refusal
    fault: str | None = None  # why there will be no energy any more
    _added_j: float = 0.0
    _base: Reading | None = None  # up to here it is added up
    _known: Reading | None = None  # the latest one that did not fail
    _latest: Reading | None = None

    def read(self) -> None:
        """Read the counters; a reading that fails is only missing."""
        if isinstance(self.reader, Refusal) or self.fault is not None:
            return
        latest = self._latest = self.reader.read()
        if self._base is None or self._known is None:
            self._base = self._known = latest
            self.fault = latest.fault
        if latest.fault is not None:
            return
        if self._known is not self._base and latest.time_s - self._base.time_s > CPU_EVERY_S:
            # Up to the reading before: from there to the next one counters have time to move.
            added_j = self.reader.joules(self._base, self._known)
            if isinstance(added_j, Refusal):
                self.fault = added_j.reason
            else:
                self._added_j, self._base = self._added_j + added_j, self._known
        self._known = latest

    def joules(self) -> float | Refusal:
        """From the first reading to the latest."""
        if isinstance(self.reader, Refusal):
            return self.reader
        if self.fault is not None or self._base is None or self._latest is None:
            return Refusal(self.fault or "the counters were not read")
        rest_j = self.reader.joules(self._base, self._latest)
        return rest_j if isinstance(rest_j, Refusal) else self._added_j + rest_j


@dataclass
class Memory:
    """The tree of the command's processes, looked at again and again."""

    pid: int
    pids: set[int] = field(default_factory=set[int])  # all that were ever seen
    latest: tuple[int, ...] = ()
    rss_bytes: int | None = None  # by the latest look that saw any
    peak_bytes: int | None = None  # resident, of all together
    largest_bytes: int | None = None  # of one process
    looks: int = 0  # that saw any memory
    due_s: float = -math.inf

    def read(self) -> None:
        """Look at the tree, and say when to do so again."""
        begun_s = time.thread_time()
        tree = look(self.pid)
        cost_s = time.thread_time() - begun_s
        self.due_s = time.monotonic() + max(MEMORY_EVERY_S, cost_s / MEMORY_SHARE)
        self.latest = tree.pids
        self.pids |= {*tree.pids}
        self.largest_bytes = max(self.largest_bytes or 0, tree.largest_bytes or 0) or None
        if tree.rss_bytes is not None:
            self.looks += 1
            self.rss_bytes = tree.rss_bytes
            self.peak_bytes = max(self.peak_bytes or 0, tree.rss_bytes)

    def peak(self, kernels_bytes: int | None) -> tuple[int | None, str]:
        """The highest of what was seen and of the kernel's mark, and which one it is."""
        if kernels_bytes is None and self.looks < FEWEST_LOOKS:
            return None, f"it ended after {self.looks} looks at its memory, too soon to know"
        peaks = (self.peak_bytes, self.largest_bytes, kernels_bytes)
        peak_bytes = max(peak for peak in peaks if peak is not None)
        if peak_bytes != self.peak_bytes:
            return peak_bytes, "of its largest process, by the kernel"
        return peak_bytes, f"of all its processes together, the highest of {self.looks} looks"


@dataclass
class WatchedHost:
    """Never raises; what went wrong is in `notes`."""

    cpu: Cpu
    notes: dict[str, str] = field(default_factory=dict[str, str])
    _memory: Memory = field(default_factory=lambda: Memory(0))
    _cpu_due_s: float = math.inf
    _start_s: float = 0.0
    _told_s: float = 0.0  # of the latest line with its energy
    _told_j: float = 0.0

    @property
    def pids(self) -> Sequence[int]:
        """The command's processes, as they were seen last."""
        return self._memory.latest

    @property
    def all_pids(self) -> set[int]:
        """Every process of the command that was ever seen."""
        return self._memory.pids

    @property
    def due_s(self) -> float:
        """When to look again, on the clock `time.monotonic`."""
        return min(self._memory.due_s, self._cpu_due_s)

    def begin(self) -> None:
        """The command is about to be started."""
        self._read_cpu()

    def start(self, child: Child) -> None:
        """It was started."""
        self._memory = Memory(child.pid)
        self._start_s = self._told_s = child.started_s

    def look(self) -> None:
        """Read what is due."""
        now_s = time.monotonic()
        if now_s >= self._memory.due_s:
            self._memory.due_s = math.inf  # if it fails it is not tried again
            with noted(self.notes, "host_peak_bytes"):
                self._memory.read()
        if now_s >= self._cpu_due_s:
            self._read_cpu()

    def sample(self, now_s: float, tell: Tell) -> None:
        """Tell the energy since the start, and the memory."""
        self._read_cpu()
        energy_j, power_w = self._energy_j(), None
        if energy_j is not None and now_s - self._told_s >= SHORTEST_S:
            power_w = (energy_j - self._told_j) / (now_s - self._told_s)
            self._told_s, self._told_j = now_s, energy_j
        tell(
            Sample(
                time_s=now_s - self._start_s,
                device=HOST,
                energy_j=energy_j,
                power_mean_w=power_w,
                memory_bytes=self._memory.rss_bytes,
            )
        )

    def end(self, command: Sequence[str], ended: Ended, tell: Tell) -> HostUse:
        """The command has ended."""
        self.sample(ended.time_s, tell)
        length_s, energy_j = ended.time_s - self._start_s, self._energy_j()
        if isinstance(self.cpu.reader, RaplReader) and self.cpu.reader.note is not None:
            self.notes.setdefault("cpu_energy_j", self.cpu.reader.note)
        peak_bytes, which = self._memory.peak(ended.largest_bytes)
        self.notes.setdefault("host_peak_bytes", which)
        return HostUse(
            command=shlex.join(command),
            exit_code=ended.exit_code,
            time_s=length_s,
            cpu_time_s=ended.cpu_time_s,
            host_peak_bytes=peak_bytes,
            cpu_energy_j=energy_j,
            cpu_power_mean_w=None if energy_j is None else energy_j / length_s,
            notes=self.notes,
        )

    def _read_cpu(self) -> None:
        self._cpu_due_s = math.inf
        try:
            self.cpu.read()
        except Exception as e:
            self.cpu.fault = told(e)
        else:
            self._cpu_due_s = time.monotonic() + CPU_EVERY_S

    def _energy_j(self) -> float | None:
        """Since the start; the note says why it is not known."""
        try:
            energy_j = self.cpu.joules()
        except Exception as e:
            energy_j = Refusal(told(e))
        if isinstance(energy_j, Refusal):
            self.notes["cpu_energy_j"] = energy_j.reason
            return None
        self.notes.pop("cpu_energy_j", None)
        return energy_j
