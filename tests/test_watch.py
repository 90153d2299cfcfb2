"""`traincost watch`: any command is run as it would be, and told what it took."""

import csv
import json
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stub_nvml
from stub_nvml import UUIDS, Constant, Square, StubConfig, StubGpu
from watching import python, watched

from traincost.child import Child
from traincost.cli import main
from traincost.show.watch import TRACE_COLUMNS, Written, trace_line
from traincost.watch_gpu import IDLE_S
from traincost.watch_sample import HOST, Sample

ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
SLEEP = ("sleep", "0.4")
STRANGER = 3_999_999  # as of another container: nobody here has it


def set_stub(monkeypatch: pytest.MonkeyPatch, config: StubConfig, **env: str) -> None:
    """What recorders and commands started from here find."""
    for name, value in (stub_nvml.environment(stub_nvml.library(), config) | env).items():
        monkeypatch.setenv(name, value)


def rows_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["watch", "--format", "json", *arguments]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().err)["rows"]
    return rows


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short look at the idle GPU is enough for counters of 20 ms."""
    monkeypatch.setattr("traincost.watch.IDLE_S", 0.2)


# What the stub was told.

GPUS = (  # NVML's order is not that of the PCI bus
    StubGpu(
        uuid=UUIDS[1],
        pci="00000000:02:00.0",
        power=Square(100, 400, 0.5),
        counter=(0.1, 0.03),
        sm_mhz=1500.0,
        temperature_c=((50.0, 0.0), (71.0, 1.2)),
        limit_w=650.0,
        reasons=0x4,
    ),
    StubGpu(uuid=UUIDS[0], power=Constant(300.0), processes=f"{STRANGER}:5000000000"),
)


@pytest.mark.thorough
def test_the_summary_is_what_the_stub_was_told_within_the_stated_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = StubConfig(GPUS, time.monotonic_ns())
    monkeypatch.setattr("traincost.watch.IDLE_S", IDLE_S)
    start, children = Child.start, list[Child]()

    def remembered(command: tuple[str, ...]) -> Child:
        children.append(start(command))
        return children[-1]

    monkeypatch.setattr(Child, "start", remembered)
    with stub_nvml.loaded(config) as stub:
        set_stub(monkeypatch, config)
        told = watched("sleep", "1.5")
        [child] = children
        start_s, end_s = child.started_s, child.started_s + told.host.time_s
        truth_j = [stub.true_energy_j(start_s, end_s, gpu) for gpu in range(2)]
        idle_w = stub.true_energy_j(start_s - IDLE_S, start_s, 1) / IDLE_S
    constant, square = told.gpus
    assert (constant.uuid, square.uuid) == (UUIDS[0], UUIDS[1])
    for use, true_j in ((square, truth_j[0]), (constant, truth_j[1])):
        assert use.gpu_energy_j is not None
        assert use.gpu_energy_error_j is not None
        assert abs(use.gpu_energy_j - true_j) <= use.gpu_energy_error_j
        assert use.power_mean_w == use.gpu_energy_j / told.host.time_s
    assert constant.gpu_energy_error_j is not None
    assert constant.gpu_energy_error_j < 0.05 * truth_j[1]
    assert constant.power_idle_w == pytest.approx(idle_w, rel=0.05)
    assert constant.device_peak_bytes is None
    assert f"pid {STRANGER} (5000 MB)" in constant.notes["gpu"]
    assert constant.throttle_reasons == "none"
    assert (square.power_limit_w, square.sm_clock_mean_hz) == (650.0, 1.5e9)
    assert square.temperature_max_c == 71.0
    assert square.throttle_reasons == "power cap"
    assert told.gpu_note is None


@pytest.mark.thorough
def test_the_power_sensor_that_disagrees_with_the_counter_is_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = StubConfig((StubGpu(power=Constant(300.0), sensor_gain=1.3, sensor=(0.02, 0.02, 0)),))
    set_stub(monkeypatch, config)
    told = watched("sleep", "0.8")
    [gpu] = told.gpus
    assert gpu.gpu_energy_j == pytest.approx(300 * told.host.time_s, rel=0.05)
    assert "the counter says" in gpu.notes["gpu_energy_j"]


@pytest.mark.thorough
def test_visible_devices_are_watched_and_no_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_stub(monkeypatch, StubConfig(GPUS), CUDA_VISIBLE_DEVICES="1")
    rows = rows_of(capsys, "--", "true")
    assert {row["section"] for row in rows} == {"host", f"GPU {UUIDS[1]}", "GPU"}
    [note] = [row["note"] for row in rows if row["section"] == "GPU"]
    assert "counted by PCI bus id" in note


# The trace.


@pytest.mark.thorough
def test_the_trace_has_energy_power_memory_and_clocks_of_host_and_gpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.csv"
    set_stub(monkeypatch, StubConfig((replace(GPUS[1], used_bytes=6e9),)))
    command = python("import time; held = bytearray(80_000_000); time.sleep(0.9)")
    assert main(["watch", "--interval", "0.2", "--trace", str(trace), "--", *command]) == 0
    with trace.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == TRACE_COLUMNS
    gpu = [line for line in lines if line["device"] == UUIDS[0]]
    host = [line for line in lines if line["device"] == HOST]
    assert len(gpu) == len(host) >= 4
    assert gpu[-1]["time_s"] == host[-1]["time_s"]  # the command's end
    times_s = [float(line["time_s"]) for line in gpu]
    assert times_s == sorted(times_s)
    for line in gpu:
        off_j = float(line["energy_j"]) - 300 * float(line["time_s"])
        assert abs(off_j) <= float(line["energy_error_j"])
        assert float(line["power_mean_w"]) == pytest.approx(300, rel=0.1)
        assert line["sm_clock_hz"] in ("1980000000.0", "")
    assert any(line["device_used_bytes"] == "6000000000" for line in gpu)
    assert any(line["temperature_c"] == "45.0" for line in gpu)
    assert max(int(line["memory_bytes"]) for line in host) > 80_000_000


def test_a_line_of_the_trace_is_on_disk_as_soon_as_it_was_made(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("what was there before, and longer than what is written")
    trace = Written("--trace", file, "head\n")
    assert "before" in file.read_text()
    for i in range(3):
        assert trace.write(trace_line(Sample(1.0, HOST, memory_bytes=5)))
        assert file.read_text() == "head\n" + "1.0,host,,,,5,,,,\n" * (i + 1)


@pytest.mark.parametrize("option", ["--trace", "--output"])
def test_a_disk_that_is_full_ends_the_file_and_not_the_command(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert main(["watch", option, "/dev/full", "--", "sh", "-c", "exit 3"]) == 3
    shown = capsys.readouterr().err
    assert "traincost watch: /dev/full: No space left on device; it ends there" in shown
    assert "exit_code" in shown


# What cannot be measured is named, and never 0 J.


def test_without_gpu_and_rapl_the_command_runs_and_the_reasons_are_told(tmp_path: Path) -> None:
    told = watched(*SLEEP, sys=tmp_path)
    assert told.host.exit_code == 0
    assert told.host.time_s >= 0.4
    assert told.host.cpu_energy_j is None
    assert "no zones in /sys/class/powercap" in told.host.notes["cpu_energy_j"]
    assert told.gpus == ()
    assert told.gpu_note


FAULTS = {
    "DriverNotLoaded": {"faults": ("nvmlInitWithFlags:1:9",)},
    "Unknown": {"faults": ("nvmlDeviceGetCount_v2:1:999",)},
    f"{ENERGY}: NotSupported": {"faults": (f"{ENERGY}:1:3",)},
    f"{ENERGY}: GpuIsLost": {"faults": (f"{ENERGY}:40:15",)},
    "ended the process that asked NVML (SIGKILL)": {"crashes": ("nvmlDeviceGetCount_v2:1",)},
    "the recorder process ended (SIGKILL)": {"crashes": (f"{ENERGY}:40",)},
    f"{ENERGY} does not return": {"hangs": (f"{ENERGY}:40:20",)},
}
ALIKE = (f"{ENERGY}: GpuIsLost", "the recorder process ended (SIGKILL)", "Unknown")


@pytest.mark.parametrize(
    "says",
    [pytest.param(says, marks=[pytest.mark.slow] if says in ALIKE else []) for says in FAULTS],
)
def test_a_fault_of_nvml_is_named_and_the_command_is_run(
    monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """The 40th reading of the counter is of a time when the command runs."""
    set_stub(monkeypatch, StubConfig(**FAULTS[says]))  # type: ignore[arg-type]
    told = watched("sh", "-c", "sleep 0.6; exit 4" if "40" in str(FAULTS[says]) else "exit 4")
    assert told.host.exit_code == 4
    notes = [told.gpu_note or "", *(gpu.notes.get("gpu_energy_j", "") for gpu in told.gpus)]
    assert any(says in note for note in notes), notes
    assert all(gpu.gpu_energy_j is None for gpu in told.gpus)
    assert all(gpu.power_mean_w is None for gpu in told.gpus)


@pytest.mark.thorough
def test_a_command_shorter_than_the_counters_period_has_no_energy_but_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_stub(monkeypatch, StubConfig((StubGpu(counter=(3.0, 0.0)),)))
    [gpu] = watched("true").gpus
    assert gpu.gpu_energy_j is None
    reason = gpu.notes["gpu_energy_j"]
    assert any(says in reason for says in ("window too short", "did not change")), reason


# The summary.


def test_the_summary_can_go_to_a_file_in_every_format(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for fmt in ("table", "csv", "json", "markdown"):
        file = tmp_path / fmt
        assert main(["watch", "--format", fmt, "--output", str(file), "--", "sleep", "0"]) == 0
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == ("", "")
        assert "exit_code" in file.read_text()
    rows = json.loads((tmp_path / "json").read_text())["rows"]
    values = {row["what"]: row["value"] for row in rows if row["section"] == "host"}
    assert shlex.split(values["command"]) == ["sleep", "0"]
    assert values["exit_code"] == 0
    assert isinstance(values["time_s"], float)


@pytest.mark.parametrize("fmt", ["table", "csv", "json", "markdown"])
def test_a_command_is_shown_escaped_and_not_without_end(
    capsys: pytest.CaptureFixture[str], fmt: str
) -> None:
    words = ["\x1b[31mred\x07", "\udcff", *(f"file-{i}" for i in range(15_000))]
    assert main(["watch", "--format", fmt, "--", "true", *words]) == 0
    shown = capsys.readouterr().err
    assert not {"\x1b", "\x07", "\udcff"} & {*shown}
    assert "x1b[31mred" in shown
    assert "characters)" in shown
    assert len(shown) < 10_000
