"""The recorder's process on the stub NVML: what it reads, and that its end harms nobody."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import stub_nvml
from project import environment
from stub_nvml import UUIDS, Constant, StubConfig, StubGpu

from traincost.instruments.edges import CounterEnergy, energy_between
from traincost.instruments.recorder import Recorder, RecorderGoneError
from traincost.instruments.recording import Recording

Start = Callable[..., Recorder]
ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
POWER = "nvmlDeviceGetFieldValues"


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Makes a recorder that finds the stub, and ends it."""
    recorders: list[Recorder] = []

    def started(config: StubConfig, uuid: str = UUIDS[0]) -> Recorder:
        for name, value in stub_nvml.environment(stub_nvml.library(), config).items():
            monkeypatch.setenv(name, value)
        recorders.append(Recorder(uuid))
        return recorders[-1]

    yield started
    for recorder in recorders:
        recorder.close()


def stub(power_w: float = 300.0, **more: tuple[str, ...]) -> StubConfig:
    return StubConfig(gpus=(StubGpu(power=Constant(power_w)),), **more)  # type: ignore[arg-type]


def record(recorder: Recorder, length_s: float) -> Recording:
    recorder.open()
    recorder.on()
    time.sleep(length_s)
    return recorder.take()


@pytest.mark.thorough
def test_it_tells_the_gpu_and_records_energy_and_power(start: Start) -> None:
    recorder = start(stub())
    opened = recorder.open()
    assert opened.facts["name"] == "NVIDIA H100 80GB HBM3"
    assert opened.facts["power_limit_w"] == 700
    assert not opened.edges
    start_s = time.monotonic()
    recorded = record(recorder, 0.6)
    found = energy_between(recorded.edges, start_s + 0.1, start_s + 0.5)
    assert isinstance(found, CounterEnergy)
    assert abs(found.energy_j - 120.0) <= found.error_j
    assert len(recorded.powers) >= 3
    assert {round(p.power_w) for p in recorded.powers} == {300}
    assert all(a.stamp_us < b.stamp_us for a, b in pairwise(recorded.powers))
    assert not recorded.faults


def test_files_of_the_folder_it_is_started_in_are_not_its_modules(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "statistics.py").write_text("raise RuntimeError('a script of somebody else')\n")
    monkeypatch.chdir(tmp_path)
    assert start(stub()).open().facts


