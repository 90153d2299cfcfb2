"""Who this machine is: the machine columns of a row, and all facts for `<run>.machine.json`."""

from __future__ import annotations

import hashlib
import json
import platform
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from traincost.data.record import COLUMNS
from traincost.machine import host
from traincost.machine.device import Device, GpuFacts
from traincost.machine.host import HOST, Roots
from traincost.machine.versions import (
    commit,
    package_versions,
    torch_cuda,
    torch_version,
    triton_version,
)

ID_VERSION = 1
"""Raised when `machine_id` covers something else, so that old ids do not match by accident."""

MACHINE_COLUMNS = tuple(COLUMNS)[tuple(COLUMNS).index("machine_id") :]
"""The last group of columns of a row; the first fields of `Machine`."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine as one kind of device saw it.

    The first twelve fields are the machine columns of a row. `gpu` to `cuda` describe what the row
    ran on, so they are None for a CPU, whatever card is in the box.
    """

    machine_id: str
    host: str
    cpu: str
    gpu: str | None
    gpu_uuid: str | None
    driver: str | None
    cuda: str | None
    torch: str | None
    triton: str | None
    python: str
    threads: int
    commit: str | None
    # further facts
    device: str  # cpu, cuda
    gpu_memory_bytes: int | None
    gpu_l2_bytes: int | None
    gpu_capability: str | None  # "9.0"
    architecture: str
    cpus_online: int | None
    cpu_set: tuple[int, ...]
    governor: str | None
    memory_bytes: int | None
    os: str
    kernel: str
    container: str | None
    packages: Mapping[str, str]

    def columns(self) -> dict[str, Any]:
        """The machine columns of a row."""
        return {name: getattr(self, name) for name in MACHINE_COLUMNS}

    def to_json(self) -> str:
        """Text of `<run>.machine.json`."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def identify(
    device: Device,
    *,
    threads: int,
    cpu_set: frozenset[int],
    root: Path,
    roots: Roots = HOST,
    cuda: str | None = None,
) -> Machine:
    """All facts, as seen from `device`.

    `threads` is torch's, `root` the checkout whose commit is measured, `cuda` the toolkit of the
    torch that made the device (default: that of the imported torch).
    """
    gpu = device.facts()
    if gpu is not None and cuda is None:
        cuda = torch_cuda()
    facts: dict[str, Any] = {
        "host": socket.gethostname(),
        "cpu": host.cpu_model(roots),
        "gpu": gpu.name if gpu else None,
        "gpu_uuid": gpu.uuid if gpu else None,
        "driver": host.driver_version(roots) if gpu else None,
        "cuda": cuda if gpu else None,
        "torch": torch_version(),
        "triton": triton_version(),
        "python": platform.python_version(),
        "threads": threads,
    }
    return Machine(
        machine_id=machine_id(facts, len(cpu_set), gpu),
        commit=commit(root),
        device=device.kind,
        gpu_memory_bytes=gpu.total_memory_bytes if gpu else None,
        gpu_l2_bytes=gpu.l2_bytes if gpu else None,
        gpu_capability="{}.{}".format(*gpu.capability) if gpu else None,
        architecture=platform.machine(),
        cpus_online=host.cpu_count(roots),
        cpu_set=tuple(sorted(cpu_set)),
        governor=host.governors(cpu_set, roots),
        memory_bytes=host.total_memory_bytes(roots),
        os=host.os_name(roots),
        kernel=platform.release(),
        container=host.container(roots),
        packages=package_versions(),
        **facts,
    )


def machine_id(facts: Mapping[str, Any], n_cpus: int, gpu: GpuFacts | None) -> str:
    """12 hex digits over what makes two timings comparable, and nothing else.

    For either kind of device:

    - CPU model, the size of the CPU set, threads: they set the speed of CPU work, and of launching
      work on a GPU. Which CPUs of the box does not matter, how many does.
    - torch: other kernels and other dispatch, its build (`+cpu`, `+cu130`) included.
    - Python's major.minor: the interpreter's share of a small step. Patch releases fix bugs.

    For CUDA also:

    - GPU name and memory in GiB (one name is sold with several memories; a driver reserves a little
      more or less), the driver, the CUDA toolkit: other kernels, other clocks policy.
    - triton: it writes the compiled kernels. On a CPU nothing runs through it.

    A CPU row's id therefore stays the same whatever card and driver the box has. Left out for both:
    host name, GPU UUID, commit and date (they tell apart what should be compared), free memory and
    load (states, not properties), kernel release and container (they change monthly and move a step
    by less than its noise; both stand in `<run>.machine.json`), the governor (a setting that
    `traincost machine` warns of).
    """
    covered: dict[str, Any] = {
        "version": ID_VERSION,
        "cpu": facts["cpu"],
        "n_cpus": n_cpus,
        "threads": facts["threads"],
        "torch": facts["torch"],
        "python": facts["python"].rpartition(".")[0],
    }
    if gpu is not None:
        covered |= {name: facts[name] for name in ("gpu", "driver", "cuda", "triton")}
        covered["gpu_memory_gib"] = round(gpu.total_memory_bytes / 2**30)
    text = json.dumps(covered, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
