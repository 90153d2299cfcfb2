"""Whatever NVML does, the suite goes on: its exit code, its rows, and what the notes say.

The cases of one suite are run by one pytest process on the CPU, each with a recorder of its own on
a stub of its own.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import stub_nvml
from project import SHORT_CASES, run_pytest, write_project
from stub_nvml import UUIDS, Constant, StubConfig, StubGpu

from traincost.data.record import Record
from traincost.instruments import gpm

ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
POWER = "nvmlDeviceGetFieldValues"
GPU = StubGpu(power=Constant(300.0), counter=(0.005, 0.0), processes="parent:5000000000")
ON_THE_STUB = f"""
    import json, os, pytest
    from pathlib import Path
    for name, p in profile.PROFILES.items():
        profile.PROFILES[name] = replace(p, timed_s=0.01, warmup_s=0.01, energy_s=3.0)
    from traincost import session
    from traincost.instruments import energy_window
    from traincost.instruments.recorder import Recorder
    energy_window.IDLE_S, energy_window.REPETITIONS = 0.15, 1
    energy_window.SHORTEST_S = float(os.environ["SHORTEST_S"])

    recorders = []

    def source(run, kind):
        recorders.append(Recorder({UUIDS[0]!r}))
        return energy_window.GpuWindow(recorders[-1], run.device(kind).synchronize)

    session.Run.energy = source

    @pytest.fixture(autouse=True)
    def stub(request):
        configs = json.loads((Path(__file__).parent / "configs.json").read_text())
        os.environ["NVML_STUB"] = configs[request.node.callspec.params["stub_number"]]
        yield
        recorders.pop().close()
"""
SUITE = """
    import json
    from pathlib import Path
    STUBS = len(json.loads((Path(__file__).parent / "configs.json").read_text()))

    @pytest.mark.parametrize("stub_number", range(STUBS))
    def test_it(train_cost, stub_number):
        train_cost(**work())
