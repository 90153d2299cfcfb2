"""NVML: what a GPU can tell, its flaws with their remedies, and every error at every call."""

import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from traincost.instruments import nvml
from traincost.machine.capability import Capability

UUID = "GPU-5ca0d5b1-76c2-4d5b-8f2a-1f0e4c2f9d10"


class FakeNvmlError(Exception):
    """As `pynvml.NVMLError`: the code is in `value`."""

    def __init__(self, value: int) -> None:
        super().__init__(f"code {value}")
        self.value = value


class FakeNvml:
    """`pynvml` for one healthy H100; `faults` maps a function to the code it fails with."""

    NVMLError = FakeNvmlError
    NVML_CLOCK_SM = 1

    def __init__(self, faults: dict[str, int] | None = None, **answers: Any) -> None:
        self.faults = faults or {}
        self.called: list[tuple[Any, ...]] = []
        self.answers: dict[str, Any] = {
            "nvmlInit": None,
            "nvmlShutdown": None,
            "nvmlSystemGetDriverVersion": "580.159.04",
            "nvmlDeviceGetHandleByUUID": "the handle",
            "nvmlDeviceGetTotalEnergyConsumption": 5_000_000,
            "nvmlDeviceGetPowerUsage": 70_500,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetPowerManagementDefaultLimit": 700_000,
            "nvmlDeviceGetClockInfo": 1410,
            "nvmlDeviceGetMaxClockInfo": 1980,
            "nvmlDeviceGetCurrentClocksEventReasons": 0x2,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x2,
            "nvmlDeviceGetComputeRunningProcesses": [],
            "nvmlDeviceGetGraphicsRunningProcesses": [],
            "nvmlDeviceGetPersistenceMode": 1,
            "nvmlDeviceGetMigMode": [0, 0],
            "nvmlGpmQueryDeviceSupport": SimpleNamespace(isSupportedDevice=1),
            **answers,
        }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self.answers:
            raise AttributeError(name)

        def function(*arguments: Any) -> Any:
            self.called.append((name, *arguments))
            if name in self.faults:
                raise FakeNvmlError(self.faults[name])
            return self.answers[name]

        return function


def on_gpu(fake: FakeNvml) -> dict[str, Capability]:
    return {c.what: c for c in nvml.capabilities(UUID, fake)}


def test_a_healthy_gpu_has_every_capability_and_nothing_to_do() -> None:
    fake = FakeNvml()
    found = on_gpu(fake)
    assert all(c.available and c.remedy is None for c in found.values()), found
    assert found["GPU energy counter"].detail.startswith("counter at 5000 J")
    assert ("nvmlDeviceGetHandleByUUID", UUID) in fake.called
    assert fake.called[-1] == ("nvmlShutdown",)


FLAWS: dict[str, tuple[dict[str, Any], str]] = {
    "full GPU power limit": ({"nvmlDeviceGetEnforcedPowerLimit": 400_000}, "nvidia-smi -pl 700"),
    "GPU clocks held": ({"nvmlDeviceGetCurrentClocksEventReasons": 0x1}, "nvidia-smi -lgc"),
    "GPU to itself": (
        {
            "nvmlDeviceGetComputeRunningProcesses": [
                SimpleNamespace(pid=1, usedGpuMemory=412_000_000),
                SimpleNamespace(pid=os.getpid(), usedGpuMemory=None),
            ]
        },
        "--cost-device cuda:N",
    ),
    "GPU persistence mode": ({"nvmlDeviceGetPersistenceMode": 0}, "nvidia-smi -pm 1"),
    "whole GPU": ({"nvmlDeviceGetMigMode": [1, 1]}, "nvidia-smi -mig 0"),
}


@pytest.mark.parametrize("what", FLAWS)
def test_each_flaw_of_a_gpu_is_named_with_its_remedy(what: str) -> None:
    answers, remedy = FLAWS[what]
    found = on_gpu(FakeNvml(**answers))
    assert [name for name, c in found.items() if not c.available] == [what]
    assert remedy in str(found[what].remedy)


def test_other_processes_are_named_and_this_one_is_not_among_them() -> None:
    answers, _ = FLAWS["GPU to itself"]
    assert on_gpu(FakeNvml(**answers))["GPU to itself"].detail == "pid 1 (412 MB)"


