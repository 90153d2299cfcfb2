"""What readings of a GPU's state mean for a row: throttled, a note, or nothing to say."""

from dataclasses import replace
from typing import Any

import pytest

from traincost.instruments.gpu_memory import Process
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.nvml import REASONS
from traincost.instruments.validity import THROTTLING, Validity, validity

OWN = 10
SOUND = GpuState(
    time_s=0.0,
    reasons=0,
    sm_clock_hz=1980e6,
    temperature_c=60.0,
    power_limit_w=700.0,
    corrected=5,
    uncorrected=0,
    processes=(Process(OWN, 2_000),),
    used_bytes=3_000,
)


def judge(*during: GpuState, before: GpuState = SOUND) -> Validity:
    return validity([before], during, [OWN], lambda pid: pid < 1000)


def like(**changed: Any) -> GpuState:
    return replace(SOUND, **changed)


def test_a_sound_gpu_fills_its_columns_and_has_no_notes() -> None:
    found = judge(SOUND, like(temperature_c=64.0, sm_clock_hz=1920e6))
    assert found == Validity(
        throttled=False,
        throttle_reasons="none",
        temperature_max_c=64.0,
        sm_clock_mean_hz=1950e6,
        power_limit_w=700.0,
        device_peak_bytes=2_000,
        notes={},
    )


@pytest.mark.parametrize("bit", REASONS)
def test_only_heat_and_hardware_make_a_row_throttled(bit: int) -> None:
    found = judge(SOUND, like(reasons=bit), SOUND, SOUND)
    assert found.throttled == (REASONS[bit] in THROTTLED)
    slowing = found.throttled or REASONS[bit] == "power cap"
    assert found.throttle_reasons == (REASONS[bit] if slowing else "none")
    assert ("in 1 of 4 readings" in found.notes.get("throttle_reasons", "")) == slowing


THROTTLED = ("hardware slowdown", "software thermal", "hardware thermal", "power brake")


def test_a_throttling_bit_beside_harmless_ones_is_seen() -> None:
    assert judge(like(reasons=0x001 | 0x002 | 0x040)).throttled
    assert judge(like(reasons=0x040 | 0x004)).throttle_reasons == "power cap, hardware thermal"
    assert THROTTLING & 0x004 == 0


def test_what_was_before_the_work_does_not_make_it_throttled() -> None:
    assert not judge(SOUND, before=like(reasons=0x040)).throttled


NOTES: dict[str, tuple[dict[str, Any], str, str]] = {
    "moving clock": ({"sm_clock_hz": 1500e6}, "sm_clock_mean_hz", "1500 to 1980 MHz"),
    "new limit": ({"power_limit_w": 400.0}, "power_limit_w", "700 W then 400 W"),
    "uncorrected": ({"uncorrected": 2}, "gpu", "2 uncorrected memory errors"),
    "corrected": ({"corrected": 6}, "gpu", "1 corrected memory errors"),
    "other process": (
        {"processes": (Process(OWN, 2_000), Process(77, 5_000_000), Process(78, None))},
        "gpu",
        "other processes work on it: pid 77 (5 MB), pid 78",
    ),
}


@pytest.mark.parametrize("what", NOTES)
def test_a_flaw_is_noted_and_does_not_make_the_row_throttled(what: str) -> None:
    changed, column, text = NOTES[what]
    found = judge(SOUND, like(**changed))
    assert list(found.notes) == [column]
    assert text in found.notes[column]
    assert not found.throttled


def test_memory_is_the_most_that_this_process_held() -> None:
    later = like(processes=(Process(OWN, 9_000), Process(77, 50_000)))
    assert judge(SOUND, later, like(processes=None), SOUND).device_peak_bytes == 9_000


def test_without_its_own_memory_the_device_answers_if_it_is_not_shared() -> None:
    unknown = like(processes=(Process(OWN, None),))
    found = judge(unknown)
    assert found.device_peak_bytes == 3_000
    assert "whole device" in found.notes["device_peak_bytes"]
    shared = judge(like(processes=(Process(OWN, None), Process(77, None))))
    assert shared.device_peak_bytes is None
    assert "others use the GPU" in shared.notes["device_peak_bytes"]


def test_a_process_known_by_its_outer_id_is_named() -> None:
    found = judge(like(processes=(Process(4_321, 7_000),)))
    assert found.device_peak_bytes == 7_000
    assert "process 4321" in found.notes["device_peak_bytes"]


def test_what_could_not_be_read_is_empty_never_zero_and_says_why() -> None:
    functions = {
        "nvmlDeviceGetCurrentClocksEventReasons": "throttle_reasons",
        "nvmlDeviceGetClockInfo": "sm_clock_mean_hz",
        "nvmlDeviceGetTemperature": "temperature_max_c",
        "nvmlDeviceGetEnforcedPowerLimit": "power_limit_w",
        "nvmlDeviceGetComputeRunningProcesses": "device_peak_bytes",
    }
    lost = GpuState(0.0, faults=dict.fromkeys(functions, "GpuIsLost"))
    found = judge(lost, before=lost)
    assert not found.throttled
    for function, column in functions.items():
        assert getattr(found, column) is None
        assert f"{function}: GpuIsLost" in found.notes[column]


def test_no_reading_at_all_says_so() -> None:
    found = judge()
    assert found.throttle_reasons is None
    assert found.device_peak_bytes is None
    assert found.notes["device_peak_bytes"]
