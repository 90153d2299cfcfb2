"""A recording stand-in for torch with CUDA devices: what `machine/device.py` calls, and no more.

`calls` holds every call in order, as (name, arguments...). Time and memory are set by the test:
`advance` moves the device's clock, which events read; `allocate` and `free` move the counters.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

Call = tuple[Any, ...]


@dataclass
class Memory:
    """The allocator's counters of one device."""

    allocated_bytes: int = 0
    peak_allocated_bytes: int = 0
    reserved_bytes: int = 0
    peak_reserved_bytes: int = 0


@dataclass
class FakeProperties:
    """What `torch.cuda.get_device_properties` gives."""

    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str | None = "5ca0d5b1-76c2-4d5b-8f2a-1f0e4c2f9d10"
    total_memory: int = 85_029_158_912
    L2_cache_size: int = 52_428_800
    major: int = 9
    minor: int = 0


class FakeTensor:
    """A buffer on a device, which records that it was zeroed."""

    def __init__(self, fake: FakeTorch, size_bytes: int) -> None:
        self._fake = fake
        self._size_bytes = size_bytes

    def zero_(self) -> FakeTensor:
        """Record it."""
        self._fake.calls.append(("zero_", self._size_bytes))
        self._fake.advance(self._fake.zero_ms)
        return self


class FakeEvent:
    """A timing event: like torch's, it has no elapsed time before it was reached."""

    def __init__(self, fake: FakeTorch) -> None:
        self._fake = fake
        self._at_ms: float | None = None
        self._reached = False

    def record(self) -> None:
        """Read the device's clock."""
        self._fake.calls.append(("record",))
        self._at_ms = self._fake.now_ms

    def synchronize(self) -> None:
        """Reach it, and every event before it."""
        self._fake.calls.append(("event_synchronize",))
        self._reached = True

    def elapsed_time(self, end: FakeEvent) -> float:
        """Milliseconds; RuntimeError as torch's when the later one was not waited for."""
        self._fake.calls.append(("elapsed_time",))
        if self._at_ms is None or end._at_ms is None:
            raise RuntimeError("Both events must be recorded before calculating elapsed time.")
        if not end._reached and not self._fake.synchronized:
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return end._at_ms - self._at_ms


@dataclass
class FakeCuda:
    """`torch.cuda`."""

    fake: FakeTorch

    def is_available(self) -> bool:
        """Whether there is any device."""
        return bool(self.fake.properties)

    def device_count(self) -> int:
        """How many devices."""
        return len(self.fake.properties)

    def set_device(self, index: int) -> None:
        """Record it."""
        self.fake.calls.append(("set_device", index))

    def synchronize(self, index: int | None = None) -> None:
        """Record it; everything queued so far is reached."""
        self.fake.calls.append(("synchronize", index))
        self.fake.synchronized = True

    def Event(self, enable_timing: bool = False) -> FakeEvent:
        """A new event."""
        self.fake.calls.append(("Event", enable_timing))
        self.fake.synchronized = False
        return FakeEvent(self.fake)

    def memory_allocated(self, index: int) -> int:
        """The counter."""
        return self._counted("memory_allocated", index).allocated_bytes

    def max_memory_allocated(self, index: int) -> int:
        """The counter."""
        return self._counted("max_memory_allocated", index).peak_allocated_bytes

    def max_memory_reserved(self, index: int) -> int:
        """The counter."""
        return self._counted("max_memory_reserved", index).peak_reserved_bytes

    def reset_peak_memory_stats(self, index: int) -> None:
        """Peaks start from what is held now."""
        memory = self._counted("reset_peak_memory_stats", index)
        memory.peak_allocated_bytes = memory.allocated_bytes
        memory.peak_reserved_bytes = memory.reserved_bytes

    def empty_cache(self) -> None:
        """What is reserved and not allocated goes back to the driver."""
        self.fake.calls.append(("empty_cache",))
        for memory in self.fake.memory:
            memory.reserved_bytes = memory.allocated_bytes

    def get_device_properties(self, index: int) -> FakeProperties:
        """The device's properties."""
        self.fake.calls.append(("get_device_properties", index))
        return self.fake.properties[index]

    def _counted(self, name: str, index: int) -> Memory:
        self.fake.calls.append((name, index))
        return self.fake.memory[index]


@dataclass
class FakeTorch:
    """`torch`, with as many devices as `properties`."""

    properties: list[FakeProperties] = field(default_factory=lambda: [FakeProperties()] * 4)
    calls: list[Call] = field(default_factory=list[Call])
    now_ms: float = 0.0
    zero_ms: float = 0.0  # how long it takes to zero a buffer
    synchronized: bool = False
    uint8: str = "uint8"

    def __post_init__(self) -> None:
        self.memory = [Memory() for _ in self.properties]
        self.cuda = FakeCuda(self)
        self.backends = SimpleNamespace(cudnn=SimpleNamespace(allow_tf32=None))

    def empty(self, size: int, *, dtype: str, device: str) -> FakeTensor:
        """A buffer of bytes; its memory is freed with it."""
        assert dtype == self.uint8
        self.calls.append(("empty", size, device))
        index = int(device.removeprefix("cuda:"))
        self.allocate(index, size)
        tensor = FakeTensor(self, size)
        weakref.finalize(tensor, self.free, index, size)
        return tensor

    def set_float32_matmul_precision(self, precision: str) -> None:
        """Record it."""
        self.calls.append(("set_float32_matmul_precision", precision))

    def advance(self, elapsed_ms: float) -> None:
        """Let the device's clock move on."""
        self.now_ms += elapsed_ms

    def allocate(self, index: int, size_bytes: int) -> None:
        """Tensors of this size are made on a device."""
        memory = self.memory[index]
        memory.allocated_bytes += size_bytes
        memory.peak_allocated_bytes = max(memory.peak_allocated_bytes, memory.allocated_bytes)
        memory.reserved_bytes = max(memory.reserved_bytes, memory.allocated_bytes)
        memory.peak_reserved_bytes = max(memory.peak_reserved_bytes, memory.reserved_bytes)

    def free(self, index: int, size_bytes: int) -> None:
        """Tensors of this size are dropped; the cache keeps their memory."""
        self.memory[index].allocated_bytes -= size_bytes