def test_what_others_print_when_python_starts_is_no_answer(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('hello')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert record(start(stub()), 0.2).edges


@pytest.mark.thorough
def test_it_ends_with_the_measuring_process_though_a_fork_of_that_lives_on(tmp_path: Path) -> None:
    code = f"""
    import os, time
    from traincost.instruments.recorder import Recorder
    recorder = Recorder({UUIDS[0]!r})
    recorder.open()
    if os.fork() == 0:
        time.sleep(60)
    print(recorder.pid, flush=True)
    os._exit(0)
    """
    variables = stub_nvml.environment(stub_nvml.library(), stub())
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment(**variables),
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as measuring:
        assert measuring.stdout is not None
        pid = int(measuring.stdout.readline())
        try:
            deadline_s = time.monotonic() + 30
            while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < deadline_s:
                if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                    break
                time.sleep(0.1)
            assert time.monotonic() < deadline_s
        finally:
            os.killpg(measuring.pid, signal.SIGKILL)


def test_what_was_taken_is_not_given_again(start: Start) -> None:
    recorder = start(stub())
    first = record(recorder, 0.2)
    second = recorder.take()
    assert first.edges
    assert not set(first.edges) & set(second.edges)
    whole = first.then(second)
    assert whole.edges == first.edges + second.edges


@pytest.mark.thorough
def test_it_reads_nothing_while_it_is_off(start: Start) -> None:
    recorder = start(stub())
    record(recorder, 0.2)
    recorder.off()
    time.sleep(0.15)
    asleep = recorder.take()
    time.sleep(0.2)
    after = recorder.take()
    assert not after.edges
    assert not after.powers
    assert after.cpu_s - asleep.cpu_s < 0.02


def test_a_recorder_that_is_killed_is_named_and_started_anew(start: Start) -> None:
    recorder = start(stub())
    record(recorder, 0.05)
    assert recorder.pid is not None
    os.kill(recorder.pid, signal.SIGKILL)
    with pytest.raises(RecorderGoneError, match=r"the recorder process ended \(SIGKILL\)"):
        recorder.take()
    assert recorder.pid is None
    recorder.off()  # says nothing of a recorder that is gone
    assert record(recorder, 0.1).edges


def test_a_driver_that_kills_its_caller_kills_the_recorder_only(start: Start) -> None:
    recorder = start(stub(crashes=(f"{ENERGY}:5",)))
    with pytest.raises(RecorderGoneError, match="SIGKILL"):
        record(recorder, 0.3)


@pytest.mark.thorough
@pytest.mark.parametrize("function", [ENERGY, POWER])
def test_a_reading_that_hangs_is_named_while_it_hangs(start: Start, function: str) -> None:
    recorder = start(stub(hangs=(f"{function}:2:5",)))
    begun_s = time.monotonic()
    with pytest.raises(RecorderGoneError, match=f"{function} does not return"):
        record(recorder, 0.1)
    assert time.monotonic() - begun_s < 4


def test_a_driver_that_hangs_at_the_start_is_named(start: Start) -> None:
    recorder = start(stub(hangs=("nvmlInitWithFlags:1:5",)))
    with pytest.raises(RecorderGoneError, match="nvmlInit does not return"):
        recorder.open()


def test_a_process_that_cannot_even_answer_is_given_up(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("traincost.instruments.recorder.ANSWER_TIMEOUT_S", 0.3)
    recorder = start(stub())
    recorder.command = (sys.executable, "-c", "import time; time.sleep(30)")
    with pytest.raises(RecorderGoneError, match=r"did not answer within 0\.3 s"):
        recorder.open()


@pytest.mark.parametrize("call", [1, 8], ids=["at start", "midway"])
def test_a_counter_that_fails_is_a_fault_and_the_sensor_goes_on(start: Start, call: int) -> None:
    recorded = record(start(stub(faults=(f"{ENERGY}:{call}:15",))), 0.5)
    assert recorded.faults[ENERGY].startswith("GpuIsLost")
    assert recorded.powers


def test_an_unknown_gpu_is_a_fault_of_the_opening(start: Start) -> None:
    opened = start(stub(), "GPU-no-such").open()
    assert not opened.facts
    assert "NotFound" in " ".join(opened.faults.values())


def test_no_library_is_a_fault_of_the_opening() -> None:
    recorder = Recorder(UUIDS[0])
    assert "LibraryNotFound" in " ".join(recorder.open().faults.values())


def test_the_recorder_ends_with_the_process_that_measures(tmp_path: Path) -> None:
    """Also when that one is killed, and while it is reading."""
    script = tmp_path / "measure.py"
    script.write_text(
        "import os, signal, time\n"
        "from traincost.instruments.recorder import Recorder\n"
        f"recorder = Recorder({UUIDS[0]!r})\n"
        "recorder.open(); recorder.on(); time.sleep(0.1)\n"
        "print(recorder.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = environment(**stub_nvml.environment(stub_nvml.library(), stub()))
    done = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, check=False
    )
    pid = int(done.stdout)
    deadline_s = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert not _runs(pid)


def test_ctrl_c_in_the_terminal_does_not_reach_the_recorder(start: Start) -> None:
    recorder = start(stub())
    recorder.open()
    assert recorder.pid is not None
    assert os.getpgid(recorder.pid) != os.getpgrp()


def _runs(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_the_recorder_imports_no_heavy_package() -> None:
    code = (
        "import sys, traincost.instruments.recorder_process\n"
        "print(sorted({'torch', 'pandas', 'numpy', 'rich', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
