"""What is compiled and counted: one op of one implementation, in one dtype and width of rows."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from traincost_kernels.entry import KernelEntry
from traincost_kernels.static.call import Phases, call_of
from traincost_kernels.static.peers import peer_calls

CATALOG = "traincost_kernels.catalog"
PHASES = ("forward", "backward")
ANY_CARD = "sm_90"  # for a peer's launches, while counting
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
N_ROWS = 4096  # of the launches that are compiled: as a training step has; takes no memory
COUNTED_ROWS = (4, 8, 16, 32, 64)  # and one less where the number of columns is odd
SHORTER = (16, 8, 4, 2, 1)
"""The shape that is counted, where programs are run one by one: the smallest with the kernels of
the one that is compiled, so many rows, and as long or so many times shorter: long enough for whole
tiles, and a multiple of 16 where the compiled length is one."""
SHORTEST = 4096


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

    @cached_property
    def counted_shape(self) -> tuple[int, int]:
        """(rows, columns) that are counted.

        Raises:
            LaunchesDifferError: None of the candidates has the kernels of the compiled shape.
        """
        n_cols = self.n_cols
        shorter = [by for by in SHORTER if n_cols % (16 * by) == 0 and n_cols // by >= SHORTEST]
        lengths = [*(n_cols // by for by in shorter), n_cols]
        shapes = [(rows - n_cols % 2, n_cols) for n_cols in lengths for rows in COUNTED_ROWS]
        wanted = self.kernels(self.n_rows)
        for rows, n_cols in shapes:
            if replace(self, n_cols=n_cols).kernels(rows) == wanted:
                return rows, n_cols
        raise LaunchesDifferError(
            f"{self.kernel} {self.dtype} {(self.n_rows, self.n_cols)}: other kernels than in "
            f"{', '.join(map(str, shapes))}; expected the same, so that a count tells of both"
        )

    def counted_calls(self) -> Phases:
        """The launches that are counted, on tensors in memory."""
        rows, n_cols = self.counted_shape
        return replace(self, n_cols=n_cols).calls(rows, "cpu")

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
        if "target" in inputs and device != "meta":  # a row that is left out would not be counted
            inputs = {**inputs, "target": inputs["target"].clamp(min=0)}
        return {
            phase: tuple(call_of(launch) for launch in launches if 0 not in launch.grid)
            for phase, launches in entry.launches(inputs).items()
        }

    def kernels(self, n_rows: int) -> set[tuple[str, str]]:
        """What is compiled for so many rows, however often each is launched.

        Of a peer the names alone: it may have the shape among its constants.
        """
        ours = self.impl == "triton"
        phases = self.calls(n_rows, "meta", ANY_CARD)
        return {
            (phase, call.compiled_as if ours else call.name)
            for phase, calls in phases.items()
            for call in calls
        }

    def least_bytes_per_element(self, phase: str) -> float:
        """The least that any kernel of this op can move, by the catalog."""
        entry = find_entry(self.catalog, self.kernel)
        least = {
            "forward": entry.bytes_per_element_forward,
            "backward": entry.bytes_per_element_backward,
        }
        return least[phase](DTYPES[self.dtype], self.n_cols)


class LaunchesDifferError(RuntimeError):
    """Other kernels run over a few rows than over many."""


def find_entry(catalog: str, name: str) -> KernelEntry:
    """The entry of this name.

    Raises:
        LookupError: The catalog has none.
    """
    found = entries(catalog)
    if name not in found:
        raise LookupError(f"kernel {name!r}: expected one of {', '.join(found)}")
    return found[name]


def entries(catalog: str = CATALOG) -> dict[str, KernelEntry]:
    """All entries by name, those that write over their input last."""
    module = importlib.import_module(catalog)
    both: Sequence[KernelEntry] = (*module.CATALOG, *getattr(module, "IN_PLACE", ()))
    return {entry.name: entry for entry in both}
