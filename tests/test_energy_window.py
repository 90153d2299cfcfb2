"""Whole steps repeated until their energy is known: in virtual time, on a virtual GPU."""

from dataclasses import replace
from itertools import pairwise

import pytest
from virtual_gpu import VirtualGpu, measure

from traincost.data.profile import PROFILES
from traincost.instruments.energy_window import (
    CALIBRATING_S,
    PERIODS,
    REPETITIONS,
)

QUICK = PROFILES["quick"]


@pytest.mark.parametrize("period_s", [0.01, 0.02, 0.1])
@pytest.mark.parametrize("step_s", [1e-3, 7e-3, 0.05, 0.33, 3.0])
def test_the_energy_of_a_step_is_what_it_took(step_s: float, period_s: float) -> None:
    gpu = VirtualGpu(step_s, period_s)
    energy = measure(gpu)
    assert energy.gpu_energy_j is not None
    assert energy.gpu_energy_error_j is not None
    assert energy.gpu_energy_j == pytest.approx(gpu.step_j, rel=0.01)
    assert abs(energy.gpu_energy_j - gpu.step_j) <= energy.gpu_energy_error_j
    assert energy.gpu_energy_error_j <= 0.05 * energy.gpu_energy_j
    assert energy.power_mean_w == pytest.approx(350, rel=0.01)
    assert energy.power_idle_w == pytest.approx(70, rel=0.01)
    assert energy.power_limit_w is None  # it comes with the readings of the state
    assert energy.energy_source == "nvml"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("step_s", [1e-3, 0.3, 1.9])
def test_the_steps_keep_to_the_budget_of_the_profile(step_s: float, profile: str) -> None:
    gpu = VirtualGpu(step_s)
    measure(gpu, profile)
    assert 0 < gpu.steps * step_s <= PROFILES[profile].energy_s


def test_a_step_longer_than_the_budget_is_run_once() -> None:
    gpu = VirtualGpu(step_s=3.0)
    assert measure(gpu, "quick").gpu_energy_j == pytest.approx(gpu.step_j, rel=0.01)
    assert gpu.steps == 1


def test_a_budget_too_small_for_the_bound_leaves_the_column_empty_and_says_so() -> None:
    gpu = VirtualGpu()
    short = replace(QUICK, energy_s=0.2)
    energy = gpu.window().window(gpu.step, gpu.step_s, short)
    assert energy.gpu_energy_j is None
    assert energy.gpu_energy_error_j is None
    assert energy.energy_window_s is None
    assert energy.notes["gpu_energy_j"].startswith("window too short: known to ")
    assert gpu.steps * gpu.step_s <= 0.2


def test_a_repetition_that_misses_the_bound_is_followed_by_a_longer_one() -> None:
    """A first repetition of 30 periods is known to 6% where the power swings widely and slowly."""
    gpu = VirtualGpu(step_s=0.15, period_s=0.02, high_w=690, low_w=30, idle_w=30)
    energy = measure(gpu)
    lengths = [
        later - earlier for earlier, later in pairwise(gpu.steps_at_sleep) if later > earlier
    ]
    assert lengths[1] > lengths[0]
    assert energy.gpu_energy_j is not None
    assert energy.gpu_energy_error_j is not None
    assert energy.gpu_energy_error_j <= 0.05 * energy.gpu_energy_j


def test_repetitions_start_at_every_phase_of_the_counter() -> None:
    phases: list[float] = []
    for seed in range(20):
        gpu = VirtualGpu(step_s=0.02, period_s=0.02)
        gpu.rng.seed(seed)
        measure(gpu)
        phases += [woken_s % 0.02 / 0.02 for woken_s in gpu.woken_s[1:]]
    around = [int((phase + 1 / 8) * 4) % 4 for phase in phases]  # 0, 1/4, 1/2, 3/4
    quarters = [around.count(quarter) for quarter in range(4)]
    assert min(quarters) >= len(phases) / 8


def test_the_recorder_reads_only_while_the_window_lasts() -> None:
    gpu = VirtualGpu()
    measure(gpu)
    measure(gpu)
    assert len(gpu.on_s) == 4
    assert gpu.on_s[2] - gpu.on_s[1] == 0


def test_the_recorder_is_turned_off_when_the_step_fails() -> None:
    gpu = VirtualGpu()

    def step() -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        gpu.window().window(step, 1e-3, QUICK)
    assert len(gpu.on_s) == 2


def test_two_sources_that_agree_leave_no_note() -> None:
    assert "energy_source" not in measure(VirtualGpu()).notes


def test_two_sources_over_ten_percent_apart_are_a_note_with_both_and_the_coverage() -> None:
    note = measure(VirtualGpu(sensor_gain=1.2)).notes["energy_source"]
    assert note.startswith("the counter says ")
    assert "integrated power" in note
    assert "the sensor averages 25% of the time" in note


def test_a_step_that_takes_longer_than_it_was_timed_keeps_to_the_budget() -> None:
    """Short steps are timed by the device's clock, which does not see what launching them costs."""
    gpu = VirtualGpu(step_s=1e-3)
    energy = gpu.window().window(gpu.step, 0.1e-3, QUICK)
    assert gpu.steps * gpu.step_s <= QUICK.energy_s + CALIBRATING_S / 0.1e-3 * gpu.step_s
    assert energy.gpu_energy_j == pytest.approx(gpu.step_j, rel=0.01)


def test_steps_that_were_held_up_at_first_do_not_make_a_repetition_too_short() -> None:
    """A machine that stalls while the steps are calibrated makes them look long."""
    gpu = VirtualGpu(step_s=1e-3)

    def step() -> None:
        if gpu.steps == 0:
            gpu.history.last_for(0.5, gpu.idle_w)
        gpu.step()

    energy = gpu.window().window(step, gpu.step_s, PROFILES["standard"])
    assert energy.energy_window_s is not None
    length_s = energy.energy_window_s / REPETITIONS
    assert length_s == pytest.approx(PERIODS * gpu.period_s, rel=0.1), "nor the next ones too long"
    assert energy.gpu_energy_j == pytest.approx(gpu.step_j, rel=0.01)


def test_a_counter_too_slow_to_show_its_period_while_idle_shows_it_under_load() -> None:
    gpu = VirtualGpu(period_s=0.7)
    energy = measure(gpu)
    assert energy.gpu_energy_j is None or energy.gpu_energy_error_j is not None
    assert gpu.steps * gpu.step_s > 2.0, "the budget is used"
    assert "did not change" not in energy.notes.get("gpu_energy_j", "")


def test_only_readings_within_repetitions_tell_what_the_gpu_was_like() -> None:
    """Idle it is cool, and its clocks are low."""
    gpu = VirtualGpu(state={"temperature_c": 60.0, "sm_clock_hz": 1.5e9})
    energy = measure(gpu)
    assert energy.temperature_max_c is None  # the virtual GPU is read when it sleeps
