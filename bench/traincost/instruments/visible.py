"""Which GPUs CUDA_VISIBLE_DEVICES means, for a process that has no torch to ask.

CUDA reads the text up to the first entry it does not know, and sees no device at all where one is
named twice. Entries are indices (in CUDA's order), UUIDs `GPU-…` or `MIG-…`, also their beginnings
as long as only one fits; the first entry decides which kind is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from traincost.instruments.gpu import Listed

DEVICES, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"


@dataclass(frozen=True)
class Visible:
    """UUIDs in CUDA's order, or none and the reason; `note` also says what was assumed."""

    uuids: tuple[str, ...]
    note: str | None = None


def visible(gpus: Sequence[Listed], env: Mapping[str, str] = os.environ) -> Visible:
    """The GPUs that CUDA shows a process with this environment."""
    text = env.get(DEVICES)
    if text is not None and text.startswith(("GPU-", "MIG-")):
        return _by_uuid(text, gpus)
    indices = None if text is None else _indices(text)
    if indices == ():
        return Visible((), f"{DEVICES}={text!r} shows no GPU")
    if any(gpu.mig for gpu in gpus):
        return Visible((), f"MIG is on: name the slice, {DEVICES}=MIG-…")
    ordered = sorted(gpus, key=lambda gpu: _place(gpu.pci_bus_id))
    by_place = env.get(ORDER) == "PCI_BUS_ID"
    if indices is None:
        indices = tuple(range(len(gpus)))
    elif not by_place and len({gpu.name for gpu in gpus}) > 1:
        return Visible(
            (),
            f"{DEVICES}={text}: CUDA counts GPUs of different models by speed, which NVML does not "
            f"know; set {ORDER}=PCI_BUS_ID, or use UUIDs (nvidia-smi -L)",
        )
    found: list[str] = []
    for i in indices:
        if i >= len(ordered):
            break
        found.append(ordered[i].uuid)
    if not found:
        return Visible((), f"{DEVICES}={text!r}: NVML lists {len(gpus)} GPUs")
    assumed = None if by_place or len(gpus) == 1 or text is None else _assumed(text)
    return Visible(tuple(found), assumed)


def _assumed(text: str) -> str:
    return f"{DEVICES}={text} counted by PCI bus id, as CUDA does for GPUs of one model"


def _indices(text: str) -> tuple[int, ...]:
    """Whole numbers at the start of each entry, up to an entry that has none or is negative."""
    found: list[int] = []
    for entry in text.split(","):
        number = re.match(r"[+-]?[0-9]+", entry.strip())
        if number is None or int(number[0]) < 0:
            break
        if int(number[0]) in found:
            return ()
        found.append(int(number[0]))
    return tuple(found)


def _by_uuid(text: str, gpus: Sequence[Listed]) -> Visible:
    prefix = text[:4]
    known = [u for gpu in gpus for u in (gpu.uuid, *gpu.slices) if u.startswith(prefix)]
    entries = list(takewhile(lambda entry: entry.startswith(prefix), text.split(",")))
    found: list[str] = []
    for entry in entries:
        fitting = [uuid for uuid in known if uuid.startswith(entry)]
        if len(fitting) != 1:
            break
        found += fitting
    if len({*entries}) < len(entries) or len({*found}) < len(found):
        return Visible((), f"{DEVICES}={text}: a GPU is named twice, so none is shown")
    if not found:
        return Visible((), f"{DEVICES}={text}: expected the first entry to fit one GPU")
    return Visible(tuple(found))


def _place(pci_bus_id: str) -> tuple[int, ...]:
    """Sorted as numbers: the domain is written with four digits or with eight."""
    return tuple(int(part, 16) for part in re.split("[:.]", pci_bus_id))
