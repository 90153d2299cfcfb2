"""A GPU under a command: lines of the trace in order of time, and memory that is the command's.

The recorder hands out what a test wrote, and time stands where the test puts it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from traincost import watch_gpu
from traincost.instruments.edges import Edge
from traincost.instruments.energy_result import COUNTER
from traincost.instruments.gpu_memory import Process
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.recorder import Recorder
from traincost.instruments.recording import Recording
from traincost.watch import watch
from traincost.watch_gpu import GpuUse, WatchedGpu
from traincost.watch_sample import Sample

POWER_W = 300.0
STRANGER, COMMAND, OUTER, OUTER_2 = 3_999_996, 3_999_997, 3_999_998, 3_999_999
HERE = os.getpid()  # exists, and is not the command


@dataclass
class Clock:
    """Stands in for the module `time`."""

    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, length_s: float) -> None:
        self.now_s += length_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(watch_gpu, "time", found)
    return found


@dataclass
class Told(Recorder):
    """Has seen the counter's updates up to now, and processes of this moment."""

    clock: Clock = field(default_factory=Clock)
    period_s: float = 0.1
    ends_s: float = 1e9  # no update of the counter after this
    fault: str | None = None
    pids: Sequence[int] = ()
    used_bytes: int | None = 700
    _update: int = -10

    def open(self) -> Recording:
        return Recording(facts={"name": "a GPU"})

    def on(self) -> None:
        self._update = -10

    def take(self) -> Recording:
        edges = list[Edge]()
        while (at_s := self._update * self.period_s) <= min(self.clock.now_s, self.ends_s):
            edges.append(Edge(at_s, at_s, POWER_W * (at_s + 10)))
            self._update += 1
        processes = tuple(Process(pid, self.used_bytes) for pid in self.pids)
        state = GpuState(self.clock.now_s, processes=processes, used_bytes=5000)
        faults = {} if self.fault is None else {COUNTER: self.fault}
        return Recording(edges=tuple(edges), states=(state,), faults=faults)


def started(clock: Clock, **told: object) -> tuple[WatchedGpu, Told]:
    recorder = Told("GPU-1", clock=clock, **told)  # type: ignore[arg-type]
    gpu = WatchedGpu("GPU-1", recorder)
    gpu.begin()
    gpu.start(0.0)
    return gpu, recorder


# Lines of the trace.


def lines_of(clock: Clock, interval_s: float, end_s: float, **told: object) -> list[Sample]:
    lines, (gpu, _) = list[Sample](), started(clock, **told)
    while clock.now_s + interval_s < end_s - 1e-9:
        clock.now_s += interval_s
        gpu.sample((), lines.append)
    clock.now_s = end_s
    gpu.end(end_s, (), lines.append)
    return lines


@pytest.mark.parametrize("interval_s", [0.05, 0.07, 0.1, 0.25, 1.0])
@pytest.mark.parametrize("period_s", [0.02, 0.1, 0.13])
def test_lines_follow_each_other_from_the_start_to_the_end_with_their_energy(
    clock: Clock, interval_s: float, period_s: float
) -> None:
    lines = lines_of(clock, interval_s, 5.0, period_s=period_s)
    times_s = [0.0, *(line.time_s for line in lines)]
    assert all(a < b for a, b in pairwise(times_s)), times_s
    assert times_s[-1] == 5.0
    assert len(lines) >= 5.0 / max(interval_s, 3 * period_s)
    known = [line for line in lines if line.energy_j is not None]
    assert len(known) >= len(lines) - 2
    for line in known:
        assert line.energy_j == pytest.approx(POWER_W * line.time_s)
        assert line.power_mean_w == pytest.approx(POWER_W)


