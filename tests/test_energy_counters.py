"""Energy counters that fail, lie or are gone."""

from collections.abc import Callable

import pytest
from virtual_gpu import VirtualGpu, measure

from traincost.instruments.energy_result import COUNTER
from traincost.instruments.energy_window import (
    BLIND_S,
)
from traincost.instruments.recorder import RecorderGoneError
from traincost.instruments.recording import Recording

SPOILT: dict[str, Callable[[float], float]] = {
    "did not change": lambda energy_j: 5.0,
    "went backwards": lambda energy_j: energy_j % 20,
    "over twice the power limit": lambda energy_j: energy_j * 10,
}


def test_a_sensor_that_is_missing_is_a_note_and_the_counter_stands() -> None:
    gpu = VirtualGpu(faults={"nvmlDeviceGetFieldValues": "NotSupported: this GPU does not have it"})
    energy = measure(gpu)
    assert energy.gpu_energy_j is not None
    assert "NotSupported" in energy.notes["energy_source"]


def test_a_counter_that_fails_leaves_the_column_empty_and_is_named() -> None:
    energy = measure(VirtualGpu(faults={COUNTER: "GpuIsLost: the GPU fell off the bus"}))
    assert energy.gpu_energy_j is None
    assert energy.notes["gpu_energy_j"] == f"{COUNTER}: GpuIsLost: the GPU fell off the bus"


@pytest.mark.parametrize("reason", SPOILT)
def test_a_counter_that_cannot_be_true_is_never_zero_joules(reason: str) -> None:
    energy = measure(VirtualGpu(spoil=SPOILT[reason]))
    assert energy.gpu_energy_j is None
    assert energy.power_mean_w is None
    assert reason in energy.notes["gpu_energy_j"]


def test_a_counter_that_was_reset_once_costs_a_repetition_only() -> None:
    gpu = VirtualGpu(spoil=lambda energy_j: energy_j if energy_j < 150 else energy_j - 150)
    assert measure(gpu).gpu_energy_j == pytest.approx(gpu.step_j, rel=0.01)


class _Gone(VirtualGpu):
    """Its recorder is killed after some answers."""

    answers = 2

    def take(self) -> Recording:
        self.answers -= 1
        if self.answers < 0:
            raise RecorderGoneError("the recorder process ended (SIGKILL)")
        return super().take()


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_a_recorder_that_is_killed_leaves_the_column_empty_and_is_named(answers: int) -> None:
    gpu = _Gone()
    gpu.answers = answers
    energy = measure(gpu)
    assert energy.gpu_energy_j is None
    assert energy.notes["gpu_energy_j"] == "the recorder process ended (SIGKILL)"


def test_a_gpu_whose_counter_fails_is_still_seen_under_load() -> None:
    gpu = VirtualGpu(faults={COUNTER: "NotSupported: this GPU does not have it"})
    measure(gpu)
    assert 0.5 < gpu.steps * gpu.step_s < 0.7, "one repetition"


def test_a_counter_that_never_moves_costs_one_repetition() -> None:
    gpu = VirtualGpu(spoil=lambda energy_j: 7.0)
    energy = measure(gpu)
    assert gpu.steps * gpu.step_s < 2 * BLIND_S
    assert "did not change" in energy.notes["gpu_energy_j"]


def test_an_idle_power_from_a_broken_counter_is_not_stated() -> None:
    def reset(energy_j: float) -> float:
        return energy_j if energy_j < 20 else energy_j - 20

    energy = measure(VirtualGpu(spoil=reset))
    assert energy.power_idle_w is None
    assert energy.notes["power_idle_w"].startswith("the energy counter went backwards by ")
    energy = measure(VirtualGpu(spoil=lambda energy_j: 100 * energy_j))
    assert energy.power_idle_w is None
    assert "over twice the power limit" in energy.notes["power_idle_w"]
