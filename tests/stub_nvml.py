"""GPUs whose true energy is known: the stub of libnvidia-ml.so.1, its settings and its control.

    library = stub_nvml.library()                             # compiled once a process
    config = StubConfig(gpus=(StubGpu(power=Square(70, 400, 0.1), counter=(0.02, 0.0)),))
    subprocess.run(command, env=environment | stub_nvml.environment(library, config))
    with stub_nvml.loaded(config) as stub: ...                # or in this process

Times in seconds count from `StubConfig.epoch_ns` on the clock `time.monotonic_ns`, or on a virtual
one that `Stub.set_time_ns` moves. A schedule is a number, or ((value, from when), ...).
"""

from __future__ import annotations

import _ctypes
import ctypes
import functools
import importlib
import os
import subprocess
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

pynvml: Any = importlib.import_module("pynvml")  # it has no types
SOURCE = Path(__file__).parent / "nvml_stub" / "stub.c"
UUIDS = tuple(f"GPU-{i}5ca0d5b-76c2-4d5b-8f2a-1f0e4c2f9d1{i}" for i in range(8))
NEVER_S = 1e18
Schedule = float | tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Constant:
    """The same power always."""

    power_w: float = 250.0


@dataclass(frozen=True)
class Step:
    """Low before a moment, high after it."""

    low_w: float
    high_w: float
    at_s: float


@dataclass(frozen=True)
class Square:
    """High in the first part of each cycle, low in the rest."""

    low_w: float
    high_w: float
    cycle_s: float
    high_share: float = 0.5


@dataclass(frozen=True)
class Ramp:
    """From low to high within a time, high from then on."""

    low_w: float
    high_w: float
    start_s: float
    length_s: float


@dataclass(frozen=True)
class StubGpu:
    """One GPU; the defaults are a healthy H100. Every field is a key of NVML_STUB."""

    uuid: str = UUIDS[0]
    pci: str = "00000000:01:00.0"
    name: str = "NVIDIA H100 80GB HBM3"
    power: Constant | Step | Square | Ramp = Constant()
    # The total-energy counter: period and phase of its updates, and what it starts from.
    counter: tuple[float, float] = (0.02, 0.0)
    base_j: float = 5000.0
    counter_gain: float = 1.0
    reset_s: float = NEVER_S  # from then on it counts anew, from zero
    back: tuple[float, float] = (NEVER_S, 0.0)  # from then on it shows so many joules less
    # Instantaneous power, field 186: update period, the time averaged (its end), phase.
    sensor: tuple[float, float, float] = (0.1, 0.025, 0.0)
    sensor_gain: float = 1.0
    average: tuple[float, float] = (0.1, 1.0)  # field 185 and nvmlDeviceGetPowerUsage
    limit_w: Schedule = 700.0
    default_limit_w: float = 700.0
    # Memory. `used_bytes` is without the reserve; each call may count it in (1) or not (0).
    total_bytes: int = 85_520_809_984
    used_bytes: Schedule = 0.0
    reserved_bytes: int = 600_000_000
    v1_reserved: int = 1
    v2_reserved: int = 0
    has_v2: int = 1
    # "PID:BYTES,PID:none"; PID may be `self` or `parent` of the process that asks.
    processes: str = ""
    graphics: str = ""
    sm_mhz: Schedule = 1980.0
    max_sm_mhz: float = 1980.0
    mem_mhz: Schedule = 2619.0
    temperature_c: Schedule = 45.0
    reasons: Schedule = 0.0  # bits
    ecc_mode: int = 1  # -1: none
    corrected: Schedule = 0.0
    uncorrected: Schedule = 0.0
    persistence: int = 1
    mig: int = 0  # -1: a GPU without it
    slices: str = ""  # UUIDs
    has_gpm: int = 1
    # Percent; negative: not supported.
    gpm_sm: Schedule = 80.0
    gpm_occupancy: Schedule = 40.0
    gpm_tensor: Schedule = 50.0
    gpm_hmma: Schedule = 50.0
    gpm_dram: Schedule = 30.0


