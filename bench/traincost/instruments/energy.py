"""Energy of a step: one protocol for every source of power readings.

A source gives the energy columns of a row, per step, or leaves them empty and says why in `notes`.
It never raises for what a sensor does, and never gives 0 J for what it could not read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from traincost.data.profile import Profile
from traincost.instruments.gpm import Activity


@dataclass(frozen=True)
class Energy:
    """The energy columns, and why one of them is empty."""

    gpu_energy_j: float | None = None
    cpu_energy_j: float | None = None
    gpu_energy_error_j: float | None = None
    energy_source: str | None = None
    energy_window_s: float | None = None
    power_mean_w: float | None = None
    power_idle_w: float | None = None
    power_limit_w: float | None = None
    temperature_max_c: float | None = None
    sm_clock_mean_hz: float | None = None
    throttle_reasons: str | None = None
    device_peak_bytes: int | None = None
    throttled: bool = False  # the GPU was slowed down while it was watched: the row says so
    activity: Activity = field(default_factory=Activity)  # of a step, by the GPU's own counters
    notes: dict[str, str] = field(default_factory=dict[str, str])


class EnergySource(Protocol):
    """Measures the energy of repeated steps, outside the timed rounds."""

    def window(self, step: Callable[[], object], step_s: float, profile: Profile) -> Energy:
        """Repeat `step`, which takes about `step_s`, within the profile's budget."""
        ...


class CpuMeter(Protocol):
    """Joules of the CPU and its memory, from counters that are exact to about a millisecond."""

    def start(self) -> None:
        """Read the counters before the work."""

    def stop(self) -> float | str:
        """Joules since `start`, or the reason why they are not known."""
        ...


@dataclass(frozen=True)
class NoMeter:
    """No counters of the CPU's energy, and the reason."""

    reason: str

    def start(self) -> None:
        """Nothing to read."""

    def stop(self) -> str:
        """The reason."""
        return self.reason


@dataclass(frozen=True)
class NoSource:
    """No power readings, and why: of the GPU, and of the CPU if that is for another reason."""

    reason: str
    cpu_reason: str | None = None

    def window(self, step: Callable[[], object], step_s: float, profile: Profile) -> Energy:
        """Nothing measured; the reasons go into the notes."""
        cpu_reason = self.reason if self.cpu_reason is None else self.cpu_reason
        return Energy(notes={"gpu_energy_j": self.reason, "cpu_energy_j": cpu_reason})
