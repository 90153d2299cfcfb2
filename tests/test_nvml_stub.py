"""The stub NVML tells what its settings say, and its truth is the integral of its power."""

import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import stub_nvml
from project import environment
from stub_nvml import UUIDS, Constant, Ramp, Square, Step, StubConfig, StubGpu, loaded, pynvml

ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
VIRTUAL = StubConfig(virtual_call_s=0.0)
TRACES: dict[str, tuple[Any, Callable[[float], float]]] = {
    "constant": (Constant(250), lambda t: 250),
    "step": (Step(70, 400, 1.3), lambda t: 400 if t >= 1.3 else 70),
    "square": (Square(70, 400, 0.7, 0.3), lambda t: 400 if t % 0.7 < 0.21 else 70),
    "ramp": (Ramp(70, 400, 0.5, 2), lambda t: 70 + 330 * min(1, max(0, (t - 0.5) / 2))),
}


def gpu(**settings: Any) -> StubConfig:
    return replace(VIRTUAL, gpus=(StubGpu(**settings),))


def opened(index: int = 0) -> Any:
    pynvml.nvmlInit()
    return pynvml.nvmlDeviceGetHandleByIndex(index)


@pytest.mark.parametrize("shape", TRACES)
def test_the_true_energy_is_the_integral_of_the_power(shape: str) -> None:
    trace, power_w = TRACES[shape]
    with loaded(gpu(power=trace)) as stub:
        for start_s, end_s in ((0.0, 4.0), (0.21, 0.9), (1.25, 1.35), (2.4, 3.1)):
            n = 20_000
            length_s = (end_s - start_s) / n
            summed_j = sum(power_w(start_s + (i + 0.5) * length_s) for i in range(n)) * length_s
            assert stub.true_energy_j(start_s, end_s) == pytest.approx(summed_j, rel=2e-4)


@pytest.mark.parametrize("period_s", [0.01, 0.02, 0.1])
@pytest.mark.parametrize("shape", TRACES)
def test_the_counter_shows_the_energy_at_its_latest_update_in_whole_millijoules(
    shape: str, period_s: float
) -> None:
    with loaded(gpu(power=TRACES[shape][0], counter=(period_s, 0.0037), base_j=10.0)) as stub:
        handle = opened()
        for i in range(200):
            now_s = 0.2 + i * 0.0171
            stub.set_time_s(now_s)
            updated_s = math.floor((now_s - 0.0037) / period_s) * period_s + 0.0037
            shown_mj = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
            hidden_mj = (10 + stub.true_energy_j(0, updated_s)) * 1e3 - shown_mj
            assert -1e-6 < hidden_mj < 1 + 1e-6


def test_instantaneous_power_averages_the_end_of_each_update_and_is_stamped() -> None:
    trace = Square(100, 500, 0.1, 0.9)  # the last 10 ms of every 100 are low
    with loaded(gpu(power=trace, sensor=(0.1, 0.025, 0.0))) as stub:
        handle = opened()
        for now_s in (1.0, 1.05, 1.0999, 1.1, 1.15):
            stub.set_time_s(now_s + 1e-6)
            [value] = pynvml.nvmlDeviceGetFieldValues(handle, [(186, 0)])
            assert value.nvmlReturn == 0
            assert value.timestamp == pytest.approx(math.floor(now_s * 10 + 1e-6) * 1e5, abs=1)
            assert value.value.uiVal == pytest.approx((500 * 0.6 + 100 * 0.4) * 1e3, abs=2)


def test_average_power_is_that_of_the_last_second() -> None:
    with loaded(gpu(power=Step(100, 500, 2.0), average=(0.0, 1.0))) as stub:
        handle = opened()
        stub.set_time_s(2.25)
        assert pynvml.nvmlDeviceGetPowerUsage(handle) == pytest.approx(200e3, abs=1)


def test_the_counter_can_be_reset_and_can_go_backwards() -> None:
    with loaded(gpu(counter=(0.0, 0.0), base_j=0.0, reset_s=3.0, back=(5.0, 100.0))) as stub:
        handle = opened()
        shown_j: dict[float, float] = {}
        for now_s in (2.0, 4.0, 6.0):
            stub.set_time_s(now_s)
            shown_j[now_s] = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
        assert shown_j == {2.0: 500, 4.0: 250, 6.0: 650}


def test_a_schedule_changes_at_its_times() -> None:
    with loaded(gpu(temperature_c=((40.0, 0.0), (80.0, 2.0), (60.0, 3.0)))) as stub:
        handle = opened()
        seen: list[int] = []
        for now_s in (1.0, 2.0, 3.5):
            stub.set_time_s(now_s)
            seen.append(pynvml.nvmlDeviceGetTemperature(handle, 0))
        assert seen == [40, 80, 60]


