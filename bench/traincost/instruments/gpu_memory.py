"""Memory of a GPU by NVML, which sees what no allocator counts: contexts, libraries, graphs.

NVML has told `used` in several ways: with the memory that driver and firmware keep for themselves
(`nvmlDeviceGetMemoryInfo`), without it (its version 2), or, on older drivers, the other way round.
Which one it is shows in the sums: `used + free (+ reserved) = total`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from traincost.instruments.gpu import Gpu
from traincost.instruments.nvml import FUNCTION_NOT_FOUND, NvmlFault

INFO = "nvmlDeviceGetMemoryInfo"
_VERSION_MISMATCH = 25


@dataclass(frozen=True)
class DeviceMemory:
    """Of the whole device. `used_bytes` is what processes hold, where the reserve is known."""

    total_bytes: int
    used_bytes: int
    free_bytes: int
    reserved_bytes: int | None  # None: not known, and `used_bytes` includes it


@dataclass(frozen=True)
class Process:
    """A process that works on a GPU; its memory is None where NVML does not tell."""

    pid: int
    used_bytes: int | None


def split(total: int, used: int, free: int, reserved: int | None = None) -> DeviceMemory:
    """Memory by whichever convention makes the sum right, all in bytes."""
    if reserved is None:
        # Old drivers leave the reserve out of `used`; where they count it in, it cannot be told.
        rest = total - used - free
        return DeviceMemory(total, used, free, rest if rest > 0 else None)
    without, within = abs(total - used - free - reserved), abs(total - used - free)
    net = used - reserved if within < without else used
    return DeviceMemory(total, max(0, net), free, reserved)


def read_memory(gpu: Gpu) -> DeviceMemory:
    """Memory of the device now; NvmlFault where NVML cannot say."""
    version = getattr(gpu.nvml, "nvmlMemory_v2", None)
    if version is not None:
        try:
            info = gpu.ask(INFO, version)
            return split(info.total, info.used, info.free, info.reserved)
        except NvmlFault as fault:
            if fault.code not in (FUNCTION_NOT_FOUND, _VERSION_MISMATCH):
                raise
    info = gpu.ask(INFO)
    return split(info.total, info.used, info.free)


def listed_processes(gpu: Gpu) -> tuple[Process, ...]:
    """Every process that computes or draws on it, once."""
    found: dict[int, int | None] = {}
    for kind in ("Compute", "Graphics"):
        for process in gpu.ask(f"nvmlDeviceGet{kind}RunningProcesses"):
            found[process.pid] = process.usedGpuMemory
    return tuple(Process(pid, used) for pid, used in found.items())


@dataclass(frozen=True)
class Sharing:
    """Who works on the GPU: this process as NVML lists it, and the others."""

    own: Process | None
    others: tuple[Process, ...]


def exists(pid: int) -> bool:
    """Whether this process can see one of this number."""
    return Path(f"/proc/{pid}").exists()


def sharing(
    processes: Iterable[Process], own_pids: Sequence[int], seen: Callable[[int], bool] = exists
) -> Sharing:
    """Tell this process (`own_pids`, with those it started) from the others.

    In a container NVML may list processes by their numbers outside of it. Then a single process
    that nobody here has ever seen is this one: it does hold the GPU, so it must be on the list.
    """
    found = tuple(processes)
    own = [p for p in found if p.pid in own_pids]
    others = tuple(p for p in found if p.pid not in own_pids)
    if not own and len(others) == 1 and not seen(others[0].pid):
        return Sharing(others[0], ())
    if not own:
        return Sharing(None, others)
    sizes = [p.used_bytes for p in own if p.used_bytes is not None]
    return Sharing(Process(own[0].pid, sum(sizes) if sizes else None), others)