@pytest.mark.parametrize("told", [{"ends_s": -0.1}, {"ends_s": 2.05}, {"fault": "GpuIsLost"}])
def test_a_counter_that_died_leaves_lines_of_the_time_without_energy(
    clock: Clock, told: dict[str, object]
) -> None:
    lines = lines_of(clock, 0.5, 5.0, **told)
    times_s = [0.0, *(line.time_s for line in lines)]
    assert all(0.2 < b - a < 1.2 for a, b in pairwise(times_s)), times_s
    assert times_s[-1] == 5.0
    if "fault" not in told:
        assert all(line.energy_j is None for line in lines if line.time_s > 2.1)
    assert all(line.device_used_bytes == 5000 for line in lines)


# Memory of the command.


def used(
    clock: Clock, before: Sequence[int], during: Sequence[int], used_bytes: int | None = 700
) -> tuple[GpuUse, Sample]:
    """What is told of processes that are listed before and during the command, and a line."""
    lines, (gpu, recorder) = list[Sample](), started(clock, pids=before, used_bytes=used_bytes)
    recorder.pids = during
    for _ in range(3):
        clock.now_s += 1.0
        gpu.sample((COMMAND,), lines.append)
    return gpu.end(clock.now_s, {COMMAND}, lines.append), lines[1]


@pytest.mark.parametrize(
    ("before", "during"),
    [([], []), ([STRANGER], [STRANGER]), ([], [HERE]), ([STRANGER], [STRANGER, HERE])],
)
def test_memory_of_strangers_is_not_the_commands(
    clock: Clock, before: list[int], during: list[int]
) -> None:
    use, line = used(clock, before, during)
    assert use.device_peak_bytes is None
    assert "the command did not use this GPU" in use.notes["device_peak_bytes"]
    assert (line.memory_bytes, line.device_used_bytes) == (None, 5000)
    assert all(str(pid) in use.notes["gpu"] for pid in during)


@pytest.mark.parametrize("others", [[], [STRANGER]])
def test_memory_of_a_process_of_the_command_is_told(clock: Clock, others: list[int]) -> None:
    use, line = used(clock, others, [*others, COMMAND])
    assert (use.device_peak_bytes, line.memory_bytes) == (700, 700)


def test_a_single_unknown_process_that_came_with_the_command_is_its_outer_one(clock: Clock) -> None:
    use, line = used(clock, [], [OUTER])
    assert (use.device_peak_bytes, line.memory_bytes) == (700, 700)
    assert f"process {OUTER}, the only one" in use.notes["device_peak_bytes"]


def test_of_several_unknown_processes_none_is_taken_for_the_commands(clock: Clock) -> None:
    use, line = used(clock, [], [OUTER, OUTER_2])
    assert (use.device_peak_bytes, line.memory_bytes) == (None, None)
    assert "does not tell which are the command's" in use.notes["device_peak_bytes"]


def test_a_process_that_was_seen_here_is_a_stranger_also_after_its_end(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {OUTER}

    def exists(pid: int) -> bool:
        return pid in there

    monkeypatch.setattr(watch_gpu, "exists", exists)
    gpu, recorder = started(clock)
    recorder.pids = [OUTER]
    clock.now_s = 1.0
    gpu.sample((), lambda _: None)
    recorder.pids, there = [], set[int]()
    clock.now_s = 2.0
    assert gpu.end(2.0, {COMMAND}, lambda _: None).device_peak_bytes is None


# The command is run whatever happens.


@pytest.mark.parametrize("method", ["begin", "start", "sample", "end"])
def test_an_error_that_nobody_expected_costs_one_gpu_and_not_the_command(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def odd(*_: object) -> None:
        raise RuntimeError("odd")

    gpu = WatchedGpu("GPU-1", Told("GPU-1"))
    monkeypatch.setattr("traincost.watch._visible_gpus", lambda: ([gpu], None))
    monkeypatch.setattr("traincost.watch.IDLE_S", 0.0)
    monkeypatch.setattr(WatchedGpu, method, odd)
    told = watch(("sh", "-c", "sleep 0.2; exit 3"), 0.1, lambda _: None)
    assert told.host.exit_code == 3
    assert told.gpus[0].notes["gpu_energy_j"] == "RuntimeError: odd"