@pytest.mark.parametrize("v1", [0, 1])
@pytest.mark.parametrize("v2", [0, 1])
def test_used_memory_includes_the_reserve_only_where_it_is_told_to(v1: int, v2: int) -> None:
    with loaded(gpu(used_bytes=3e9, reserved_bytes=10**9, v1_reserved=v1, v2_reserved=v2)):
        handle = opened()
        info = pynvml.nvmlDeviceGetMemoryInfo(handle)
        assert info.used == 3e9 + v1 * 1e9
        newer = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
        assert newer.used == 3e9 + v2 * 1e9
        assert newer.reserved == 1e9
        assert info.free == newer.free == info.total - 4e9


@pytest.mark.parametrize("code", [1, 3, 4, 9, 12, 13, 15, 999])
@pytest.mark.parametrize("first", [1, 3])
def test_a_fault_comes_at_its_call_and_stays(first: int, code: int) -> None:
    with loaded(replace(VIRTUAL, faults=(f"{ENERGY}:{first}:{code}",))) as stub:
        handle = opened()
        codes: list[int] = []
        for _ in range(4):
            try:
                pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
                codes.append(0)
            except pynvml.NVMLError as e:
                codes.append(e.value)
        assert codes == [0] * (first - 1) + [code] * (5 - first)
        assert stub.calls(ENERGY) == 4


def test_a_function_can_be_missing() -> None:
    with loaded(VIRTUAL, without=(ENERGY,)):
        handle = opened()
        with pytest.raises(pynvml.NVMLError_FunctionNotFound):
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)


def test_nothing_answers_before_the_start_and_a_virtual_clock_moves_by_calls() -> None:
    with loaded(replace(VIRTUAL, virtual_call_s=1e-3)) as stub:
        with pytest.raises(pynvml.NVMLError_Uninitialized):
            pynvml.nvmlDeviceGetCount()
        stub.set_time_s(1.0)
        opened()
        assert stub.time_s() == pytest.approx(1.002)


def test_each_gpu_has_its_own_settings_in_the_order_given() -> None:
    gpus = tuple(StubGpu(uuid=UUIDS[i], power=Constant(100.0 * (i + 1))) for i in (2, 0, 1))
    with loaded(replace(VIRTUAL, gpus=gpus)) as stub:
        stub.set_time_s(10)
        handles = [opened(i) for i in range(3)]
        assert pynvml.nvmlDeviceGetCount() == 3
        powers_w = [pynvml.nvmlDeviceGetPowerUsage(h) / 1e3 for h in handles]
        uuids = [pynvml.nvmlDeviceGetUUID(h) for h in handles]
    assert powers_w == pytest.approx([300, 100, 200], abs=1e-3)
    assert uuids == [UUIDS[2], UUIDS[0], UUIDS[1]]


def run(script: str, config: StubConfig) -> subprocess.CompletedProcess[str]:
    """A process of its own, which finds the stub as it would find the driver's library."""
    stub = stub_nvml.environment(stub_nvml.library(), config)
    return subprocess.run(
        [sys.executable, "-c", f"from pynvml import *\nimport time\nnvmlInit()\n{script}"],
        env=environment(**stub),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_another_process_sees_the_same_gpus_on_the_same_clock() -> None:
    epoch_ns = time.monotonic_ns()
    config = StubConfig((StubGpu(power=Constant(1e3), counter=(0.0, 0.0), base_j=0.0),), epoch_ns)
    before_ns = time.monotonic_ns()
    done = run("print(nvmlDeviceGetTotalEnergyConsumption(nvmlDeviceGetHandleByIndex(0)))", config)
    spent_j = int(done.stdout) / 1e3
    bounds_s = [(t - epoch_ns) / 1e9 for t in (before_ns, time.monotonic_ns())]
    assert bounds_s[0] * 1e3 <= spent_j <= bounds_s[1] * 1e3


def test_a_call_can_hang_and_a_call_can_kill_the_process() -> None:
    begun_s = time.monotonic()
    script = "nvmlDeviceGetCount()\nprint(time.monotonic())\nnvmlDeviceGetCount()"
    hung = run(script, StubConfig(hangs=("nvmlDeviceGetCount_v2:2:0.5",)))
    assert hung.returncode == 0
    assert float(hung.stdout) > begun_s
    assert time.monotonic() - float(hung.stdout) > 0.5
    killed = run(script, StubConfig(crashes=("nvmlDeviceGetCount_v2:1",)))
    assert killed.returncode == -signal.SIGKILL
