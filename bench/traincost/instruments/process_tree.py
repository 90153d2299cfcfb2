"""A process and all that it started: who they are, and the memory they hold.

The kernel lists the children of each thread (`/proc/PID/task/TID/children`), so a look at a tree
costs microseconds a thread and process, however many others there are. Processes and threads may
end at any moment of it. A process whose parent has ended belongs to another tree (a daemon), and
is not seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Tree:
    """One look at the tree."""

    pids: tuple[int, ...]
    rss_bytes: int | None  # resident, added up: memory shared by two processes counts twice
    largest_bytes: int | None  # the most that one of them ever held


def look(pid: int, proc: Path = PROC) -> Tree:
    """The tree of a process now; empty once it has ended."""
    root = str(proc)  # paths stay texts: building `Path`s would be half of the cost
    pids = tuple(_tree(pid, root))
    memory = [_memory(_read(f"{root}/{one}/status")) for one in pids]
    rss_bytes = [now for now, _ in memory if now is not None]
    marks = [most for _, most in memory if most is not None]
    return Tree(pids, sum(rss_bytes) if rss_bytes else None, max(marks, default=None))


def peak_bytes(pid: int, proc: Path = PROC) -> int | None:
    """The most that this one process ever held, None once it has ended."""
    return _memory(_read(f"{proc}/{pid}/status"))[1]


def _tree(pid: int, root: str) -> Iterator[int]:
    """Each once: the children of a thread that ends meanwhile become those of another one."""
    waiting, found = [pid], {pid}
    while waiting:
        one = waiting.pop()
        yield one
        folder = f"{root}/{one}/task"
        for thread in _names(folder):
            children = {int(child) for child in _read(f"{folder}/{thread}/children").split()}
            waiting += children - found
            found |= children


def _names(folder: str) -> list[str]:
    """What is in a folder; nothing once its process has ended."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _read(path: str) -> bytes:
    """A file in /proc; nothing where its process or thread has ended, or the kernel has none."""
    read = b""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            while more := os.read(file, _READ_BYTES):
                read += more
        finally:
            os.close(file)
    except OSError:
        return b""
    return read


def _memory(status: bytes) -> tuple[int | None, int | None]:
    """Resident now and at most, of a status file; bytes, as a process may have any name."""
    return _field_bytes(status, b"\nVmRSS:"), _field_bytes(status, b"\nVmHWM:")


def _field_bytes(status: bytes, key: bytes) -> int | None:
    """The field stands there in kB, and not at all while the process ends."""
    start = status.find(key)
    return None if start < 0 else int(status[start + len(key) :].split(None, 1)[0]) * 1024
