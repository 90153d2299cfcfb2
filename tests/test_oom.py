"""What counts as out of memory, and giving the memory back."""

import weakref

import pytest
import torch
from fake_cuda import FakeTorch

from traincost.machine.device import CudaDevice
from traincost.machine.oom import free_memory_of, is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ],
    ids=lambda e: f"{type(e).__name__}: {e}"[:40],
)
def test_every_way_to_run_out_of_memory_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory")])
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_out_of_memory(error)


class Big:
    """Something that holds memory."""


def test_what_the_frames_of_the_error_held_is_given_back() -> None:
    fake = FakeTorch()
    held: list[weakref.ref[Big]] = []

    def build() -> None:
        big = Big()
        held.append(weakref.ref(big))
        raise MemoryError

    try:
        build()
    except MemoryError as error:
        assert held[0]() is not None
        free_memory_of(error, CudaDevice(0, fake))
        assert held[0]() is None
    assert ("empty_cache",) in fake.calls
