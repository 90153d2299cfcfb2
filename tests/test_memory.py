"""Peak memory: to the byte on a CPU, by the allocator's counters on CUDA."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake_cuda import FakeTorch

from traincost.instruments.memory import measure_memory
from traincost.machine.device import CpuDevice, CudaDevice

FLOAT_BYTES = 4


Training = tuple[Callable[[], torch.Tensor], torch.nn.Sequential, torch.optim.Optimizer]


def training(width: int = 64, rows: int = 32) -> Training:
    model = torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.Linear(width, width))
    optimizer = torch.optim.AdamW(model.parameters())
    x = torch.randn(rows, width)

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(x).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return step, model, optimizer


def test_the_peak_of_a_known_allocation_is_exact() -> None:
    def step() -> None:
        a = torch.ones(1000)  # 4000 B held
        b = torch.ones(500)  # 6000 B held: the peak
        del a
        c = torch.ones(900)  # 5600 B held
        del b, c

    assert measure_memory(step, CpuDevice()).step_peak_bytes == 6000


def test_memory_that_the_step_before_left_is_seen_freed() -> None:
    held: list[torch.Tensor] = []

    def step() -> None:
        held.clear()  # 4000 B below the start
        held.append(torch.ones(1000))  # back at the start, and not above it

    assert measure_memory(step, CpuDevice()).step_peak_bytes == 0


def test_the_peak_repeats_to_the_byte_whatever_ran_before() -> None:
    step, model, optimizer = training()
    peaks: set[int | None] = set()
    for before in range(4):
        for _ in range(before):
            step()
        peaks.add(measure_memory(step, CpuDevice(), model, optimizer).step_peak_bytes)
    assert len(peaks) == 1


def test_what_lived_before_is_parameters_gradients_and_optimizer_state() -> None:
    step, model, optimizer = training()
    memory = measure_memory(step, CpuDevice(), model, optimizer)
    parameters = sum(p.numel() for p in model.parameters())
    counters = len(list(model.parameters()))  # AdamW keeps a float step count a parameter
    assert memory.live_before_bytes == FLOAT_BYTES * (4 * parameters + counters)


def test_shared_parameters_live_once() -> None:
    _, model, optimizer = training()
    model[1].weight = model[0].weight
    memory = measure_memory(lambda: None, CpuDevice(), model, None)
    assert memory.live_before_bytes == FLOAT_BYTES * (64 * 64 + 64 + 64)
    del optimizer


def test_without_model_and_optimizer_the_note_says_so() -> None:
    memory = measure_memory(lambda: None, CpuDevice())
    assert memory.live_before_bytes is None
    assert "neither model nor optimizer" in memory.notes["live_before_bytes"]


def test_on_cuda_the_peak_is_what_the_step_adds_on_this_device() -> None:
    fake = FakeTorch()
    fake.allocate(2, 1000)
    fake.allocate(0, 77_777)  # another device's memory does not count

    def step() -> None:
        fake.allocate(2, 500)
        fake.free(2, 500)

    memory = measure_memory(step, CudaDevice(2, fake))
    assert memory.live_before_bytes == 1000
    assert memory.step_peak_bytes == 500
    assert memory.reserved_peak_bytes == 1500


def test_on_cuda_the_flush_buffer_of_the_clock_is_not_counted_as_the_models() -> None:
    fake = FakeTorch()
    device = CudaDevice(0, fake)
    device.flush_cache()
    assert measure_memory(lambda: None, device).live_before_bytes == 0


def test_the_hosts_peak_covers_memory_that_was_freed_again() -> None:
    before = measure_memory(lambda: None, CpuDevice()).host_peak_bytes
    size_bytes = 256 * 2**20

    def step() -> None:
        torch.ones(size_bytes, dtype=torch.uint8)

    after = measure_memory(step, CpuDevice()).host_peak_bytes
    if before is None or after is None:
        pytest.skip("/proc/self/clear_refs cannot be written here")
    assert after - before > size_bytes // 2


def test_where_the_high_water_mark_cannot_be_reset_the_note_says_so(tmp_path: Path) -> None:
    memory = measure_memory(lambda: None, CpuDevice(), proc_self=tmp_path / "gone")
    assert memory.host_peak_bytes is None
    assert "clear_refs" in memory.notes["host_peak_bytes"]
