"""The one file that calls `torch.cuda`; a recording fake stands in for it in the tests.

A `Device` answers the questions that the instruments ask: wait until the work is done, mark a
moment on the device's own clock, empty the last-level cache, how much memory is and was held.
`CpuDevice` answers those that make sense for a CPU and says `None` to the others. Both are cheap:
thin calls, no policy. torch is imported by whoever makes a device, not by importing this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    pass

L2_FLUSH_MIN_BYTES = 256 * 2**20
"""What `triton.testing.do_bench` zeroes before each call; several times any GPU's L2 so far."""


class Event(Protocol):
    """A moment on the device's clock, as `torch.cuda.Event(enable_timing=True)` gives it."""

    def record(self) -> None:
        """Put the mark into the current stream."""

    def synchronize(self) -> None:
        """Wait until the mark has been reached."""

    def elapsed_time(self, end: Any) -> float:
        """Milliseconds from this mark to `end`."""
        ...


@dataclass(frozen=True)
class GpuFacts:
    """What torch says of a CUDA device."""

    name: str
    uuid: str | None
    total_memory_bytes: int
    l2_bytes: int | None
    capability: tuple[int, int]
    pci_bus_id: str | None = None  # domain:bus:device.function


class Device(Protocol):
    """What the instruments need of a device."""

    @property
    def kind(self) -> str:
        """`cpu` or `cuda`: the `device` column, and what `Tensor.to` takes."""
        ...

    def synchronize(self) -> None:
        """Wait until all work given to the device is done."""

    def event(self) -> Event | None:
        """A new mark for the device's clock; None where the host's clock is the device's."""

    def flush_cache(self) -> None:
        """Queue work that evicts the last-level cache."""

    def allocated_bytes(self) -> int | None:
        """Bytes of live tensors on the device; None where the allocator does not count."""

    def peak_allocated_bytes(self) -> int | None:
        """Most bytes of live tensors since `reset_peaks`."""

    def peak_reserved_bytes(self) -> int | None:
        """Most bytes taken from the driver since `reset_peaks`."""

    def reset_peaks(self) -> None:
        """Start the peaks anew from what is held now."""

    def release(self) -> None:
        """Give cached memory back."""

    def facts(self) -> GpuFacts | None:
        """Name, UUID, sizes; None for a CPU."""

    def set_matmul_precision(self, precision: str) -> None:
        """`ieee` or `tf32` for fp32 matrix products and convolutions."""


@dataclass(frozen=True)
class CpuDevice:
    """The host: everything is done when the call returns."""

    kind: str = "cpu"

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def event(self) -> None:
        """The host's clock is the device's."""

    def flush_cache(self) -> None:
        """Caches are left as the step leaves them: training steps run back to back."""

    def allocated_bytes(self) -> None:
        """Torch's CPU allocator keeps no count."""

    def peak_allocated_bytes(self) -> None:
        """Torch's CPU allocator keeps no count."""

    def peak_reserved_bytes(self) -> None:
        """Torch's CPU allocator keeps no count."""

    def reset_peaks(self) -> None:
        """No peaks."""

    def release(self) -> None:
        """Nothing cached."""

    def facts(self) -> None:
        """No GPU."""

    def set_matmul_precision(self, precision: str) -> None:
        """A CPU has no TF32."""


@dataclass(frozen=True)
class CudaDevice:
    """One CUDA device. `torch_module` is torch, or the recording fake of the tests."""

    index: int
    torch_module: Any
    kind: str = "cuda"
    _scratch: list[Any] = field(default_factory=list[Any], repr=False)

    @property
    def _cuda(self) -> Any:
        return self.torch_module.cuda

    def select(self) -> None:
        """Make it the current device, so that plain `cuda` means this one."""
        self._cuda.set_device(self.index)

    def synchronize(self) -> None:
        """Wait for every stream of this device."""
        self._cuda.synchronize(self.index)

    def event(self) -> Event:
        """A timing event; `record` puts it into this device's current stream."""
        event: Event = self._cuda.Event(enable_timing=True)
        return event

    def flush_cache(self) -> None:
        """Zero a buffer larger than the L2, kept for the next time."""
        if not self._scratch:
            l2_bytes = self.facts().l2_bytes or 0
            size = max(L2_FLUSH_MIN_BYTES, 4 * l2_bytes)
            self._scratch.append(
                self.torch_module.empty(
                    size, dtype=self.torch_module.uint8, device=f"cuda:{self.index}"
                )
            )
        self._scratch[0].zero_()

    def allocated_bytes(self) -> int:
        """`torch.cuda.memory_allocated`."""
        return int(self._cuda.memory_allocated(self.index))

    def peak_allocated_bytes(self) -> int:
        """`torch.cuda.max_memory_allocated`."""
        return int(self._cuda.max_memory_allocated(self.index))

    def peak_reserved_bytes(self) -> int:
        """`torch.cuda.max_memory_reserved`."""
        return int(self._cuda.max_memory_reserved(self.index))

    def reset_peaks(self) -> None:
        """`torch.cuda.reset_peak_memory_stats`."""
        self._cuda.reset_peak_memory_stats(self.index)

    def release(self) -> None:
        """Drop the flush buffer and give the allocator's cache back to the driver."""
        self._scratch.clear()
        self._cuda.empty_cache()

    def facts(self) -> GpuFacts:
        """Device properties; the UUID in NVML's form, `GPU-…`."""
        p = self._cuda.get_device_properties(self.index)
        uuid = getattr(p, "uuid", None)
        return GpuFacts(
            name=str(p.name),
            uuid=None if uuid is None else f"GPU-{str(uuid).removeprefix('GPU-')}",
            total_memory_bytes=int(p.total_memory),
            l2_bytes=getattr(p, "L2_cache_size", None),
            capability=(int(p.major), int(p.minor)),
            pci_bus_id=_pci_bus_id(p),
        )

    def set_matmul_precision(self, precision: str) -> None:
        """TF32 for matrix products and for cuDNN together, so that the axis means one thing."""
        tf32 = precision == "tf32"
        self.torch_module.set_float32_matmul_precision("high" if tf32 else "highest")
        self.torch_module.backends.cudnn.allow_tf32 = tf32


def _pci_bus_id(properties: Any) -> str | None:
    """In NVML's form; older versions of torch do not tell it."""
    domain, bus, device = (
        getattr(properties, f"pci_{part}_id", None) for part in ("domain", "bus", "device")
    )
    return None if bus is None else f"{domain:08x}:{bus:02x}:{device:02x}.0"


def cuda_count(torch_module: Any = None) -> int:
    """How many CUDA devices torch can use here."""
    if torch_module is None:
        import torch as torch_module
    return int(torch_module.cuda.device_count()) if torch_module.cuda.is_available() else 0


def open_device(name: str, torch_module: Any = None) -> CpuDevice | CudaDevice:
    """`cpu`, `cuda` or `cuda:N`, made the current device."""
    if name == "cpu":
        return CpuDevice()
    if torch_module is None:
        import torch as torch_module
    count = cuda_count(torch_module)
    index = int(name.partition(":")[2] or 0)
    if index >= count:
        raise LookupError(f"device {name!r}: expected one of {count} CUDA devices of this machine")
    device = CudaDevice(index, torch_module)
    device.select()
    return device
