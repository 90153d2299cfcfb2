"""How long this process's threads stood ready and waited for a CPU, by the kernel's own account.

A step on two threads whose core is taken by another process can be a hundred times too slow in
every round alike: the spread says nothing, the run delay does. In good rounds it was 0 to 0.16 of
the wall time, in rounds that took 24 ms instead of 170 µs it was 1.0.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PROC_SELF = Path("/proc/self")


def waited_s(proc_self: Path = PROC_SELF) -> float | None:
    """Seconds that the threads alive now have waited so far, summed; None where nobody counts."""
    delays_ns: list[int] = []
    for schedstat in (proc_self / "task").glob("*/schedstat"):
        with suppress(OSError, IndexError, ValueError):  # a thread that ended meanwhile
            delays_ns.append(int(schedstat.read_text().split()[1]))
    return sum(delays_ns) / 1e9 if delays_ns else None


def waited_share(before_s: float | None, after_s: float | None, wall_s: float) -> float | None:
    """Waiting in a span of wall time, as a share of it; above 1 where several threads waited."""
    if before_s is None or after_s is None or wall_s <= 0:
        return None
    return max(0.0, after_s - before_s) / wall_s