def test_a_gpu_without_gpm_says_which_has_it() -> None:
    fake = FakeNvml(nvmlGpmQueryDeviceSupport=SimpleNamespace(isSupportedDevice=0))
    found = on_gpu(fake)["GPU traffic counters (GPM)"]
    assert (found.available, found.detail) == (False, "needs a Hopper GPU or a later one")


def test_throttling_now_is_named() -> None:
    found = on_gpu(FakeNvml(nvmlDeviceGetCurrentClocksEventReasons=0x2 | 0x4 | 0x40))
    throttling = found["GPU throttle reasons"]
    assert throttling.detail == "now: application clocks, power cap, hardware thermal"
    assert throttling.remedy


def test_throttle_reasons_are_read_by_the_older_name_where_the_newer_is_missing() -> None:
    fake = FakeNvml(
        {"nvmlDeviceGetCurrentClocksEventReasons": 13},
        nvmlDeviceGetCurrentClocksThrottleReasons=0x202,
    )
    assert on_gpu(fake)["GPU throttle reasons"].detail == "now: application clocks, 0x200"


NAMES = {
    1: "Uninitialized",
    3: "NotSupported",
    4: "NoPermission",
    9: "DriverNotLoaded",
    12: "LibraryNotFound",
    13: "FunctionNotFound",
    15: "GpuIsLost",
    999: "code 999",
}
OLDER_NAME = "nvmlDeviceGetCurrentClocksThrottleReasons"
FUNCTIONS = sorted(FakeNvml().answers.keys() - {OLDER_NAME})
# The list is read by then; the older name serves; a GPU without MIG is whole.
HARMLESS = [
    *(("nvmlShutdown", code) for code in NAMES),
    ("nvmlDeviceGetCurrentClocksEventReasons", 13),
    ("nvmlDeviceGetMigMode", 3),
]


@pytest.mark.parametrize("code", NAMES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_error_of_any_call_ends_the_list_and_each_is_named(function: str, code: int) -> None:
    fake = FakeNvml({function: code})
    found = on_gpu(fake)
    if (function, code) in HARMLESS:
        assert all(c.available for c in found.values())
        return
    details = [c.detail for c in found.values() if not c.available]
    assert details
    assert all(NAMES[code] in detail for detail in details)
    if function != "nvmlInit":
        assert fake.called[-1] == ("nvmlShutdown",)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_binding_that_lacks_a_function_is_told_to_be_upgraded(function: str) -> None:
    fake = FakeNvml()
    del fake.answers[function]
    lacking = [c for c in on_gpu(fake).values() if not c.available]
    assert all("upgrade" in str(c.remedy) for c in lacking)
    assert lacking or (function, 13) in HARMLESS


def test_a_slice_of_a_gpu_is_looked_up_as_one() -> None:
    class Sliced(FakeNvml):
        def __getattr__(self, name: str) -> Callable[..., Any]:
            function = super().__getattr__(name)
            if name != "nvmlDeviceGetHandleByUUID":
                return function

            def by_uuid(uuid: str) -> Any:
                if uuid.startswith("GPU-"):
                    raise FakeNvmlError(6)
                return function(uuid)

            return by_uuid

    fake = Sliced()
    assert len(on_gpu(fake)) > 1
    assert ("nvmlDeviceGetHandleByUUID", UUID.replace("GPU-", "MIG-")) in fake.called


def test_without_a_gpu_asked_for_only_nvml_itself_is_reported() -> None:
    assert nvml.capabilities(None, FakeNvml()) == [Capability(nvml.NVML, True, "driver 580.159.04")]


def test_a_missing_binding_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    [found] = nvml.capabilities(UUID)
    assert not found.available
    assert found.remedy == "pip install nvidia-ml-py"


@pytest.mark.parametrize("error", [OSError("no such file"), ValueError("utf-8"), TypeError("None")])
def test_what_the_binding_itself_raises_is_a_fault_too(error: Exception) -> None:
    class Broken(FakeNvml):
        def nvmlDeviceGetPowerUsage(self, _gpu: object) -> int:
            raise error

    found = on_gpu(Broken())["GPU power"]
    assert not found.available
    assert str(error) in found.detail
