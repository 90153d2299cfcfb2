"""Bytes that a kernel really moves, counted access by access in triton's interpreter.

The interpreter runs the grid program by program, and each load and store hands over its addresses
and its mask. Counted are the bytes of the lanes that the mask lets through:

- `requested`: every lane of every access of every program.
- `moved`: of each address the most that any one program requested it. A program that reads its row
  twice has read it twice: a row that needs two passes is larger than the registers it could have
  stayed in. A weight that every program reads counts once: it is small, and the programs after the
  first find it in the L2 cache. So `moved` is what has to come from and go to memory.
- `distinct`: every address once. No kernel can move less.

Atomic operations count as a load and a store. Exact and the same in every run: addresses and masks
are integers. Counts are kept per site (see `ptx.py`), which tells by how wide an access they go.

Needs a process in which `TRITON_INTERPRET` was set before triton was imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from triton import knobs
from triton.runtime import interpreter

from traincost_kernels.static.ptx import Site

Direction = Literal["load", "store"]
Addresses = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Totals:
    """Bytes of one direction, or of both."""

    requested_bytes: int
    moved_bytes: int
    distinct_bytes: int

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.requested_bytes + other.requested_bytes,
            self.moved_bytes + other.moved_bytes,
            self.distinct_bytes + other.distinct_bytes,
        )


class InterpreterIsOffError(RuntimeError):
    """Without the interpreter there is nothing to count in."""


@dataclass
class Meter:
    """Counts of one direction, over one launch."""

    requested_bytes: int = 0
    requested_at: dict[Site, int] = field(default_factory=dict[Site, int])  # bytes
    _running: dict[int, list[Addresses]] = field(default_factory=dict[int, list[Addresses]])
    _ended: dict[int, list[tuple[Addresses, Counts]]] = field(
        default_factory=dict[int, list[tuple[Addresses, Counts]]]
    )  # by width of an element; of each program its addresses and how often it requested each

    def add(self, addresses: Addresses, width_bytes: int, site: Site) -> None:
        """Count one access of the program that is running."""
        n_bytes = addresses.size * width_bytes
        self.requested_bytes += n_bytes
        self.requested_at[site] = self.requested_at.get(site, 0) + n_bytes
        self._running.setdefault(width_bytes, []).append(addresses)

    def end_program(self) -> None:
        """Count how often the program that ran requested each address."""
        for width, touched in self._running.items():
            counts = np.unique(np.concatenate(touched), return_counts=True)
            self._ended.setdefault(width, []).append(counts)
        self._running.clear()

    def totals(self) -> Totals:
        """The bytes, once the launch has ended."""
        moved = distinct = 0
        for width, programs in self._ended.items():
            most = _maxima(
                np.concatenate([addresses for addresses, _ in programs]),
                np.concatenate([counts for _, counts in programs]),
            )
            moved += width * int(most.sum())
            distinct += width * most.size
        return Totals(self.requested_bytes, moved, distinct)


def _maxima(addresses: Addresses, counts: Counts) -> Counts:
    """The largest count of each address."""
    order = np.argsort(addresses, kind="stable")
    addresses, counts = addresses[order], counts[order]
    starts = np.flatnonzero(np.r_[True, addresses[1:] != addresses[:-1]])
    return np.maximum.reduceat(counts, starts)


@dataclass
class Traffic:
    """What one launch or several moved."""

    loads: Meter = field(default_factory=Meter)
    stores: Meter = field(default_factory=Meter)

    def end_program(self) -> None:
        """Another program begins, or the launch ends."""
        self.loads.end_program()
        self.stores.end_program()


@contextmanager
def counting() -> Iterator[Traffic]:
    """Count what the one launch inside moves.

    Raises:
        InterpreterIsOffError: `TRITON_INTERPRET` was not set when triton was imported.
    """
    if not knobs.runtime.interpret:
        raise InterpreterIsOffError(
            "TRITON_INTERPRET is not set; expected it to be 1 before triton is imported, so that "
            "accesses can be counted"
        )
    traffic = Traffic()
    builder: Any = interpreter.interpreter_builder

    def counted(method: Callable[..., Any], *directions: Direction) -> Callable[..., Any]:
        def access(*arguments: Any) -> Any:
            pointers, mask = _pointers_and_mask(method.__name__, arguments)
            width_bytes = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
            addresses = pointers.data[mask].ravel() if mask is not None else pointers.data.ravel()
            site = _site(sys._getframe(1))
            for direction in directions:
                meter = traffic.loads if direction == "load" else traffic.stores
                meter.add(np.asarray(addresses, dtype=np.uint64), width_bytes, site)
            return method(*arguments)

        return access

    def next_program(*index: int) -> None:
        traffic.end_program()
        type(builder).set_grid_idx(builder, *index)

    replaced: dict[str, Callable[..., Any]] = {
        "create_masked_load": counted(builder.create_masked_load, "load"),
        "create_masked_store": counted(builder.create_masked_store, "store"),
        "create_atomic_rmw": counted(builder.create_atomic_rmw, "load", "store"),
        "create_atomic_cas": counted(builder.create_atomic_cas, "load", "store"),
        "set_grid_idx": next_program,
    }
    vars(builder).update(replaced)
    try:
        yield traffic
    finally:
        for name in replaced:
            delattr(builder, name)
    traffic.end_program()


def _pointers_and_mask(method: str, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """The handle of the pointers and the mask among the arguments of a method of the builder."""
    match method:
        case "create_masked_load":
            pointers, mask = arguments[0], arguments[1]
        case "create_masked_store":
            pointers, mask = arguments[0], arguments[2]
        case "create_atomic_rmw":
            pointers, mask = arguments[1], arguments[3]
        case _:
            pointers, mask = arguments[0], None
    if mask is None:
        return pointers, None
    return pointers, np.broadcast_to(np.asarray(mask.data, dtype=bool), pointers.data.shape)


_TRITON = str(Path(interpreter.__file__).parents[1]) + os.sep


def _site(frame: FrameType | None) -> Site:
    """Lines of the kernel, innermost first: the frames between triton's own."""
    site: list[tuple[str, int]] = []
    while frame is not None:
        code = frame.f_code
        if code is interpreter.GridExecutor.__call__.__code__:
            break
        if not code.co_filename.startswith(_TRITON):
            site.append((Path(code.co_filename).name, frame.f_lineno))
        frame = frame.f_back
    return tuple(site)
