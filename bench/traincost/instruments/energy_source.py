"""Which sources of energy there are here: NVML for a CUDA device, RAPL for the CPU beside it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from traincost.data.profile import Profile
from traincost.instruments.edges import Refusal
from traincost.instruments.energy import CpuMeter, Energy, EnergySource, NoMeter
from traincost.instruments.energy_window import CpuWindow, GpuWindow
from traincost.instruments.rapl import RaplMeter, open_reader
from traincost.instruments.recorder import Recorder
from traincost.machine.device import Device

NO_MODULE = "nvidia-ml-py is not installed: pip install nvidia-ml-py"
SYS = Path("/sys")


@dataclass(frozen=True)
class NotedSource:
    """A source whose CPU energy, where there is one, has something to be said about it."""

    source: EnergySource
    cpu_note: str

    def window(self, step: Callable[[], object], step_s: float, profile: Profile) -> Energy:
        """What the source measured, with the note."""
        energy = self.source.window(step, step_s, profile)
        if energy.cpu_energy_j is None:
            return energy
        return replace(energy, notes={**energy.notes, "cpu_energy_j": self.cpu_note})


def open_source(device: Device, sys: Path = SYS) -> EnergySource:
    """The energy source of a device. Nothing is started before its first window."""
    (meter, cpu_note), facts = open_meter(sys), device.facts()
    if facts is None:
        source: EnergySource = CpuWindow(meter)
    elif importlib.util.find_spec("pynvml") is None:
        source = CpuWindow(meter, synchronize=device.synchronize, gpu_reason=NO_MODULE)
    else:
        source = GpuWindow(Recorder(facts.uuid, facts.pci_bus_id), device.synchronize, cpu=meter)
    return source if cpu_note is None else NotedSource(source, cpu_note)


def open_meter(sys: Path = SYS) -> tuple[CpuMeter, str | None]:
    """The CPU's counters, or the reason why they cannot be read; what the counters leave out."""
    reader = open_reader(sys)
    if isinstance(reader, Refusal):
        return NoMeter(reader.reason), None
    return RaplMeter(reader), reader.note
