"""The GPU's performance counters, from the stub: shares, and the DRAM traffic they mean."""

import time
from dataclasses import replace

import pytest
from stub_nvml import StubConfig, StubGpu, environment, library, loaded, pynvml

from traincost.instruments.energy import Energy
from traincost.instruments.energy_result import Repetition, energy_of
from traincost.instruments.gpm import Activity, GpmReader, GpmReading, activity, dram_bytes_per_s
from traincost.instruments.gpu import Gpu, open_gpu
from traincost.instruments.nvml import NvmlFault
from traincost.instruments.recorder import Recorder
from traincost.instruments.recording import Recording
from traincost.machine.peaks import peak_for

GPU = StubGpu(gpm_dram=((20.0, 0.0), (60.0, 2.0)))
VIRTUAL = StubConfig((GPU,), virtual_call_s=0.0)


def opened() -> Gpu:
    pynvml.nvmlInit()
    return open_gpu(pynvml, GPU.uuid)


def test_a_reading_is_the_mean_since_the_one_before() -> None:
    with loaded(VIRTUAL) as stub:
        reader = GpmReader(opened())
        reader.open()
        readings: list[GpmReading | None] = []
        for now_s in (1.0, 1.05, 1.5, 2.5):
            stub.set_time_s(now_s)
            readings.append(reader.read(now_s))
        reader.close()
        assert stub.calls("nvmlGpmSampleFree") == stub.calls("nvmlGpmSampleAlloc") == 2
    assert readings[:2] == [None, None]  # the first, and one that came too soon
    first, second = readings[2], readings[3]
    assert first is not None and second is not None
    assert (first.start_s, first.end_s, second.start_s, second.end_s) == (1.0, 1.5, 1.5, 2.5)
    assert first.dram_share == pytest.approx(0.2)
    assert second.dram_share == pytest.approx(0.4)
    assert second.tensor_share == pytest.approx(0.5)
    assert second.occupancy_share == pytest.approx(0.4)
    assert second.sm_share == pytest.approx(0.8)


def test_traffic_is_the_share_of_the_bandwidth_over_the_windows() -> None:
    readings = [
        GpmReading(0.0, 1.0, dram_share=0.9),  # before the work
        GpmReading(1.0, 1.5, dram_share=0.2, tensor_share=0.1),
        GpmReading(1.5, 2.5, dram_share=0.4),
        GpmReading(2.5, 3.5, dram_share=0.8),  # ends after it
        GpmReading(4.0, 4.5, dram_share=None, tensor_share=0.7, sm_share=0.9),
    ]
    seen = activity(readings, [(0.9, 3.0), (3.9, 5.0)], 3e12)
    mean = (0.5 * 0.2 + 1.0 * 0.4) / 1.5
    assert seen.traffic_bytes == pytest.approx(mean * 3e12 * 3.2)
    assert seen.tensor_share == pytest.approx(0.4)
    assert seen.sm_share == 0.9
    assert seen.occupancy_share is None


def test_traffic_is_none_where_nothing_was_seen() -> None:
    window = [(0.0, 1.0)]
    assert activity([], window, 3e12) == Activity()
    assert activity([GpmReading(0.1, 0.9, dram_share=0.0)], window, 3e12).traffic_bytes is None
    assert activity([GpmReading(0.1, 1.9, dram_share=0.5)], window, 3e12) == Activity()
    assert activity([GpmReading(0.1, 0.9, dram_share=0.5)], window, None).traffic_bytes is None


def test_the_bandwidth_by_clock_and_bus_is_that_of_the_datasheet() -> None:
    with loaded(VIRTUAL):
        found = dram_bytes_per_s(opened())
    peak = peak_for(GPU.name, "bf16", None)
    assert peak is not None and peak.bytes_per_s is not None
    assert found == pytest.approx(peak.bytes_per_s, rel=0.01)


