"""The energy of the CPU, beside that of a GPU and alone."""

from dataclasses import dataclass, replace

import pytest
from virtual_gpu import VirtualGpu

from traincost.data.profile import PROFILES
from traincost.instruments.energy import NoMeter
from traincost.instruments.energy_result import COUNTER
from traincost.instruments.energy_window import (
    CpuWindow,
)
from traincost.instruments.recorder import RecorderGoneError
from traincost.instruments.recording import Recording

QUICK = PROFILES["quick"]


@dataclass
class Meter:
    """Counts 30 W of the virtual time between its readings."""

    gpu: VirtualGpu
    started_s: float = 0.0

    def start(self) -> None:
        self.started_s = self.gpu.history.now_s

    def stop(self) -> float:
        return 30 * (self.gpu.history.now_s - self.started_s)


def test_the_cpu_is_measured_over_the_same_steps_as_the_gpu() -> None:
    gpu = VirtualGpu()
    window = gpu.window()
    window.cpu = Meter(gpu)
    energy = window.window(gpu.step, gpu.step_s, QUICK)
    assert energy.cpu_energy_j == pytest.approx(30 * gpu.step_s)
    assert energy.gpu_energy_j == pytest.approx(gpu.step_j, rel=0.01)
    assert energy.energy_source == "nvml+rapl"


def test_the_cpu_is_measured_where_the_gpu_cannot_be() -> None:
    gpu = VirtualGpu(faults={COUNTER: "NotSupported: this GPU does not have it"})
    window = gpu.window()
    window.cpu = Meter(gpu)
    energy = window.window(gpu.step, gpu.step_s, QUICK)
    assert energy.gpu_energy_j is None
    assert energy.cpu_energy_j == pytest.approx(30 * gpu.step_s)
    assert energy.energy_source == "rapl"


def test_a_cpu_without_counters_is_a_note() -> None:
    gpu = VirtualGpu()
    window = gpu.window()
    window.cpu = NoMeter("energy_uj: Permission denied")
    energy = window.window(gpu.step, gpu.step_s, QUICK)
    assert energy.cpu_energy_j is None
    assert energy.notes["cpu_energy_j"] == "energy_uj: Permission denied"
    assert energy.energy_source == "nvml"


def test_a_case_of_the_cpu_has_the_energy_of_its_step() -> None:
    gpu = VirtualGpu()
    window = CpuWindow(Meter(gpu), lambda: gpu.history.now_s)
    energy = window.window(gpu.step, gpu.step_s, QUICK)
    assert energy.cpu_energy_j == pytest.approx(30 * gpu.step_s)
    assert energy.energy_window_s == pytest.approx(0.5, rel=0.02)
    assert energy.energy_source == "rapl"
    assert energy.notes == {"gpu_energy_j": "the case runs on the CPU"}


def test_the_cpus_energy_is_known_where_the_recorder_is_gone() -> None:
    class Gone(VirtualGpu):
        def open(self) -> Recording:
            raise RecorderGoneError("it ended")

    gpu = Gone()
    window = replace(gpu.window(), cpu=Meter(gpu))
    energy = window.window(gpu.step, gpu.step_s, QUICK)
    assert energy.notes == {"gpu_energy_j": "it ended"}
    assert energy.cpu_energy_j == pytest.approx(30 * gpu.step_s)
    assert energy.energy_source == "rapl"
