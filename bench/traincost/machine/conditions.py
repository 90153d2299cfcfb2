"""Whether the host is fit to be measured on: clocks, neighbours, limits, and what to do."""

from __future__ import annotations

import os
from pathlib import Path

from traincost.machine import host
from traincost.machine.capability import Capability
from traincost.machine.host import HOST, Roots, read

BUSY_LOAD = 0.5
"""Mean runnable tasks in the last minute from which another process may share a measured CPU."""


def capabilities(cpus: frozenset[int], roots: Roots = HOST) -> list[Capability]:
    """The host's part of "what can be measured here"."""
    return [
        _quiet(roots),
        _whole_cpus(cpus, roots),
        _real_cpus(cpus, roots),
        _steady_clock(cpus, roots),
        _no_turbo(roots),
        _own_cores(cpus, roots),
        _peak_rss(roots),
    ]


def cuda(device_count: int, built_for: str | None) -> Capability:
    """Whether torch, built for this CUDA version (None: for none), can train on a GPU here."""
    what = "training on CUDA"
    if device_count:
        return Capability(what, True, f"{device_count} device(s), CUDA {built_for}")
    if built_for is None:
        return Capability(
            what, False, "this torch is built without CUDA", "with a GPU: pip install torch"
        )
    detail = f"torch is built for CUDA {built_for} and sees no GPU"
    return Capability(what, False, detail, "check nvidia-smi and CUDA_VISIBLE_DEVICES")


def _quiet(roots: Roots) -> Capability:
    what = "quiet host"
    text = read(roots.proc / "loadavg")
    if not text:
        return Capability(what, False, "no load average here")
    load = float(text.split()[0])
    busy = load >= BUSY_LOAD
    remedy = "stop other processes, or wait: a busy neighbour can slow a step 40-fold"
    return Capability(
        what, not busy, f"load average {load:g} over the last minute", remedy if busy else None
    )


def _whole_cpus(cpus: frozenset[int], roots: Roots) -> Capability:
    what = "whole CPUs"
    quota = cpu_quota(roots)
    if quota is None:
        return Capability(what, True, f"no quota on {len(cpus)} CPUs")
    enough = quota >= len(cpus)
    remedy = f"start the container with a CPU set (--cpuset-cpus), or use {max(1, int(quota))} CPUs"
    return Capability(
        what,
        enough,
        f"a quota of {quota:g} CPUs for {len(cpus)}"
        + ("" if enough else ": steps will be stalled"),
        None if enough else remedy,
    )


def _real_cpus(cpus: frozenset[int], roots: Roots) -> Capability:
    """A host moves virtual CPUs about, and what two threads hand each other takes longer for it.

    Seen on a 2-CPU machine: a cache line went to the other CPU and back in 50 ns or in 340 ns, by
    turns of a minute or so, and a two-thread training step took 7.2 or 11.9 ms with it; one thread
    took 9.8 to 10.3 ms all the time, and large matrix products did not notice.
    """
    what = "real CPUs"
    cpuinfo = read(roots.proc / "cpuinfo")
    if not cpuinfo:
        return Capability(what, False, "no /proc/cpuinfo here")
    virtual = " hypervisor" in cpuinfo
    if not virtual or len(cpus) == 1:
        return Capability(what, True, "virtual, but one" if virtual else "no hypervisor seen")
    return Capability(
        what,
        False,
        f"{len(cpus)} virtual CPUs, which the host may move apart: steps on several threads can "
        "take 1.6 times as long from one minute to the next",
        "--cost-threads 1 to compare runs; several runs for anything else",
    )


def cpu_quota(roots: Roots = HOST) -> float | None:
    """CPUs' worth of time that the cgroups above this process allow; None is unlimited."""
    quotas: list[float] = []
    for line in (read(roots.proc / "self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            base, read_quota = roots.sys / "fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            base, read_quota = roots.sys / "fs/cgroup" / controllers, _quota_v1
            base = base if base.exists() else roots.sys / "fs/cgroup/cpu"
        else:
            continue
        inner = base / path.strip("/")
        # A container sees its own group as the root of the mount, whatever the path says.
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(base) and (quota := read_quota(folder)) is not None:
                quotas.append(quota)
    return min(quotas, default=None)


def _quota_v2(folder: Path) -> float | None:
    limit, _, period = (read(folder / "cpu.max") or "max").partition(" ")
    return None if limit == "max" else int(limit) / int(period)


def _quota_v1(folder: Path) -> float | None:
    limit, period = read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")
    if not limit or not period or int(limit) < 0:
        return None
    return int(limit) / int(period)


def _steady_clock(cpus: frozenset[int], roots: Roots) -> Capability:
    what = "steady CPU clock"
    governor = host.governors(cpus, roots)
    if governor is None:
        return Capability(what, False, "no governor to see here (a virtual machine?)")
    steady = governor == "performance"
    remedy = "sudo cpupower frequency-set -g performance"
    return Capability(what, steady, f"governor {governor}", None if steady else remedy)


def _no_turbo(roots: Roots) -> Capability:
    what = "CPU turbo off"
    folder = roots.sys / "devices/system/cpu"
    no_turbo, boost = read(folder / "intel_pstate/no_turbo"), read(folder / "cpufreq/boost")
    if no_turbo is not None:
        off, switch = (
            no_turbo == "1",
            "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo",
        )
    elif boost is not None:
        off, switch = boost == "0", "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"
    else:
        return Capability(what, False, "no switch to see here (a virtual machine?)")
    detail = "off" if off else "on: clocks follow temperature and neighbours"
    return Capability(what, off, detail, None if off else switch)


def _own_cores(cpus: frozenset[int], roots: Roots) -> Capability:
    what = "cores not shared"
    shared: set[int] = set()
    for cpu in cpus:
        path = roots.sys / f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        siblings = read(path) or str(cpu)
        if siblings != str(cpu):
            shared.add(cpu)
    if not shared:
        return Capability(what, True, "one hardware thread a core")
    return Capability(
        what,
        False,
        f"{len(shared)} of {len(cpus)} CPUs have a sibling hardware thread, which others may use",
        "echo off | sudo tee /sys/devices/system/cpu/smt/control",
    )


def _peak_rss(roots: Roots) -> Capability:
    what = "peak host memory"
    path = roots.proc / "self/clear_refs"
    if os.access(path, os.W_OK):
        return Capability(what, True, "VmHWM, reset through /proc/self/clear_refs")
    return Capability(
        what,
        False,
        "/proc/self/clear_refs cannot be written: the peak of a case hides under earlier ones",
        "run one case a process (-k), or give the container a writable /proc",
    )
