"""One GPU as NVML sees it, found by who it is: its UUID, or else its place on the PCI bus.

Never by index: NVML counts GPUs by PCI bus id, CUDA by speed or as CUDA_VISIBLE_DEVICES says. What
was found is asked for its UUID again, so that another GPU is never taken for this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from traincost.instruments.nvml import (
    FUNCTION_NOT_FOUND,
    NOT_FOUND,
    NOT_SUPPORTED,
    NvmlFault,
    ask,
    handle_by_uuid,
)

SLICED = "a slice of a GPU (MIG): NVML has power and energy of the whole GPU only"


@dataclass(frozen=True)
class Listed:
    """A GPU in NVML's list."""

    uuid: str
    pci_bus_id: str
    name: str
    slices: tuple[str, ...] = ()  # UUIDs, where MIG is on
    mig: bool = False


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a slice of one, that NVML has a handle for."""

    nvml: Any  # the module `pynvml`, or what stands in for it
    handle: Any
    uuid: str
    sliced: bool = False  # what it does is only a part of what the GPU's sensors see

    def ask(self, function: str, *arguments: Any) -> Any:
        """Call a function of `pynvml` on it; NvmlFault for everything that may go wrong."""
        return ask(self.nvml, function, self.handle, *arguments)

    def whole(self) -> Gpu:
        """Itself, where its sensors are its own; NvmlFault for a slice."""
        if self.sliced:
            raise NvmlFault(NOT_SUPPORTED, SLICED, "sudo nvidia-smi -mig 0, to have the whole GPU")
        return self


def open_gpu(nvml: Any, uuid: str | None, pci_bus_id: str | None = None) -> Gpu:
    """Find a GPU; NVML must be started.

    Args:
        nvml: The module `pynvml`.
        uuid: As torch tells it, `GPU-…`; a slice's (`MIG-…`) too, with either prefix.
        pci_bus_id: `domain:bus:device.function`, used where the UUID is unknown or cannot be asked
            for. A GPU found there must have the UUID, if one was given.

    Raises:
        NvmlFault: There is no such GPU, or NVML cannot say.
    """
    if uuid is None and pci_bus_id is None:
        raise NvmlFault(NOT_FOUND, "neither UUID nor PCI bus id of the GPU is known")
    if uuid is None:
        handle = ask(nvml, "nvmlDeviceGetHandleByPciBusId", pci_bus_id)
    else:
        try:
            handle = handle_by_uuid(nvml, uuid)
        except NvmlFault as fault:
            if pci_bus_id is None or fault.code == NOT_FOUND:
                raise  # at its place may be the GPU that it is a slice of
            handle = ask(nvml, "nvmlDeviceGetHandleByPciBusId", pci_bus_id)
    found = str(ask(nvml, "nvmlDeviceGetUUID", handle))
    if uuid is not None and _bare(found) != _bare(uuid):
        raise NvmlFault(NOT_FOUND, f"NVML found GPU {found}, expected {uuid}")
    return Gpu(nvml, handle, found, _sliced(nvml, handle))


def _bare(uuid: str) -> str:
    return uuid.removeprefix("GPU-").removeprefix("MIG-")


def _sliced(nvml: Any, handle: Any) -> bool:
    """Whether it is a slice, or a GPU cut into slices; NvmlFault if that cannot be told."""
    for function in ("nvmlDeviceIsMigDeviceHandle", "nvmlDeviceGetMigMode"):
        try:
            answer = ask(nvml, function, handle)
        except NvmlFault as fault:
            if fault.code not in (NOT_SUPPORTED, FUNCTION_NOT_FOUND):
                raise
            continue  # a GPU without MIG, or a driver from before it
        current = answer[0] if isinstance(answer, list) else getattr(answer, "value", answer)
        if current:
            return True
    return False


def list_gpus(nvml: Any) -> tuple[Listed, ...]:
    """All GPUs that NVML lists, in its order; NvmlFault if it cannot."""
    count = int(ask(nvml, "nvmlDeviceGetCount"))
    return tuple(_listed(nvml, ask(nvml, "nvmlDeviceGetHandleByIndex", i)) for i in range(count))


def _listed(nvml: Any, handle: Any) -> Listed:
    slices = tuple(_slices(nvml, handle))
    return Listed(
        uuid=str(ask(nvml, "nvmlDeviceGetUUID", handle)),
        pci_bus_id=str(ask(nvml, "nvmlDeviceGetPciInfo", handle).busId),
        name=str(ask(nvml, "nvmlDeviceGetName", handle)),
        slices=slices,
        mig=_sliced(nvml, handle),
    )


def _slices(nvml: Any, handle: Any) -> Sequence[str]:
    found: list[str] = []
    try:
        for i in range(int(ask(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle))):
            part = ask(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, i)
            found.append(str(ask(nvml, "nvmlDeviceGetUUID", part)))
    except NvmlFault as fault:
        if fault.code not in (NOT_FOUND, NOT_SUPPORTED):
            raise
    return found
