"""A process and all that it started: who they are, and the memory they hold.

The kernel lists the children of each thread (`/proc/PID/task/TID/children`), so a look at a tree
costs microseconds a process, however many others there are. A process whose parent has ended
belongs to another tree (a daemon), and is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Tree:
    """One look at the tree."""

    pids: tuple[int, ...]
    rss_bytes: int | None  # resident, added up: memory shared by two processes counts twice
    largest_bytes: int | None  # the most that one of them ever held


def look(pid: int, proc: Path = PROC) -> Tree:
    """The tree of a process now; empty once it has ended."""
    pids, rss_bytes, largest_bytes = list[int](), list[int](), list[int]()
    for one in _tree(pid, proc):
        pids.append(one)
        try:
            status = (proc / str(one) / "status").read_text()
        except OSError:
            continue  # it ended meanwhile
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if "VmRSS" in fields:  # not while it ends
            rss_bytes.append(_bytes(fields["VmRSS"]))
        if "VmHWM" in fields:
            largest_bytes.append(_bytes(fields["VmHWM"]))
    total = sum(rss_bytes) if rss_bytes else None
    return Tree(tuple(pids), total, max(largest_bytes, default=None))


def _tree(pid: int, proc: Path) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        yield one
        for task in (proc / str(one) / "task").glob("*"):
            try:
                waiting += map(int, (task / "children").read_text().split())
            except OSError:
                continue  # the thread ended, or the kernel keeps no such list


def _bytes(text: str) -> int:
    return int(text.split()[0]) * 1024