@pytest.mark.parametrize("percent", [-1.0, 250.0])
def test_a_share_that_cannot_be_is_none(percent: float) -> None:
    with loaded(replace(VIRTUAL, gpus=(replace(GPU, gpm_dram=percent),))) as stub:
        reader = GpmReader(opened())
        reader.open()
        reader.read(1.0)
        stub.set_time_s(2.0)
        reading = reader.read(2.0)
    assert reading is not None
    assert reading.dram_share is None
    assert reading.tensor_share == pytest.approx(0.5)


def test_a_gpu_without_gpm_and_a_slice_say_so() -> None:
    for gpu, reason in ((replace(GPU, has_gpm=0), "Hopper"), (replace(GPU, mig=1), "MIG")):
        config = replace(VIRTUAL, gpus=(gpu,))
        with loaded(config), pytest.raises(NvmlFault, match=reason):
            GpmReader(opened()).open()


CALLS = (
    "nvmlGpmQueryDeviceSupport",
    "nvmlGpmSampleAlloc",
    "nvmlGpmSampleGet",
    "nvmlGpmMetricsGet",
    "nvmlGpmSampleFree",
)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("code", [1, 3, 4, 9, 12, 13, 15, 999])
def test_an_error_of_any_call_is_a_fault_and_never_a_reading(
    call: str, first: int, code: int
) -> None:
    with loaded(replace(VIRTUAL, faults=(f"{call}:{first}:{code}",))) as stub:
        reader, readings = GpmReader(opened()), list[GpmReading]()
        with pytest.raises(NvmlFault) as caught:
            reader.open()
            for now_s in (1.0, 2.0, 3.0):
                stub.set_time_s(now_s)
                reading = reader.read(now_s)
                readings += [] if reading is None else [reading]
            reader.close()
            reader.open()
        assert caught.value.code == code
        assert all(reading.dram_share for reading in readings)


def recorded(monkeypatch: pytest.MonkeyPatch, config: StubConfig) -> Recording:
    """What the recorder's process saw of the stub in a while, and of how it was opened."""
    for name, value in environment(library(), config).items():
        monkeypatch.setenv(name, value)
    recorder = Recorder(GPU.uuid)
    try:
        opened = recorder.open()
        recorder.on()
        time.sleep(0.8)
        return opened.then(recorder.take())
    finally:
        recorder.close()


def energy(recording: Recording) -> Energy:
    """The energy columns, had 50 steps run while it was recorded."""
    times_s = [t for r in recording.gpm for t in (r.start_s, r.end_s)] or [0.0, 1.0]
    ran = Repetition(min(times_s), max(times_s), 50)
    return energy_of(Recording(), recording, [ran], [], [])


@pytest.mark.thorough
def test_the_recorder_counts_the_traffic_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = recorded(monkeypatch, StubConfig((replace(GPU, gpm_dram=40.0),)))
    length_s = recording.gpm[-1].end_s - recording.gpm[0].start_s
    seen = energy(recording).activity
    bandwidth = recording.facts["dram_bytes_per_s"]
    assert seen.traffic_bytes == pytest.approx(0.4 * bandwidth * length_s / 50)
    assert seen.tensor_share == pytest.approx(0.5)


@pytest.mark.thorough
def test_a_gpu_without_gpm_has_no_activity_and_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = recorded(monkeypatch, StubConfig((replace(GPU, has_gpm=0),)))
    assert not any(function.startswith("nvmlGpm") for function in recording.faults)
    found = energy(recording)
    assert found.activity == Activity()
    assert "traffic_source" not in found.notes


@pytest.mark.thorough
@pytest.mark.parametrize("call", ["nvmlGpmQueryDeviceSupport:1", "nvmlGpmMetricsGet:2"])
def test_an_error_of_gpm_is_noted_and_the_energy_goes_on(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = recorded(monkeypatch, StubConfig((GPU,), faults=(f"{call}:15",)))
    assert recording.edges
    note = energy(recording).notes["traffic_source"]
    assert note.startswith(f"{call[:-2]}: GpuIsLost")
