"""NVML, the driver's own view of a GPU, through nvidia-ml-py (module `pynvml`, imported late).

Every call may fail at any moment and in many ways: no library, no driver, no permission, a card
that does not have the sensor, a card that fell off the bus. None of them may end a measurement, so
every call goes through `ask`, which turns them into one `NvmlFault` with a name and a remedy.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable
from typing import Any

from traincost.machine.capability import Capability

NVML = "GPU telemetry (NVML)"

NOT_SUPPORTED, NOT_FOUND, FUNCTION_NOT_FOUND, UNKNOWN = 3, 6, 13, 999
# Return code of NVML to (what it means, what to do).
_FAULTS: dict[int, tuple[str, str | None]] = {
    1: ("Uninitialized: NVML is not started", None),
    NOT_SUPPORTED: ("NotSupported: this GPU does not have it", None),
    4: ("NoPermission: the driver refuses this user", "run as root, or ask whoever runs the host"),
    NOT_FOUND: ("NotFound: no such GPU here", "nvidia-smi -L lists the GPUs that the driver sees"),
    9: ("DriverNotLoaded: the NVIDIA driver is not running", "sudo modprobe nvidia"),
    12: (
        "LibraryNotFound: no libnvidia-ml.so.1",
        "install the NVIDIA driver; in a container, start it with --gpus all",
    ),
    FUNCTION_NOT_FOUND: (
        "FunctionNotFound: the driver is too old for this",
        "update the NVIDIA driver",
    ),
    15: ("GpuIsLost: the GPU fell off the bus", "reboot the host; see dmesg for its Xid error"),
    16: ("ResetRequired: the GPU must be reset", "sudo nvidia-smi --gpu-reset, or reboot the host"),
    17: ("OperatingSystem: the operating system refuses the call", None),
    18: (
        "LibRmVersionMismatch: the library is of another version than the running driver",
        "reboot the host: its driver was updated",
    ),
}
_NO_MODULE = "pip install nvidia-ml-py"

# Bits of the clocks event (formerly throttle) reasons.
REASONS = {
    0x001: "idle",
    0x002: "application clocks",
    0x004: "power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal",
    0x040: "hardware thermal",
    0x080: "power brake",
    0x100: "display clocks",
}
SLOWING = 0x004 | 0x008 | 0x020 | 0x040 | 0x080
"""The reasons that slow a GPU down against the user's will."""


