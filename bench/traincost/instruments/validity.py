"""Whether a GPU was fit to be measured on, from readings of its state before and during the work.

A thermal or hardware slowdown makes the row `throttled`: its time depends on the weather. The power
cap does not: a card at its limit is what heavy steps look like on it, and their time is what they
take there. It is a note with the share of readings that showed it, as are moving clocks, memory
errors and other processes on the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TypeVar

from traincost.instruments.gpu_memory import Process, Sharing, exists, sharing
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.nvml import REASONS, SLOWING, reason_names

T = TypeVar("T")

POWER_CAP = 0x004
THROTTLING = SLOWING & ~POWER_CAP
CLOCK_RANGE = 0.10
"""SM clocks further apart than this share of the highest make a note."""

_COLUMN = {
    "nvmlDeviceGetCurrentClocksEventReasons": "throttle_reasons",
    "nvmlDeviceGetClockInfo": "sm_clock_mean_hz",
    "nvmlDeviceGetTemperature": "temperature_max_c",
    "nvmlDeviceGetEnforcedPowerLimit": "power_limit_w",
    "nvmlDeviceGetComputeRunningProcesses": "device_peak_bytes",
    "nvmlDeviceGetMemoryInfo": "device_peak_bytes",
    "nvmlDeviceGetTotalEccErrors": "gpu",
}
"""Where the fault of a function is noted: at the column that it fills."""


@dataclass(frozen=True)
class Validity:
    """The columns that readings of the state fill, and what there is to say about them."""

    throttled: bool = False
    throttle_reasons: str | None = None  # "none" is an answer, None is not
    temperature_max_c: float | None = None
    sm_clock_mean_hz: float | None = None
    power_limit_w: float | None = None
    device_peak_bytes: int | None = None
    notes: dict[str, str] = field(default_factory=dict[str, str])


def validity(
    before: Sequence[GpuState],
    during: Sequence[GpuState],
    own_pids: Sequence[int],
    seen: Callable[[int], bool] = exists,
) -> Validity:
    """Judge readings of one GPU.

    Args:
        before: While nothing ran.
        during: While the work ran; the columns are of these.
        own_pids: The measuring process and those it started.
        seen: Whether a process of this number exists here; a test hands in its own.
    """
    limits = _known(s.power_limit_w for s in (*before, *during))
    clocks = _known(s.sm_clock_hz for s in during)
    notes: dict[str, list[str]] = {}
    bits = _known(s.reasons for s in during)
    throttled = _note_reasons(bits, notes)
    if clocks and max(clocks) - min(clocks) > CLOCK_RANGE * max(clocks):
        span = f"{min(clocks) / 1e6:.0f} to {max(clocks) / 1e6:.0f} MHz"
        notes.setdefault("sm_clock_mean_hz", []).append(f"it moved from {span}")
    if len({*limits}) > 1:
        changed = " then ".join(f"{w:.0f} W" for w in dict.fromkeys(limits))
        notes.setdefault("power_limit_w", []).append(f"changed while measuring: {changed}")
    peak_bytes = _note_memory(during, own_pids, seen, notes)
    _note_errors((*before, *during), notes)
    _note_faults((*before, *during), notes)
    return Validity(
        throttled=throttled,
        throttle_reasons=_names(bits),
        temperature_max_c=max(_known(s.temperature_c for s in during), default=None),
        sm_clock_mean_hz=fmean(clocks) if clocks else None,
        power_limit_w=limits[-1] if limits else None,
        device_peak_bytes=peak_bytes,
        notes={column: ", ".join(texts) for column, texts in notes.items()},
    )


def _known(values: Iterable[T | None]) -> list[T]:
    return [value for value in values if value is not None]


def _names(bits: Sequence[int]) -> str | None:
    """Reasons seen in any reading. That a GPU is idle, or held on purpose, slows nothing down."""
    if not bits:
        return None
    seen = 0
    for one in bits:
        seen |= one
    harmless = sum(REASONS) & ~SLOWING
    return ", ".join(reason_names(seen & ~harmless)) or "none"


def _note_reasons(bits: Sequence[int], notes: dict[str, list[str]]) -> bool:
    throttling = [one for one in bits if one & THROTTLING]
    for what, found in (
        ("slowed down", throttling),
        ("capped", [b for b in bits if b & POWER_CAP]),
    ):
        if found:
            text = f"{what} in {len(found)} of {len(bits)} readings"
            notes.setdefault("throttle_reasons", []).append(text)
    return bool(throttling)


def _note_memory(
    during: Sequence[GpuState],
    own_pids: Sequence[int],
    seen: Callable[[int], bool],
    notes: dict[str, list[str]],
) -> int | None:
    listings = [sharing(s.processes, own_pids, seen) for s in during if s.processes is not None]
    others = {p.pid: p for one in listings for p in one.others}
    if others:
        text = f"other processes work on it: {_sizes(others.values())}"
        notes.setdefault("gpu", []).append(text)
    sizes = _known(one.own.used_bytes for one in listings if one.own is not None)
    if sizes:
        _note_outer_id(listings, own_pids, notes)
        return max(sizes)
    used = _known(s.used_bytes for s in during)
    if not listings or not used:
        if not any(s.faults for s in during):
            notes["device_peak_bytes"] = ["the window ended before it was read"]
        return None
    if others:
        reason = "NVML does not tell the memory of this process, and others use the GPU"
    else:
        reason = "of the whole device: NVML does not tell the memory of this process"
    notes["device_peak_bytes"] = [reason]
    return None if others else max(used)


def _note_outer_id(
    listings: Sequence[Sharing], own_pids: Sequence[int], notes: dict[str, list[str]]
) -> None:
    outer = {one.own.pid for one in listings if one.own is not None} - {*own_pids}
    if outer:
        text = f"of process {min(outer)}, the only one on the GPU, taken for this one's outer id"
        notes.setdefault("device_peak_bytes", []).append(text)


def _sizes(processes: Iterable[Process]) -> str:
    return ", ".join(
        f"pid {p.pid}" + (f" ({p.used_bytes / 1e6:.0f} MB)" if p.used_bytes else "")
        for p in processes
    )


def _note_errors(states: Sequence[GpuState], notes: dict[str, list[str]]) -> None:
    for kind in ("uncorrected", "corrected"):
        counts = _known(getattr(s, kind) for s in states)
        if counts and counts[-1] != counts[0]:
            text = f"{counts[-1] - counts[0]} {kind} memory errors (ECC) while measuring"
            notes.setdefault("gpu", []).append(text)


def _note_faults(states: Sequence[GpuState], notes: dict[str, list[str]]) -> None:
    faults = {function: what for s in states for function, what in s.faults.items()}
    for function, what in faults.items():
        notes.setdefault(_COLUMN.get(function, "gpu"), []).append(f"{function}: {what}")
