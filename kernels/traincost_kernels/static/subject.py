"""What is compiled and counted: one op of one implementation, in one dtype and width of rows."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from traincost_kernels.entry import KernelEntry
from traincost_kernels.static.call import Phases, call_of
from traincost_kernels.static.peers import peer_calls

CATALOG = "traincost_kernels.catalog"
PHASES = ("forward", "backward")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
N_ROWS = 4096  # of the launches that are compiled: as a training step has; takes no memory
COUNTED_ROWS = 4  # of the launches that are counted: programs are run one by one


@dataclass(frozen=True)
class Subject:
    """Launches to look at. `catalog` names a module with a `CATALOG` of entries."""

    kernel: str
    dtype: str
    n_cols: int
    impl: str = "triton"
    catalog: str = CATALOG

    @property
    def n_rows(self) -> int:
        """Rows that are compiled for: odd where `n_cols` is, so that the number of elements is."""
        return N_ROWS - self.n_cols % 2

    @property
    def counted_rows(self) -> int:
        """Rows that are counted, odd where `n_cols` is; fewer of long ones."""
        if self.n_cols % 2:
            return COUNTED_ROWS - 1
        return COUNTED_ROWS if self.n_cols <= 2 * N_ROWS else 2

    @property
    def counted_as(self) -> Subject:
        """The subject whose count is this one's: addresses depend on the width of an element alone.

        The interpreter has no bf16 scalars, and is faster in fp16.
        """
        return replace(self, dtype="fp16") if self.dtype == "bf16" else self

    def calls(self, n_rows: int, device: str, arch: str | None = None) -> Phases:
        """The launches on inputs of `n_rows` rows; `arch` is the card that a peer asks after."""
        entry = find_entry(self.catalog, self.kernel)
        dtype = DTYPES[self.dtype]
        inputs = entry.inputs(n_rows, self.n_cols, dtype, device)
        if self.impl == "liger":
            return peer_calls(entry, inputs, arch)
        return {
            phase: tuple(call_of(launch) for launch in launches if 0 not in launch.grid)
            for phase, launches in entry.launches(inputs).items()
        }

    def least_bytes_per_element(self, phase: str) -> float:
        """The least that any kernel of this op can move, by the catalog."""
        entry = find_entry(self.catalog, self.kernel)
        least = {
            "forward": entry.bytes_per_element_forward,
            "backward": entry.bytes_per_element_backward,
        }
        return least[phase](DTYPES[self.dtype], self.n_cols)


def find_entry(catalog: str, name: str) -> KernelEntry:
    """The entry of this name.

    Raises:
        LookupError: The catalog has none.
    """
    entries: Sequence[KernelEntry] = importlib.import_module(catalog).CATALOG
    for entry in entries:
        if entry.name == name:
            return entry
    raise LookupError(f"kernel {name!r}: expected one of {', '.join(e.name for e in entries)}")
