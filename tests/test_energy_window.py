"""Whole steps repeated until their energy is known: in virtual time, on a virtual GPU."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from virtual_gpu import VirtualGpu

from traincost.data.profile import PROFILES
from traincost.instruments.energy import Energy, NoMeter
from traincost.instruments.energy_result import COUNTER
from traincost.instruments.energy_window import CALIBRATING_S, PERIODS, REPETITIONS, CpuWindow
from traincost.instruments.recorder import RecorderGoneError
from traincost.instruments.recording import Recording

QUICK = PROFILES["quick"]


@dataclass
class Meter:
    """Counts what the virtual GPU takes, as if it were the CPU."""

    gpu: VirtualGpu
    before_j: float = 0.0

    def start(self) -> None:
        self.before_j = self.gpu.history.energy_j(self.gpu.history.now_s)

    def stop(self) -> float:
        return self.gpu.history.energy_j(self.gpu.history.now_s) - self.before_j


def measure(gpu: VirtualGpu, profile: str = "standard") -> Energy:
    return gpu.window().window(gpu.step, gpu.step_s, PROFILES[profile])


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


def test_a_sensor_that_is_missing_is_a_note_and_the_counter_stands() -> None:
    gpu = VirtualGpu(faults={"nvmlDeviceGetFieldValues": "NotSupported: this GPU does not have it"})
    energy = measure(gpu)
    assert energy.gpu_energy_j is not None
    assert "NotSupported" in energy.notes["energy_source"]


def test_a_counter_that_fails_leaves_the_column_empty_and_is_named() -> None:
    energy = measure(VirtualGpu(faults={COUNTER: "GpuIsLost: the GPU fell off the bus"}))
    assert energy.gpu_energy_j is None
    assert energy.notes["gpu_energy_j"] == f"{COUNTER}: GpuIsLost: the GPU fell off the bus"


SPOILT: dict[str, Callable[[float], float]] = {
    "did not change": lambda energy_j: 5.0,
    "went backwards": lambda energy_j: energy_j % 20,
    "over twice the power limit": lambda energy_j: energy_j * 10,
}


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


class _Meter:
    """Counts 30 W of the virtual time between its readings."""

    def __init__(self, gpu: VirtualGpu) -> None:
        self.gpu = gpu
        self.started_s = 0.0

    def start(self) -> None:
        self.started_s = self.gpu.history.now_s

    def stop(self) -> float:
        return 30 * (self.gpu.history.now_s - self.started_s)


def test_the_cpu_is_measured_over_the_same_steps_as_the_gpu() -> None:
    gpu = VirtualGpu()
    window = gpu.window()
    window.cpu = _Meter(gpu)
    energy = window.window(gpu.step, gpu.step_s, QUICK)
    assert energy.cpu_energy_j == pytest.approx(30 * gpu.step_s)
    assert energy.gpu_energy_j == pytest.approx(gpu.step_j, rel=0.01)
    assert energy.energy_source == "nvml+rapl"


def test_the_cpu_is_measured_where_the_gpu_cannot_be() -> None:
    gpu = VirtualGpu(faults={COUNTER: "NotSupported: this GPU does not have it"})
    window = gpu.window()
    window.cpu = _Meter(gpu)
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
    window = CpuWindow(_Meter(gpu), lambda: gpu.history.now_s)
    energy = window.window(gpu.step, gpu.step_s, QUICK)
    assert energy.cpu_energy_j == pytest.approx(30 * gpu.step_s)
    assert energy.energy_window_s == pytest.approx(0.5, rel=0.02)
    assert energy.energy_source == "rapl"
    assert energy.notes == {"gpu_energy_j": "the case runs on the CPU"}


def test_a_gpu_whose_counter_fails_is_still_seen_under_load() -> None:
    gpu = VirtualGpu(faults={COUNTER: "NotSupported: this GPU does not have it"})
    measure(gpu)
    assert 0.5 < gpu.steps * gpu.step_s < 0.7, "one repetition"


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
    assert energy.energy_window_s / REPETITIONS >= PERIODS * gpu.period_s / 2
    assert energy.gpu_energy_j == pytest.approx(gpu.step_j, rel=0.01)


def test_a_counter_too_slow_to_show_its_period_while_idle_shows_it_under_load() -> None:
    gpu = VirtualGpu(period_s=0.7)
    energy = measure(gpu)
    assert energy.gpu_energy_j is None or energy.gpu_energy_error_j is not None
    assert gpu.steps * gpu.step_s > 2.0, "the budget is used"
    assert "did not change" not in energy.notes.get("gpu_energy_j", "")


def test_an_idle_power_from_a_broken_counter_is_not_stated() -> None:
    def reset(energy_j: float) -> float:
        return energy_j if energy_j < 20 else energy_j - 20

    energy = measure(VirtualGpu(spoil=reset))
    assert energy.power_idle_w is None
    assert energy.notes["power_idle_w"].startswith("the energy counter went backwards by ")
    energy = measure(VirtualGpu(spoil=lambda energy_j: 100 * energy_j))
    assert energy.power_idle_w is None
    assert "over twice the power limit" in energy.notes["power_idle_w"]


def test_the_cpus_energy_is_known_where_the_recorder_is_gone() -> None:
    class Gone(VirtualGpu):
        def open(self) -> Recording:
            raise RecorderGoneError("it ended")

    gpu = Gone()
    window = replace(gpu.window(), cpu=Meter(gpu))
    energy = window.window(gpu.step, gpu.step_s, QUICK)
    assert energy.notes == {"gpu_energy_j": "it ended"}
    assert energy.cpu_energy_j == pytest.approx(gpu.step_j)
    assert energy.energy_source == "rapl"


def test_only_readings_within_repetitions_tell_what_the_gpu_was_like() -> None:
    """Idle it is cool, and its clocks are low."""
    gpu = VirtualGpu(state={"temperature_c": 60.0, "sm_clock_hz": 1.5e9})
    energy = measure(gpu)
    assert energy.temperature_max_c is None  # the virtual GPU is read when it sleeps