"""


def records_of(
    folder: Path, configs: dict[str, StubConfig], shortest_s: float = 0.2
) -> dict[str, Record]:
    """The row of a case on each of these stubs, by its name; the suite must have passed."""
    texts = [config.text() for config in configs.values()]
    (folder / "configs.json").write_text(json.dumps(texts))
    write_project(folder, {"test_one.py": SUITE}, SHORT_CASES + ON_THE_STUB)
    library = stub_nvml.environment(stub_nvml.library(), StubConfig())
    outcome = run_pytest(folder, "-q", timeout_s=900, SHORTEST_S=str(shortest_s), **library)
    assert outcome.code == 0, outcome.output
    found = {int(record.axes["stub_number"]): record for record in outcome.records}
    return {name: found[number] for number, name in enumerate(configs)}


HEALTHY = StubConfig(gpus=(GPU,))
EMPTY = {
    "no driver": (replace(HEALTHY, faults=("nvmlInitWithFlags:1:9",)), "DriverNotLoaded"),
    "no permission": (replace(HEALTHY, faults=(f"{ENERGY}:1:4",)), f"{ENERGY}: NoPermission"),
    "lost midway": (replace(HEALTHY, faults=(f"{ENERGY}:50:15",)), f"{ENERGY}: GpuIsLost"),
    "all lost midway": (replace(HEALTHY, faults=("*:50:15",)), f"{ENERGY}: GpuIsLost"),
    "hangs": (replace(HEALTHY, hangs=(f"{ENERGY}:50:5",)), f"{ENERGY} does not return"),
    "killed": (replace(HEALTHY, crashes=(f"{ENERGY}:50",)), "recorder process ended (SIGKILL)"),
    "impossible": (
        StubConfig(gpus=(replace(GPU, counter_gain=6.0),)),
        "over twice the power limit",
    ),
    "still": (StubConfig(gpus=(replace(GPU, counter=(1e5, 0.0)),)), "did not change"),
    "another": (StubConfig(gpus=(replace(GPU, uuid=UUIDS[1]),)), "NotFound"),
    "sliced": (StubConfig(gpus=(replace(GPU, mig=1),)), "a slice of a GPU (MIG)"),
}
FILLED = {
    "healthy": HEALTHY,
    "no sensor": replace(HEALTHY, faults=(f"{POWER}:1:3",)),
    "hot": StubConfig(gpus=(replace(GPU, reasons=float(0x40)),)),
}


@pytest.mark.thorough
def test_whatever_nvml_does_the_suite_passes_and_its_rows_say_what_is_missing(
    tmp_path: Path,
) -> None:
    """One suite for all of them, as starting pytest is what takes the time."""
    stubs = FILLED | {name: config for name, (config, _) in EMPTY.items()}
    rows = records_of(tmp_path, stubs, shortest_s=0.5)  # the GPU's state is read meanwhile
    for name, (_, reason) in EMPTY.items():
        _check_empty(rows[name], reason)
    _check_healthy(rows["healthy"])

    alone = rows["no sensor"]
    assert alone.gpu_energy_j is not None
    compared = f"energy_source: the counter alone, not compared: {POWER}: NotSupported"
    assert compared in (alone.notes or "")

    hot = rows["hot"]
    assert hot.status == "throttled"
    assert hot.throttle_reasons == "hardware thermal"
    assert hot.gpu_energy_j is not None


def _check_healthy(record: Record) -> None:
    assert record.status == "ok"
    assert record.gpu_energy_j is not None, record.notes
    assert record.gpu_energy_error_j is not None
    assert record.gpu_energy_error_j <= 0.05 * record.gpu_energy_j
    assert record.power_mean_w == pytest.approx(300, rel=0.05)
    assert record.power_idle_w == pytest.approx(300, rel=0.05)
    assert record.power_limit_w == 700
    assert record.temperature_max_c == 45
    assert record.sm_clock_mean_hz == 1.98e9
    assert record.throttle_reasons == "none"
    assert record.device_peak_bytes == 5_000_000_000
    assert record.energy_source == "nvml"
    assert record.energy_window_s is not None
    assert 0.1 < record.energy_window_s < 4.0


def _check_empty(record: Record, reason: str) -> None:
    assert record.status == "ok"
    assert record.gpu_energy_j is None
    assert record.gpu_energy_error_j is None
    assert record.power_mean_w is None
    assert record.time_median_s is not None
    assert reason in (record.notes or "")


ERRORS = {
    1: "Uninitialized",
    2: "InvalidArgument",
    3: "NotSupported",
    4: "NoPermission",
    9: "DriverNotLoaded",
    12: "LibraryNotFound",
    13: "FunctionNotFound",
    15: "GpuIsLost",
    16: "ResetRequired",
    17: "OperatingSystem",
    18: "LibRmVersionMismatch",
    999: "Unknown",
}
MIDWAY = {  # a call during the work: functions that are polled, by the number of that call
    ENERGY: 60,
    POWER: 5,
    "nvmlDeviceGetCurrentClocksEventReasons": 2,
    "nvmlDeviceGetClockInfo": 2,
    "nvmlDeviceGetTemperature": 2,
    "nvmlDeviceGetTotalEccErrors": 3,
    "nvmlDeviceGetMemoryInfo_v2": 2,
    "nvmlDeviceGetComputeRunningProcesses_v3": 3,
    "nvmlDeviceGetGraphicsRunningProcesses_v3": 2,
    "nvmlGpmSampleGet": 2,
}
ONCE = (
    "nvmlInitWithFlags",
    "nvmlDeviceGetHandleByUUID",
    "nvmlDeviceGetUUID",
    "nvmlDeviceIsMigDeviceHandle",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetName",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlGpmQueryDeviceSupport",
    "nvmlGpmSampleAlloc",
    "nvmlGpmMetricsGet",
    "nvmlDeviceGetMaxClockInfo",
    "nvmlDeviceGetMemoryBusWidth",
)
NEEDED = (*ONCE[:5], ENERGY)
"""Without these there is no GPU to read, or none that is known to be whole, or no counter."""
SILENT = {
    # A GPU or driver without slices is a whole GPU.
    ("nvmlDeviceIsMigDeviceHandle", 3),
    ("nvmlDeviceIsMigDeviceHandle", 13),
    ("nvmlDeviceGetMigMode", 3),
    ("nvmlDeviceGetMigMode", 13),
    # Another function answers instead.
    ("nvmlDeviceGetMemoryInfo_v2", 13),
    ("nvmlDeviceGetCurrentClocksEventReasons", 13),
    # GPUs without ECC memory have no ECC errors.
    ("nvmlDeviceGetTotalEccErrors", 3),
    # Only some GPUs and drivers have GPM, which is opened with these.
    *((call, code) for call in gpm.CALLS[:2] + gpm.CALLS[-2:] for code in (3, 13)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "calls", [dict.fromkeys((*ONCE, *MIDWAY), 1), MIDWAY], ids=["start", "midway"]
)
def test_every_error_of_every_call_leaves_a_row_that_names_it(
    calls: dict[str, int], tmp_path: Path
) -> None:
    matrix = [(function, call, code) for function, call in calls.items() for code in ERRORS]
    faults = [f"{function}:{call}:{code}" for function, call, code in matrix]
    configs = {fault: replace(HEALTHY, faults=(fault,)) for fault in faults}
    found = records_of(tmp_path, configs, shortest_s=0.5)  # every sensor is read again meanwhile
    wrong: list[str] = []
    for (function, call, code), fault in zip(matrix, faults, strict=True):
        record, notes = found[fault], found[fault].notes or ""
        busy = "window too short" in notes  # the machine: the recorder was held up
        empty = record.gpu_energy_j is None and not busy
        expected = function in NEEDED and (function, code) not in SILENT
        named = ERRORS[code] in notes or (function, code) in SILENT
        if empty != expected or not named or record.status != "ok":
            wrong.append(f"{fault} {record.status}: {notes}")
        print(
            f"{function:<42} call {call:<3} {ERRORS[code]:<21} {record.status} "
            f"{'empty' if empty else 'known'} {'named' if ERRORS[code] in notes else 'silent'}"
        )
    assert not wrong, "\n".join(wrong)
