"""What the operating system says of this host, read from /proc, /sys and /etc.

Every file may be missing (containers, virtual machines, other systems): then the answer is None or
the next best one, never an error. The roots are handed in, so that a test brings its own tree.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

_DRIVER_VERSION = re.compile(r"\b\d{3,}\.\d+(?:\.\d+)?\b")
_CONTAINER_CGROUP = re.compile(r"docker|kubepods|containerd|libpod|lxc|garden")
# What the line with the processor's name is called: x86, POWER, some ARM boards.
_CPU_NAME_KEYS = ("model name", "cpu", "Model")


@dataclass(frozen=True)
class Roots:
    """Where the files of the host are."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    root: Path = Path("/")


HOST = Roots()


def read(path: Path) -> str | None:
    """The text of a file without the space around it; None if it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def cpu_model(roots: Roots = HOST) -> str:
    """The processor's name.

    Most aarch64 kernels give none: then implementer and part number (0x41 part 0xd4f is a
    Neoverse V2), which say as much about its speed.
    """
    facts: dict[str, str] = {}
    for line in (read(roots.proc / "cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    for key in _CPU_NAME_KEYS:
        if facts.get(key):
            return " ".join(facts[key].split())
    if "CPU implementer" in facts:
        part = facts.get("CPU part", "unknown")
        return f"ARM implementer {facts['CPU implementer']} part {part}"
    return platform.processor() or platform.machine() or "unknown"


def total_memory_bytes(roots: Roots = HOST) -> int | None:
    """The memory of the host, not what a container may use of it."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", read(roots.proc / "meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def cpu_count(roots: Roots = HOST) -> int | None:
    """Logical CPUs that are online, in this process's CPU set or not."""
    ranges = read(roots.sys / "devices/system/cpu/online")
    if not ranges:
        return os.cpu_count()
    ends = [[int(n) for n in part.split("-")] for part in ranges.split(",")]
    return sum(end[-1] - end[0] + 1 for end in ends)


def driver_version(roots: Roots = HOST) -> str | None:
    """The NVIDIA kernel driver; None where there is none (or it hides, as under WSL)."""
    if version := read(roots.sys / "module/nvidia/version"):
        return version
    found = _DRIVER_VERSION.search(read(roots.proc / "driver/nvidia/version") or "")
    return found[0] if found else None


def governors(cpus: frozenset[int], roots: Roots = HOST) -> str | None:
    """Clock governors of the CPUs, each once; None where the system shows none (most VMs)."""
    folder = roots.sys / "devices/system/cpu"
    found = {read(folder / f"cpu{cpu}/cpufreq/scaling_governor") for cpu in cpus} - {None}
    return ", ".join(sorted(g for g in found if g)) or None


def container(roots: Roots = HOST) -> str | None:
    """The kind of container this process runs in; None outside one (as far as can be seen)."""
    if (roots.root / ".dockerenv").exists():
        return "docker"
    if (roots.root / "run/.containerenv").exists():
        return "podman"
    for process in ("self", "1"):
        if found := _CONTAINER_CGROUP.search(read(roots.proc / process / "cgroup") or ""):
            return found[0]
    return None


def os_name(roots: Roots = HOST) -> str:
    """The distribution's own name for itself."""
    release = read(roots.root / "etc/os-release") or ""
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', release, re.MULTILINE)
    return found[1] if found else platform.system()
