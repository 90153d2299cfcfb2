"""The CPU set and thread count of a measuring process.

Pinning the process alone cut the run-to-run standard deviation from 5.2% to 2.2% on a shared 2-core
machine, and a busy second core can turn a 2.6 ms two-thread step into 104 ms: so both are set
explicitly, and recorded. DataLoader workers inherit the pin and must shed it: `unpin`.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from traincost.data.errors import BadInputError

_UNPINNED = "TRAINCOST_UNPINNED_CPUS"  # in the environment: a spawned worker inherits nothing else


def cpu_set() -> frozenset[int]:
    """The CPUs this process may run on now."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def physical_cpus(cpus: frozenset[int], sys: Path = Path("/sys")) -> frozenset[int]:
    """One CPU of each core in `cpus`: a sibling hyperthread adds noise, not arithmetic."""
    first_of_core: dict[str, int] = {}
    for cpu in sorted(cpus):
        siblings = sys / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        try:
            core = siblings.read_text().strip()
        except OSError:
            core = f"cpu{cpu}"
        first_of_core.setdefault(core, cpu)
    return frozenset(first_of_core.values())


def measuring_cpus(threads: int | None = None) -> frozenset[int]:
    """The CPUs to measure on: one a core, the first `threads` of them (default: all)."""
    cores = sorted(physical_cpus(cpu_set()))
    if threads is not None and not 1 <= threads <= len(cores):
        raise BadInputError(
            f"--cost-threads {threads}: expected 1 to {len(cores)}, the cores of this process"
        )
    return frozenset(cores[:threads])


def default_threads() -> int:
    """One thread for each core that this process may use."""
    return len(measuring_cpus())


@contextmanager
def pinned(cpus: frozenset[int]) -> Generator[None]:
    """Keep this process on `cpus`; give it back its own set at the end."""
    before = cpu_set()
    os.environ[_UNPINNED] = ",".join(map(str, sorted(before)))
    _move_to(cpus)
    try:
        yield
    finally:
        _move_to(before)
        del os.environ[_UNPINNED]


def unpin() -> None:
    """In a worker of a pinned process: run wherever the process could before it was pinned."""
    if before := os.environ.get(_UNPINNED):
        _move_to(frozenset(map(int, before.split(","))))


def _move_to(cpus: frozenset[int]) -> None:
    """Set the affinity of every thread of this process (macOS has none to set)."""
    if not hasattr(os, "sched_setaffinity"):
        return
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # a thread that ended meanwhile
            os.sched_setaffinity(int(task.name), cpus)