@dataclass(frozen=True)
class StubConfig:
    """What every process sees. `gpus` stand in NVML's order.

    Faults are `function:first call:code`, hangs `function:call:seconds`, crashes (the process is
    killed) `function:call`. Calls count from 1, a process each; `*` is every function.
    """

    gpus: tuple[StubGpu, ...] = (StubGpu(),)
    epoch_ns: int = 0
    virtual_call_s: float | None = None  # a virtual clock, moved on by so much a call
    faults: tuple[str, ...] = ()
    hangs: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()

    def text(self) -> str:
        """The value of NVML_STUB."""
        pairs = [f"gpus={len(self.gpus)}", f"epoch_ns={self.epoch_ns}"]
        if self.virtual_call_s is not None:
            pairs.append(f"virtual={self.virtual_call_s * 1e9}")
        for key in ("faults", "hangs", "crashes"):
            pairs.append(f"{key}={','.join(getattr(self, key))}")
        for i, gpu in enumerate(self.gpus):
            pairs += [f"{f.name}@{i}={_text(getattr(gpu, f.name))}" for f in fields(gpu)]
        return ";".join(pairs)


def _text(value: Any) -> str:
    if isinstance(value, Constant | Step | Square | Ramp):
        numbers = (repr(getattr(value, f.name)) for f in fields(value))
        return " ".join((type(value).__name__.lower(), *numbers))
    if isinstance(value, tuple):
        if isinstance(value[0], tuple):
            return ",".join(f"{number!r}@{from_s!r}" for number, from_s in value)
        return " ".join(map(repr, value))
    return str(value)


@functools.cache
def _compiled(without: tuple[str, ...]) -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """The folder is removed when this process ends: the cache holds it until then."""
    folder = tempfile.TemporaryDirectory(prefix="nvml-stub-")
    built = Path(folder.name) / "libnvidia-ml.so.1"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", f"-Wl,-soname,{built.name}"]
        + [f"-D{function}=absent_{function}" for function in without]
        + ["-o", str(built), str(SOURCE), "-lm"],
        check=True,
    )
    return folder, built


def library(without: Iterable[str] = ()) -> Path:
    """The stub, compiled once a process. `without`: functions that it does not have."""
    return _compiled(tuple(sorted(without)))[1]


def environment(library: Path, config: StubConfig) -> dict[str, str]:
    """For a process to be started."""
    return {"LD_LIBRARY_PATH": str(library.parent), "NVML_STUB": config.text()}


@dataclass(frozen=True)
class Stub:
    """The stub in this process."""

    lib: ctypes.CDLL

    def set(self, config: StubConfig) -> None:
        """Other GPUs; calls count anew."""
        # os.environ reaches C's environment, which the stub reads.
        os.environ["NVML_STUB"] = config.text()
        self.lib.stub_reload()

    def set_time_s(self, time_s: float) -> None:
        """Move the virtual clock."""
        self.lib.stub_set_time_ns(ctypes.c_int64(round(time_s * 1e9)))

    def time_s(self) -> float:
        """The stub's clock."""
        self.lib.stub_time_ns.restype = ctypes.c_int64
        return int(self.lib.stub_time_ns()) / 1e9

    def true_energy_j(self, start_s: float, end_s: float, gpu: int = 0) -> float:
        """What a GPU truly used between two moments of the stub's clock."""
        self.lib.stub_true_energy_j.restype = ctypes.c_double
        start, end = (ctypes.c_int64(round(t * 1e9)) for t in (start_s, end_s))
        return float(self.lib.stub_true_energy_j(gpu, start, end))

    def calls(self, function: str) -> int:
        """How often a function was called in this process since the settings were read."""
        self.lib.stub_calls.restype = ctypes.c_long
        return int(self.lib.stub_calls(function.encode()))


def load(library: Path, config: StubConfig) -> Stub:
    """The stub in this process, which the real `pynvml` calls from now on."""
    stub = Stub(ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL))
    pynvml.nvmlLib, pynvml._nvmlGetFunctionPointer_cache = stub.lib, {}
    stub.set(config)
    return stub


@contextmanager
def loaded(config: StubConfig, without: Iterable[str] = ()) -> Generator[Stub]:
    """The stub in this process for a while; afterwards nothing of it is left."""
    stub = load(library(without), config)
    try:
        yield stub
    finally:
        pynvml.nvmlLib, pynvml._nvmlGetFunctionPointer_cache = None, {}
        os.environ.pop("NVML_STUB", None)
        _ctypes.dlclose(stub.lib._handle)
