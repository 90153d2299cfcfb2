"""The state of a GPU, read from the stub NVML, with every error of every call; and its memory."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from stub_nvml import StubConfig, StubGpu, loaded, pynvml

from traincost.instruments.gpu import Gpu, open_gpu
from traincost.instruments.gpu_memory import Process, Sharing, read_memory, sharing, split
from traincost.instruments.gpu_state import GpuState, StateReader
from traincost.instruments.nvml import NvmlFault

BUSY = StubGpu(
    processes="self:2000000000,77:5000000",
    graphics="self:2000000000,99:none",
    used_bytes=3e9,
    sm_mhz=1755.0,
    temperature_c=61.0,
    reasons=0x44,
    limit_w=650.0,
    corrected=3.0,
)
VIRTUAL = StubConfig((BUSY,), virtual_call_s=0.0)
GIB = 2**30


def opened() -> Gpu:
    pynvml.nvmlInit()
    return open_gpu(pynvml, BUSY.uuid)


def test_a_reading_tells_what_the_gpu_is_like() -> None:
    with loaded(VIRTUAL):
        state = StateReader(opened()).read(12.5)
    own = Process(os.getpid(), 2_000_000_000)
    assert state == GpuState(
        time_s=12.5,
        reasons=0x44,
        sm_clock_hz=1755e6,
        temperature_c=61.0,
        power_limit_w=650.0,
        corrected=3,
        uncorrected=0,
        processes=(own, Process(77, 5_000_000), Process(99, None)),
        used_bytes=3_000_000_000,
    )


def test_it_travels_through_json() -> None:
    with loaded(VIRTUAL):
        reader = StateReader(opened())
        for state in (reader.read(0.0), reader.read(0.25)):
            assert GpuState.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_the_slow_calls_are_made_in_every_second_reading_only() -> None:
    with loaded(VIRTUAL) as stub:
        reader = StateReader(opened())
        complete = [reader.read(i * 0.25).processes is not None for i in range(4)]
        assert complete == [True, False, True, False]
        assert stub.calls("nvmlDeviceGetTemperature") == 4
        assert stub.calls("nvmlDeviceGetTotalEccErrors") == 4  # of both kinds


def test_a_gpu_without_ecc_is_no_fault() -> None:
    with loaded(replace(VIRTUAL, gpus=(replace(BUSY, ecc_mode=-1),))):
        state = StateReader(opened()).read(0.0)
    assert (state.corrected, state.uncorrected, state.faults) == (None, None, {})


# Function of the library, function of pynvml, the fields that it fills.
CALLS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksEventReasons",
        ("reasons",),
    ),
    ("nvmlDeviceGetClockInfo", "nvmlDeviceGetClockInfo", ("sm_clock_hz",)),
    ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperature", ("temperature_c",)),
    ("nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetEnforcedPowerLimit", ("power_limit_w",)),
    ("nvmlDeviceGetTotalEccErrors", "nvmlDeviceGetTotalEccErrors", ("corrected", "uncorrected")),
    (
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetComputeRunningProcesses",
        ("processes",),
    ),
    (
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetComputeRunningProcesses",
        ("processes",),
    ),
    ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo", ("used_bytes",)),
)
CODES = {
    1: "Uninitialized",
    2: "InvalidArgument",
    4: "NoPermission",
    9: "DriverNotLoaded",
    10: "Timeout",
    12: "LibraryNotFound",
    15: "GpuIsLost",
    16: "ResetRequired",
    18: "LibRmVersionMismatch",
    999: "Unknown",
}


@pytest.mark.parametrize("call", CALLS, ids=[call[0] for call in CALLS])
@pytest.mark.parametrize("midway", [False, True], ids=["at start", "midway"])
def test_an_error_of_a_call_empties_its_own_fields_and_is_named(
    call: tuple[str, str, tuple[str, ...]], midway: bool
) -> None:
    symbol, function, emptied = call
    with loaded(VIRTUAL) as stub:
        gpu = opened()
        sound = StateReader(gpu).read(0.0)
        for code, name in CODES.items():
            stub.set(VIRTUAL)
            reader = StateReader(gpu)
            if midway:
                assert reader.read(0.0) == sound
                assert not reader.read(0.0).faults
            stub.set(replace(VIRTUAL, faults=(f"{symbol}:1:{code}",)))
            failed = reader.read(0.0)
            reader.read(0.0)
            reader.read(0.0)
            assert stub.calls(symbol) == 1, "a function that failed is called again"
            for field in fields(GpuState):
                if field.name in emptied:
                    assert getattr(failed, field.name) is None
                elif field.name != "faults":
                    assert getattr(failed, field.name) == getattr(sound, field.name)
            assert list(failed.faults) == [function]
            assert name in failed.faults[function]


def test_a_lost_gpu_empties_everything_and_raises_nothing() -> None:
    with loaded(VIRTUAL) as stub:
        reader = StateReader(opened())
        stub.set(replace(VIRTUAL, faults=("*:1:15",)))
        state = reader.read(1.0)
    assert state == GpuState(1.0, faults=state.faults)
    assert len(state.faults) == 7
    assert all("GpuIsLost" in what for what in state.faults.values())


def test_throttle_reasons_have_an_older_name() -> None:
    with loaded(VIRTUAL, without=("nvmlDeviceGetCurrentClocksEventReasons",)):
        assert StateReader(opened()).read(0.0).reasons == 0x44


CONVENTIONS: tuple[dict[str, Any], ...] = (
    {"v1_reserved": 1, "v2_reserved": 0},
    {"v1_reserved": 1, "v2_reserved": 1},
    {"v1_reserved": 0, "has_v2": 0},
)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
@pytest.mark.parametrize("used_bytes", [0, 3 * GIB, 60 * GIB])
def test_used_memory_is_without_the_reserve_by_every_convention(
    convention: dict[str, Any], used_bytes: int
) -> None:
    gpu = replace(BUSY, used_bytes=float(used_bytes), **convention)
    with loaded(replace(VIRTUAL, gpus=(gpu,))):
        memory = read_memory(opened())
    assert memory.used_bytes == used_bytes
    assert memory.reserved_bytes == BUSY.reserved_bytes
    assert memory.used_bytes + memory.free_bytes == memory.total_bytes - BUSY.reserved_bytes


def test_a_reserve_that_cannot_be_told_is_said_to_be_unknown() -> None:
    gpu = replace(BUSY, v1_reserved=1, has_v2=0)
    with loaded(replace(VIRTUAL, gpus=(gpu,))):
        memory = read_memory(opened())
    assert memory.reserved_bytes is None
    assert memory.used_bytes == 3_000_000_000 + BUSY.reserved_bytes


def test_memory_that_cannot_be_read_is_a_fault_not_the_older_call() -> None:
    with loaded(replace(VIRTUAL, faults=("nvmlDeviceGetMemoryInfo_v2:1:15",))) as stub:
        with pytest.raises(NvmlFault, match="GpuIsLost"):
            read_memory(opened())
        assert stub.calls("nvmlDeviceGetMemoryInfo") == 0


def test_rounded_sums_are_read_by_the_nearer_convention() -> None:
    assert split(80 * GIB, 3 * GIB, 76 * GIB - 4096, GIB).used_bytes == 3 * GIB
    assert split(80 * GIB, 4 * GIB, 76 * GIB - 4096, GIB).used_bytes == 3 * GIB


def seen(*pids: int) -> Callable[[int], bool]:
    """Only these exist here."""
    return pids.__contains__


def test_this_process_is_told_from_the_others() -> None:
    own, other = Process(10, 500), Process(11, 700)
    assert sharing([own, other], [10], seen(10, 11)) == Sharing(own, (other,))
    assert sharing([other], [10], seen(10, 11)) == Sharing(None, (other,))
    assert sharing([], [10], seen(10)) == Sharing(None, ())


def test_memory_of_the_processes_that_this_one_started_is_its_own() -> None:
    listed = [Process(10, 500), Process(12, 300), Process(13, None)]
    assert sharing(listed, [10, 12, 13], seen()) == Sharing(Process(10, 800), ())
    assert sharing([Process(10, None)], [10], seen()) == Sharing(Process(10, None), ())


def test_in_a_container_the_only_process_that_nobody_here_knows_is_this_one() -> None:
    outer = Process(40_123, 900)
    assert sharing([outer], [10], seen(10)) == Sharing(outer, ())
    assert sharing([outer, Process(40_200, 1)], [10], seen(10)).own is None
    assert sharing([outer], [10], seen(10, 40_123)) == Sharing(None, (outer,))


@pytest.fixture(autouse=True)
def _ends_sound() -> Iterator[None]:
    """Whatever a test does to NVML, the next one finds it unloaded."""
    yield
    assert pynvml.nvmlLib is None
