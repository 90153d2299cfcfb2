"""What a GPU is like now: clocks and why, temperature, limits, errors, who works on it.

Read a few times a second beside the energy window, never in timed rounds. `validity.py` says what a
series of readings means for what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from traincost.instruments.gpu import Gpu
from traincost.instruments.gpu_memory import Process, listed_processes, read_memory
from traincost.instruments.nvml import NOT_SUPPORTED, NvmlFault, clock_reasons

SLOW_EVERY = 2
"""Processes, memory and ECC are asked for only every so many readings: each takes milliseconds."""


@dataclass(frozen=True)
class GpuState:
    """One reading. What could not be had is None, and in `faults` by its function."""

    time_s: float
    reasons: int | None = None  # bits of the clocks event reasons
    sm_clock_hz: float | None = None
    temperature_c: float | None = None
    power_limit_w: float | None = None
    corrected: int | None = None  # ECC errors since the driver was loaded
    uncorrected: int | None = None
    processes: tuple[Process, ...] | None = None
    used_bytes: int | None = None  # of the device, without the driver's reserve
    faults: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads, in another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> GpuState:
        """Read what `to_json` wrote and JSON carried."""
        columns: dict[str, Any] = dict(read)
        if columns["processes"] is not None:
            columns["processes"] = tuple(Process(**p) for p in columns["processes"])
        return cls(**columns)


@dataclass
class StateReader:
    """Reads a GPU's state; a function that failed is not called again."""

    gpu: Gpu
    faults: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _readings: int = field(default=0, init=False)

    def read(self, time_s: float) -> GpuState:
        """One reading; every `SLOW_EVERY`th, the first among them, is complete."""
        slow = self._readings % SLOW_EVERY == 0
        self._readings += 1
        gpu, nvml = self.gpu, self.gpu.nvml
        reasons = self._ask(
            "nvmlDeviceGetCurrentClocksEventReasons", lambda _: clock_reasons(nvml, gpu.handle)
        )
        sm_mhz = self._ask("nvmlDeviceGetClockInfo", lambda f: gpu.ask(f, nvml.NVML_CLOCK_SM))
        limit_mw = self._ask("nvmlDeviceGetEnforcedPowerLimit", gpu.ask)
        state = GpuState(
            time_s,
            reasons=reasons,
            sm_clock_hz=None if sm_mhz is None else sm_mhz * 1e6,
            temperature_c=self._ask("nvmlDeviceGetTemperature", lambda f: float(gpu.ask(f, 0))),
            power_limit_w=None if limit_mw is None else limit_mw / 1e3,
            faults=dict(self.faults),
        )
        if not slow:
            return state
        memory = self._ask("nvmlDeviceGetMemoryInfo", lambda _: read_memory(gpu))
        listing = "nvmlDeviceGetComputeRunningProcesses"
        return replace(
            state,
            corrected=self._ecc(0),
            uncorrected=self._ecc(1),
            processes=self._ask(listing, lambda _: listed_processes(gpu)),
            used_bytes=None if memory is None else memory.used_bytes,
            faults=dict(self.faults),
        )

    def _ecc(self, kind: int) -> int | None:
        function = "nvmlDeviceGetTotalEccErrors"
        return self._ask(function, lambda f: int(self.gpu.ask(f, kind, 0)), quietly=NOT_SUPPORTED)

    def _ask(
        self, function: str, read: Callable[[str], Any], quietly: int | None = None
    ) -> Any | None:
        if function in self.faults:
            return None
        try:
            return read(function)
        except NvmlFault as fault:
            if fault.code != quietly:
                self.faults[function] = fault.detail
            return None
