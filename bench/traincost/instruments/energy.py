"""Energy of a step: one protocol for every source of power readings.

No source reads a sensor yet: a row's energy columns are empty, and `notes` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from traincost.data.profile import Profile


@dataclass(frozen=True)
class Energy:
    """The energy columns, and why one of them is empty."""

    gpu_energy_j: float | None = None
    cpu_energy_j: float | None = None
    gpu_energy_error_j: float | None = None
    energy_source: str | None = None
    energy_window_s: float | None = None
    notes: dict[str, str] = field(default_factory=dict[str, str])


class EnergySource(Protocol):
    """Measures the energy of repeated steps, outside the timed rounds."""

    def window(self, step: Callable[[], object], step_s: float, profile: Profile) -> Energy:
        """Repeat `step`, which takes about `step_s`, within the profile's budget."""
        ...


@dataclass(frozen=True)
class NoSource:
    """No power readings, and the reason."""

    reason: str

    def window(self, step: Callable[[], object], step_s: float, profile: Profile) -> Energy:
        """Nothing measured; the reason goes into the notes."""
        return Energy(notes={"gpu_energy_j": self.reason, "cpu_energy_j": self.reason})
