"""`machine/device.py` makes the right calls, in the right order, for the right device."""

from collections.abc import Callable
from typing import Any

import pytest
from fake_cuda import FakeProperties, FakeTorch

from traincost.machine.device import (
    L2_FLUSH_MIN_BYTES,
    CpuDevice,
    CudaDevice,
    cuda_count,
    open_device,
)


def cuda(fake: FakeTorch, name: str = "cuda:3") -> CudaDevice:
    device = open_device(name, fake)
    assert isinstance(device, CudaDevice)
    fake.calls.clear()
    return device


@pytest.mark.parametrize(("name", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:3", 3)])
def test_an_opened_device_is_the_current_one(name: str, index: int) -> None:
    fake = FakeTorch()
    device = open_device(name, fake)
    assert isinstance(device, CudaDevice)
    assert device.index == index
    assert device.kind == "cuda"
    assert fake.calls == [("set_device", index)]


def test_a_device_that_is_not_there_is_named_and_none_is_selected() -> None:
    fake = FakeTorch()
    with pytest.raises(LookupError, match=r"'cuda:4'.*expected one of 4 CUDA devices"):
        open_device("cuda:4", fake)
    assert fake.calls == []


def test_without_a_gpu_no_device_is_counted_and_none_opens() -> None:
    fake = FakeTorch(properties=[])
    assert cuda_count(fake) == 0
    with pytest.raises(LookupError, match="'cuda'"):
        open_device("cuda", fake)


def test_opening_the_cpu_never_touches_cuda() -> None:
    fake = FakeTorch()
    assert open_device("cpu", fake) == CpuDevice()
    assert fake.calls == []


QUERIES: list[tuple[Callable[[CudaDevice], Any], str]] = [
    (CudaDevice.synchronize, "synchronize"),
    (CudaDevice.allocated_bytes, "memory_allocated"),
    (CudaDevice.peak_allocated_bytes, "max_memory_allocated"),
    (CudaDevice.peak_reserved_bytes, "max_memory_reserved"),
    (CudaDevice.reset_peaks, "reset_peak_memory_stats"),
    (CudaDevice.facts, "get_device_properties"),
]


@pytest.mark.parametrize(("query", "call"), QUERIES, ids=[call for _, call in QUERIES])
def test_every_question_is_put_to_the_devices_own_index(
    query: Callable[[CudaDevice], Any], call: str
) -> None:
    fake = FakeTorch()
    query(cuda(fake))
    assert fake.calls == [(call, 3)]


def test_memory_is_that_of_the_device_and_peaks_start_anew_from_what_is_held() -> None:
    fake = FakeTorch()
    device = cuda(fake)
    fake.allocate(0, 1_000_000)
    fake.allocate(3, 700)
    fake.free(3, 600)
    assert (device.allocated_bytes(), device.peak_allocated_bytes()) == (100, 700)
    assert device.peak_reserved_bytes() == 700
    device.reset_peaks()
    fake.allocate(3, 50)
    assert device.peak_allocated_bytes() == 150


def test_events_are_timing_events_and_count_device_time_in_milliseconds() -> None:
    fake = FakeTorch()
    device = cuda(fake)
    start, end = device.event(), device.event()
    start.record()
    fake.advance(1.5)
    end.record()
    with pytest.raises(RuntimeError, match="completed"):
        start.elapsed_time(end)
    end.synchronize()
    assert start.elapsed_time(end) == 1.5
    assert fake.calls[:2] == [("Event", True), ("Event", True)]


@pytest.mark.parametrize(
    ("l2_bytes", "flushed_bytes"),
    [(50 * 2**20, L2_FLUSH_MIN_BYTES), (126 * 2**20, 4 * 126 * 2**20)],
)
def test_a_flush_zeroes_the_same_buffer_of_several_l2_on_the_device(
    l2_bytes: int, flushed_bytes: int
) -> None:
    fake = FakeTorch(properties=[FakeProperties(L2_cache_size=l2_bytes)] * 4)
    device = cuda(fake)
    device.flush_cache()
    device.flush_cache()
    work = [call for call in fake.calls if call[0] in ("empty", "zero_")]
    zero = ("zero_", flushed_bytes)
    assert work == [("empty", flushed_bytes, "cuda:3"), zero, zero]


def test_release_gives_back_the_flush_buffer_before_emptying_the_cache() -> None:
    fake = FakeTorch()
    device = cuda(fake)
    device.flush_cache()
    assert device.allocated_bytes() == L2_FLUSH_MIN_BYTES
    device.release()
    assert fake.calls[-1] == ("empty_cache",)
    assert fake.memory[3].allocated_bytes == 0
    assert fake.memory[3].reserved_bytes == 0
    device.flush_cache()
    assert ("empty", L2_FLUSH_MIN_BYTES, "cuda:3") in fake.calls[-3:]


@pytest.mark.parametrize("prefix", ["", "GPU-"])
def test_the_uuid_has_the_form_that_nvml_looks_up(prefix: str) -> None:
    uuid = "5ca0d5b1-76c2-4d5b-8f2a-1f0e4c2f9d10"
    fake = FakeTorch(properties=[FakeProperties(uuid=prefix + uuid)])
    assert cuda(fake, "cuda").facts().uuid == f"GPU-{uuid}"


def test_facts_are_the_properties_of_the_device() -> None:
    fake = FakeTorch(properties=[FakeProperties(), FakeProperties("NVIDIA L4", None, 23 * 2**30)])
    facts = cuda(fake, "cuda:1").facts()
    assert (facts.name, facts.uuid, facts.total_memory_bytes) == ("NVIDIA L4", None, 23 * 2**30)
    assert facts.capability == (9, 0)


@pytest.mark.parametrize(
    ("precision", "matmul", "cudnn"), [("tf32", "high", True), ("ieee", "highest", False)]
)
def test_tf32_is_set_for_matrix_products_and_convolutions_together(
    precision: str, matmul: str, cudnn: bool
) -> None:
    fake = FakeTorch()
    cuda(fake).set_matmul_precision(precision)
    assert fake.calls == [("set_float32_matmul_precision", matmul)]
    assert fake.backends.cudnn.allow_tf32 is cudnn
