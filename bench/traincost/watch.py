"""Any command, watched from its start to its end: energy, power, memory and clocks.

    before    every visible GPU gets a recorder, and half a second shows its idle power
    start     the CPU's counters are read, the command is started
    during    the memory of its processes ten times a second; each `interval_s` a sample of all
    end       the CPU's counters at once; the GPU's once they were updated, a moment later

The recorders are processes of their own; this one reads files in /proc and /sys. What cannot be
measured is None with the reason in `notes`, and the command is run whatever happens: an error that
nobody expected becomes a note, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from traincost.child import Child, Ended
from traincost.instruments.edges import Refusal
from traincost.instruments.listing import listed_gpus
from traincost.instruments.rapl import RaplReader, open_reader
from traincost.instruments.recorder import Recorder
from traincost.instruments.visible import visible
from traincost.watch_gpu import IDLE_S, GpuUse, WatchedGpu
from traincost.watch_host import Cpu, HostUse, WatchedHost, noted, told
from traincost.watch_sample import Sample, Tell


@dataclass(frozen=True)
class Watched:
    """A command that has ended, and what it took."""

    host: HostUse
    gpus: tuple[GpuUse, ...]
    gpu_note: str | None = None  # why there is no GPU, or how the visible ones were found


def watch(
    command: Sequence[str],
    interval_s: float,
    on_sample: Tell,
    sys: Path = Path("/sys"),
    on_end: Callable[[Watched], object] = lambda _: None,
) -> Watched:
    """Run a command to its end; BadInputError if it cannot be started.

    Args:
        command: The program and its arguments.
        interval_s: Seconds from sample to sample.
        on_sample: Gets each of them.
        sys: Where the CPU's counters are.
        on_end: Gets what is returned, while signals that come too late for the command are held.
    """
    gpus, gpu_note = _visible_gpus()
    host = WatchedHost(Cpu(_cpu_reader(sys)))
    try:
        if gpus:
            with ThreadPoolExecutor(len(gpus)) as pool:
                list(pool.map(_begin, gpus))
            time.sleep(IDLE_S)
        host.begin()
        child = Child.start(command)
        try:
            tell = _Teller(on_sample, host.notes)
            ended = _until_end(child, interval_s, host, gpus, tell)
            use = host.end(command, ended, tell)
            watched = Watched(use, tuple(_end(g, ended, host, tell) for g in gpus), gpu_note)
            on_end(watched)
        finally:
            child.release()
        return watched
    finally:
        for gpu in gpus:
            gpu.recorder.close()


def _visible_gpus() -> tuple[list[WatchedGpu], str | None]:
    try:
        listed = listed_gpus()
        if isinstance(listed, Refusal):
            return [], listed.reason
        if not listed:
            return [], "NVML lists no GPU"
        shown = visible(listed)
    except Exception as e:
        return [], told(e)
    return [WatchedGpu(uuid, Recorder(uuid)) for uuid in shown.uuids], shown.note


def _cpu_reader(sys: Path) -> RaplReader | Refusal:
    try:
        return open_reader(sys)
    except Exception as e:
        return Refusal(told(e))


@dataclass(frozen=True)
class _Teller:
    """Hands samples on; one that cannot be is a note."""

    on_sample: Tell
    notes: dict[str, str]

    def __call__(self, sample: Sample) -> None:
        with noted(self.notes, "trace"):
            self.on_sample(sample)


def _until_end(
    child: Child, interval_s: float, host: WatchedHost, gpus: Sequence[WatchedGpu], tell: Tell
) -> Ended:
    """Look at the host when that is due, and at everything each interval."""
    host.start(child)
    for gpu in gpus:
        _try(gpu, lambda gpu: gpu.start(child.started_s))
    due_s = child.started_s + interval_s
    while True:
        host.look()
        if ended := child.wait(max(0.0, min(host.due_s, due_s) - time.monotonic())):
            return ended
        now_s = time.monotonic()
        if now_s < due_s:
            continue
        due_s = max(due_s + interval_s, now_s)
        host.sample(now_s, tell)
        for gpu in gpus:
            _try(gpu, lambda gpu: gpu.sample(host.pids, tell))


def _begin(gpu: WatchedGpu) -> None:
    _try(gpu, WatchedGpu.begin)


def _try(gpu: WatchedGpu, do: Callable[[WatchedGpu], object]) -> None:
    try:
        do(gpu)
    except Exception as e:
        gpu.gone = told(e)


def _end(gpu: WatchedGpu, ended: Ended, host: WatchedHost, tell: Tell) -> GpuUse:
    try:
        return gpu.end(ended.time_s, host.all_pids, tell)
    except Exception as e:
        return GpuUse(gpu.uuid, notes={"gpu_energy_j": told(e)})
