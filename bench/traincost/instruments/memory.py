"""Peak memory of one step: what it adds above what was there before.

On CUDA the allocator counts. On a CPU the profiler's memory records do: their running sum, from
zero at the start of the step, has its peak at `step_peak_bytes`. It repeats to the byte if the step
before is in the same profile (alone, the first is 8 to 9% high: lazy buffers, unseen frees).

`live_before_bytes`: on CUDA everything allocated when the step starts; on a CPU, whose allocator
does not count, the parameters, gradients, buffers and optimizer state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traincost.machine.device import Device

if TYPE_CHECKING:
    import torch

PROC_SELF = Path("/proc/self")
_MEASURED = "traincost: measured step"


@dataclass(frozen=True)
class Memory:
    """The memory columns, and why one of them is empty."""

    live_before_bytes: int | None = None
    step_peak_bytes: int | None = None
    reserved_peak_bytes: int | None = None
    host_peak_bytes: int | None = None
    notes: dict[str, str] = field(default_factory=dict[str, str])


def measure_memory(
    step: Callable[[], object],
    device: Device,
    model: torch.nn.Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    proc_self: Path = PROC_SELF,
    setup: Callable[[], None] = lambda: None,
) -> Memory:
    """A step for the host's peak, then one for the device's, on a CPU with another before it."""
    notes: dict[str, str] = {}
    setup()
    reset = _reset_host_peak(proc_self)
    step()
    device.synchronize()
    host_peak_bytes = _host_peak_bytes(proc_self) if reset else None
    if host_peak_bytes is None:
        notes["host_peak_bytes"] = f"{proc_self}/clear_refs cannot be written here"
    if device.kind == "cpu":
        live = _live_bytes(model, optimizer)
        if live is None:
            notes["live_before_bytes"] = "neither model nor optimizer was given"
        return Memory(live, _cpu_step_peak_bytes(step, setup), None, host_peak_bytes, notes)
    setup()
    device.synchronize()
    device.release()
    device.reset_peaks()
    before = device.allocated_bytes() or 0
    step()
    device.synchronize()
    peak = (device.peak_allocated_bytes() or 0) - before
    return Memory(before, peak, device.peak_reserved_bytes(), host_peak_bytes, notes)


def _cpu_step_peak_bytes(step: Callable[[], object], setup: Callable[[], None]) -> int:
    """Peak of the running sum of the allocation records of the second of two profiled steps.

    Both are in one profile: the profiler knows the size of a block that is freed only if it saw it
    allocated, and the second step frees what the first one made (its gradients).
    """
    from torch.profiler import ProfilerActivity, profile, record_function

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        setup()
        step()
        setup()
        with record_function(_MEASURED):
            step()
    events: Any = profiler.profiler.kineto_results.events()  # pyright: ignore[reportOptionalMemberAccess]
    starts_ns = min(e.start_ns() for e in events if e.name() == _MEASURED)
    records = [
        e
        for e in events
        if e.name() == "[memory]"
        and str(e.device_type()).endswith("CPU")
        and e.start_ns() >= starts_ns
    ]
    held = peak = 0
    for e in sorted(records, key=lambda e: e.start_ns()):
        held += e.nbytes()
        peak = max(peak, held)
    return peak


def _live_bytes(
    model: torch.nn.Module | None, optimizer: torch.optim.Optimizer | None
) -> int | None:
    """Bytes of parameters, gradients, buffers and optimizer state, each storage once."""
    if model is None and optimizer is None:
        return None
    storages = {
        storage.data_ptr(): storage.nbytes()
        for tensor in state_tensors(model, optimizer)
        for storage in (_local(tensor).untyped_storage(),)
    }
    return sum(storages.values())


def _local(tensor: Any) -> torch.Tensor:
    """The part of a DTensor that lies on this rank; any other tensor as it is."""
    local: torch.Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return local


def state_tensors(
    model: torch.nn.Module | None, optimizer: torch.optim.Optimizer | None
) -> Iterable[torch.Tensor]:
    """Everything that lives from step to step."""
    parameters: list[torch.Tensor] = []
    if model is not None:
        parameters += model.parameters()
        yield from model.buffers()
    if optimizer is not None:
        parameters += [p for group in optimizer.param_groups for p in group["params"]]
        from torch.utils._pytree import tree_leaves

        leaves = tree_leaves([dict(state) for state in optimizer.state.values()])
        yield from (v for v in leaves if hasattr(v, "untyped_storage"))
    for p in parameters:
        yield p
        if p.grad is not None:
            yield p.grad


def _reset_host_peak(proc_self: Path) -> bool:
    """Set the kernel's high-water mark of resident memory (VmHWM) back to what is resident now."""
    try:
        (proc_self / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _host_peak_bytes(proc_self: Path) -> int | None:
    """VmHWM, in bytes."""
    for line in (proc_self / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
