"""A line of the trace: what one device did up to a moment since the command's start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

HOST = "host"


@dataclass(frozen=True)
class Sample:
    """One device at one moment; what is not known then is None."""

    time_s: float  # since the command's start
    device: str  # `host`, or the GPU's UUID
    energy_j: float | None = None  # since the start
    energy_error_j: float | None = None
    power_mean_w: float | None = None  # since this device's latest line that has its energy
    memory_bytes: int | None = None  # of the command
    device_used_bytes: int | None = None
    sm_clock_hz: float | None = None
    temperature_c: float | None = None
    throttle_reasons: str | None = None


Tell = Callable[[Sample], object]
