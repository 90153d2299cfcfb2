"""The static cost of a phase: its launches' binaries and counts put together.

Registers, occupancy: of the launch that is worst off. Spills, instructions: of all launches. The
width of loads and stores: that by which most bytes go, each line's bytes (counted) by the widths of
its instructions (compiled); so it is the width of the main path, and a tail does not hide it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from traincost_kernels.static.binary import Binary
from traincost_kernels.static.measure import Counts
from traincost_kernels.static.source import Origin, stands_at
from traincost_kernels.static.subject import Subject

FULL_WIDTH_BYTES = 16
"""The widest load and store of a thread before Blackwell."""
TOLERANCE = 0.005
"""Of a declaration: cross-entropy reads the logit of a row's target twice, 2 bytes of 8,192."""


@dataclass(frozen=True)
class Widths:
    """Of the global loads, or stores, of a phase; all None where it has none."""

    main_bytes: int | None  # by which most bytes go; None where nothing was counted
    narrowest_bytes: int | None
    widest_bytes: int | None
    full_share: float | None  # of the bytes, by accesses of 16 bytes or more


@dataclass(frozen=True)
class Moved:
    """Bytes that a phase moves, an element."""

    bytes_per_element: float  # at the compiled shape
    least_per_element: float  # by the catalog
    requested_per_element: float  # at the counted shape, with what programs find in the cache


@dataclass(frozen=True)
class StaticCost:
    """One phase of one op, dtype and target."""

    subject: Subject
    phase: str
    arch: str
    binaries: tuple[Binary, ...]
    loads: Widths
    stores: Widths
    moved: Moved | None
    miscounted: str | None  # how the launcher's declaration differs from what was counted
    not_counted: str | None  # why nothing is known of bytes

    @property
    def registers(self) -> int:
        """Of a thread, in the kernel that takes most."""
        return max(b.resources.registers for b in self.binaries)

    @property
    def spill_bytes(self) -> int:
        """Of a thread, in all kernels."""
        return sum(b.resources.spill_bytes for b in self.binaries)

    @property
    def shared_bytes(self) -> int:
        """Of a block, in the kernel that takes most."""
        return max(b.shared_bytes for b in self.binaries)

    @property
    def occupancy(self) -> float:
        """Of the kernel that reaches least."""
        return min(b.occupancy for b in self.binaries)

    @property
    def ptx_instructions(self) -> int:
        """Of all kernels."""
        return sum(b.ptx.instructions for b in self.binaries)

    @property
    def atomics(self) -> int:
        """Atomic instructions on global memory, of all kernels."""
        return sum(a.kind == "atomic" for b in self.binaries for a in b.ptx.accesses)


def static_cost(
    subject: Subject,
    phase: str,
    arch: str,
    binaries: Sequence[Binary],
    counts: Counts | None,
    not_counted: str | None = None,
) -> StaticCost:
    """Put the halves together; without `counts`, what only they tell is None."""
    launches = () if counts is None else counts.compiled
    return StaticCost(
        subject,
        phase,
        arch,
        tuple(binaries),
        _widths("load", binaries, [launch.loaded_at for launch in launches]),
        _widths("store", binaries, [launch.stored_at for launch in launches]),
        None if counts is None else _moved(subject, counts),
        None if counts is None else _miscounted(counts),
        not_counted,
    )


def _widths(
    kind: Literal["load", "store"],
    binaries: Sequence[Binary],
    counted: Sequence[Mapping[Origin, float]],
) -> Widths:
    accesses = [[a for a in b.ptx.accesses if a.kind == kind] for b in binaries]
    widths = [a.width_bytes for of_one in accesses for a in of_one]
    if not widths:
        return Widths(None, None, None, None)
    bytes_by_width: dict[int, float] = {}
    for of_one, bytes_at in zip(accesses, counted, strict=False):
        for origin, n_bytes in bytes_at.items():
            here = [a.width_bytes for a in of_one if stands_at(a.site, origin)]
            for width in here:  # instructions of one line share its bytes by their widths
                share = n_bytes * width / sum(here)
                bytes_by_width[width] = bytes_by_width.get(width, 0.0) + share
    known = sum(bytes_by_width.values())
    return Widths(
        main_bytes=max(bytes_by_width, key=lambda w: (bytes_by_width[w], w), default=None),
        narrowest_bytes=min(widths),
        widest_bytes=max(widths),
        full_share=_share(bytes_by_width, known) if known else None,
    )


def _share(bytes_by_width: Mapping[int, float], known: float) -> float:
    return sum(n for width, n in bytes_by_width.items() if width >= FULL_WIDTH_BYTES) / known


def _moved(subject: Subject, counts: Counts) -> Moved:
    requested = sum(c.total.requested_bytes for c in counts.counted)
    return Moved(
        bytes_per_element=counts.moved_bytes / (subject.n_rows * subject.n_cols),
        least_per_element=counts.least_bytes_per_element,
        requested_per_element=requested / counts.counted_elements,
    )


def _miscounted(counts: Counts) -> str | None:
    wrong = [
        f"launch {i + 1} declares {c.declared_bytes} bytes and moves {c.total.moved_bytes}"
        for i, c in enumerate(counts.counted)
        if c.declared_bytes is not None
        and abs(c.declared_bytes - c.total.moved_bytes) > TOLERANCE * c.declared_bytes
    ]
    return "; ".join(wrong) or None


def worst(costs: Iterable[StaticCost]) -> int:
    """The most bytes that any of them spills."""
    return max((cost.spill_bytes for cost in costs), default=0)