class NvmlFault(Exception):
    """What NVML could not do, and what helps. `code` is NVML's own."""

    def __init__(self, code: int, detail: str, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.remedy = remedy


def ask(nvml: Any, function: str, *arguments: Any) -> Any:
    """Call a function of `pynvml`; NvmlFault for everything that may go wrong."""
    try:
        return getattr(nvml, function)(*arguments)
    except AttributeError as e:
        detail, remedy = f"nvidia-ml-py has no {function}", f"{_NO_MODULE} --upgrade"
        raise NvmlFault(FUNCTION_NOT_FOUND, detail, remedy) from e
    except nvml.NVMLError as e:
        code = int(getattr(e, "value", 0) or 0)
        name = type(e).__name__.removeprefix("NVMLError_")
        raise NvmlFault(code, *_FAULTS.get(code, (f"{name}: {e}", None))) from e
    except getattr(nvml, "NVMLLibraryMismatchError", NvmlFault) as e:
        # What pynvml makes of FunctionNotFound where a function has several versions.
        raise NvmlFault(FUNCTION_NOT_FOUND, *_FAULTS[FUNCTION_NOT_FOUND]) from e
    except (OSError, ValueError, TypeError, ctypes.ArgumentError) as e:
        # A library that cannot be loaded, or an answer that is not what the binding expects.
        raise NvmlFault(UNKNOWN, f"{type(e).__name__}: {e}") from e


def reason_names(bits: int) -> tuple[str, ...]:
    """The set clocks event reasons; an unknown bit by its number."""
    known = [name for bit, name in REASONS.items() if bits & bit]
    unknown = bits & ~sum(REASONS)
    return (*known, hex(unknown)) if unknown else tuple(known)


def capabilities(uuid: str | None, nvml: Any = None) -> list[Capability]:
    """What NVML can tell of the GPU with this UUID (`GPU-…`), and whether it is fit to measure on.

    `nvml` is the module `pynvml` or a stand-in. One line only where no GPU is asked for (None), and
    where NVML or the GPU cannot be reached.
    """
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return [Capability(NVML, False, "nvidia-ml-py is not installed", _NO_MODULE)]
    try:
        ask(nvml, "nvmlInit")
    except NvmlFault as fault:
        return [Capability(NVML, False, fault.detail, fault.remedy)]
    try:
        reached = Capability(NVML, True, f"driver {ask(nvml, 'nvmlSystemGetDriverVersion')}")
        if uuid is None:
            return [reached]
        gpu = handle_by_uuid(nvml, uuid)
    except NvmlFault as fault:
        return [Capability(NVML, False, fault.detail, fault.remedy)]
    else:
        return [reached, *(_probe(what, probe, nvml, gpu) for what, probe in _PROBES.items())]
    finally:
        _shutdown(nvml)


def _shutdown(nvml: Any) -> None:
    try:
        ask(nvml, "nvmlShutdown")
    except NvmlFault:
        return  # a lost GPU: everything was read that could be


def handle_by_uuid(nvml: Any, uuid: str) -> Any:
    """The GPU by UUID, never by index: NVML's order is not CUDA's."""
    try:
        return ask(nvml, "nvmlDeviceGetHandleByUUID", uuid)
    except NvmlFault as fault:
        if fault.code != NOT_FOUND:
            raise
        # torch does not say that its device is a slice of a GPU (MIG).
        if not uuid.startswith("GPU-"):
            raise
        return ask(nvml, "nvmlDeviceGetHandleByUUID", "MIG-" + uuid.removeprefix("GPU-"))


def _probe(
    what: str, probe: Callable[[Any, Any, str], Capability], nvml: Any, gpu: Any
) -> Capability:
    try:
        return probe(nvml, gpu, what)
    except NvmlFault as fault:
        return Capability(what, False, fault.detail, fault.remedy)


def _energy(nvml: Any, gpu: Any, what: str) -> Capability:
    total_j = ask(nvml, "nvmlDeviceGetTotalEnergyConsumption", gpu) / 1e3  # mJ
    return Capability(what, True, f"counter at {total_j:.0f} J since the driver was loaded")


def _power(nvml: Any, gpu: Any, what: str) -> Capability:
    power_w = ask(nvml, "nvmlDeviceGetPowerUsage", gpu) / 1e3  # mW
    return Capability(what, True, f"{power_w:.0f} W now")


def _power_limit(nvml: Any, gpu: Any, what: str) -> Capability:
    limit_w = ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", gpu) / 1e3
    default_w = ask(nvml, "nvmlDeviceGetPowerManagementDefaultLimit", gpu) / 1e3
    full = limit_w >= default_w
    remedy = None if full else f"sudo nvidia-smi -pl {default_w:.0f}"
    return Capability(what, full, f"{limit_w:.0f} W of {default_w:.0f} W", remedy)


def _clocks(nvml: Any, gpu: Any, what: str) -> Capability:
    sm_mhz = ask(nvml, "nvmlDeviceGetClockInfo", gpu, nvml.NVML_CLOCK_SM)
    max_mhz = ask(nvml, "nvmlDeviceGetMaxClockInfo", gpu, nvml.NVML_CLOCK_SM)
    held = bool(clock_reasons(nvml, gpu) & 0x002)
    detail = f"SM at {sm_mhz} MHz of {max_mhz} MHz"
    if held:
        return Capability(what, True, f"{detail}, held by application clocks")
    return Capability(
        what,
        False,
        f"{detail}; no application clocks, and NVML cannot tell whether -lgc is set",
        "sudo nvidia-smi -lgc MHZ,MHZ with a clock it can hold under load (undo: -rgc)",
    )


def clock_reasons(nvml: Any, gpu: Any) -> int:
    """Bits of `REASONS`: why the clocks are what they are now."""
    try:
        return int(ask(nvml, "nvmlDeviceGetCurrentClocksEventReasons", gpu))
    except NvmlFault as fault:
        if fault.code != FUNCTION_NOT_FOUND:
            raise
        # The name before driver 535.
        return int(ask(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", gpu))


def _throttling(nvml: Any, gpu: Any, what: str) -> Capability:
    bits = clock_reasons(nvml, gpu)
    names = ", ".join(reason_names(bits)) or "none"
    slowed = bool(bits & SLOWING)
    remedy = "let it cool, or raise its power limit, before measuring" if slowed else None
    return Capability(what, True, f"now: {names}", remedy)


def _alone(nvml: Any, gpu: Any, what: str) -> Capability:
    found: dict[int, int | None] = {}
    for kind in ("Compute", "Graphics"):
        for process in ask(nvml, f"nvmlDeviceGet{kind}RunningProcesses", gpu):
            found[process.pid] = process.usedGpuMemory
    found.pop(os.getpid(), None)
    if not found:
        return Capability(what, True, "no other process")
    sizes = (f"pid {pid}" + (f" ({b / 1e6:.0f} MB)" if b else "") for pid, b in found.items())
    remedy = (
        "stop them, or take another GPU (--cost-device cuda:N); in a container one of them may be "
        "this process under its outer id"
    )
    return Capability(what, False, ", ".join(sizes), remedy)


def _persistence(nvml: Any, gpu: Any, what: str) -> Capability:
    on = ask(nvml, "nvmlDeviceGetPersistenceMode", gpu) == 1
    remedy = None if on else "sudo nvidia-smi -pm 1"
    return Capability(what, on, "on" if on else "off: the first step pays for the driver", remedy)


def _whole(nvml: Any, gpu: Any, what: str) -> Capability:
    try:
        current, _pending = ask(nvml, "nvmlDeviceGetMigMode", gpu)
    except NvmlFault as fault:
        if fault.code != NOT_SUPPORTED:
            raise
        return Capability(what, True, "a GPU without MIG")
    if current == 0:
        return Capability(what, True, "MIG off")
    remedy = "sudo nvidia-smi -mig 0 (stops everything on this GPU)"
    return Capability(what, False, "MIG on: slices have no power or energy readings", remedy)


def _gpm(nvml: Any, gpu: Any, what: str) -> Capability:
    if ask(nvml, "nvmlGpmQueryDeviceSupport", gpu).isSupportedDevice:
        return Capability(what, True, "DRAM traffic, tensor core activity, occupancy")
    return Capability(what, False, "needs a Hopper GPU or a later one")


_PROBES: dict[str, Callable[[Any, Any, str], Capability]] = {
    "GPU energy counter": _energy,
    "GPU power": _power,
    "full GPU power limit": _power_limit,
    "GPU clocks held": _clocks,
    "GPU throttle reasons": _throttling,
    "GPU to itself": _alone,
    "GPU persistence mode": _persistence,
    "whole GPU": _whole,
    "GPU traffic counters (GPM)": _gpm,
}
