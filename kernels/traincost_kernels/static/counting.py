"""Bytes that a kernel really moves, counted access by access in triton's interpreter.

The interpreter runs the grid program by program, and each load and store hands over its addresses
and its mask. Counted are the bytes of the lanes that the mask lets through:

- `requested`: every lane of every access of every program.
- `moved`: of each address the most that any one program requested it. A program that reads its row
  twice has read it twice: a row that needs two passes is larger than the registers it could have
  stayed in. A weight that every program reads counts once: it is small, and the programs after the
  first find it in the L2 cache. Lanes of one access that share an address, as a bias shorter than
  the tile, fetch it once. So `moved` is what has to come from and go to memory.
- `distinct`: every address once. No kernel can move less.

Atomic operations count as a load and a store. Exact and the same in every run: addresses and masks
are integers. Counts are kept by origin (see `source.py`), which tells how wide their accesses are,
and by argument, whose size tells how they grow.

Needs a process in which `TRITON_INTERPRET` was set before triton was imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal
from unittest import mock

import numpy as np
import numpy.typing as npt
import triton.language as tl
from torch import Tensor
from triton import knobs
from triton.runtime import interpreter

from traincost_kernels.static.source import Origin, Statement, statement_at

Direction = Literal["load", "store"]
Addresses = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """Where in a kernel an access stands, and which of its arguments it is to; None: no tensor."""

    origin: Origin
    argument: int | None


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
class Tally:
    """How often each address was requested, by the program that requested it most often."""

    width_bytes: int  # of an element
    _running: list[Addresses] = field(default_factory=list[Addresses])
    _ended: list[tuple[Addresses, Counts]] = field(default_factory=list[tuple[Addresses, Counts]])

    def add(self, addresses: Addresses) -> None:
        """Count one access of the program that is running; lanes of one address share a fetch."""
        self._running.append(np.unique(addresses))

    def end_program(self) -> None:
        """Another program begins, or the launch ends."""
        if self._running:
            self._ended.append(np.unique(np.concatenate(self._running), return_counts=True))
            self._running.clear()

    def totals(self) -> tuple[int, int]:
        """Bytes moved, and bytes of distinct addresses."""
        most = _maxima(
            np.concatenate([addresses for addresses, _ in self._ended]),
            np.concatenate([counts for _, counts in self._ended]),
        )
        return self.width_bytes * int(most.sum()), self.width_bytes * most.size


@dataclass
class Meter:
    """Counts of one direction, over one launch."""

    requested_bytes: int = 0
    _by_width: dict[int, Tally] = field(default_factory=dict[int, Tally])
    _by_place: dict[Place, Tally] = field(default_factory=dict[Place, Tally])

    def add(self, addresses: Addresses, width_bytes: int, place: Place) -> None:
        """Count one access of the program that is running."""
        self.requested_bytes += addresses.size * width_bytes
        self._by_width.setdefault(width_bytes, Tally(width_bytes)).add(addresses)
        self._by_place.setdefault(place, Tally(width_bytes)).add(addresses)

    def end_program(self) -> None:
        """Another program begins, or the launch ends."""
        for tally in (*self._by_width.values(), *self._by_place.values()):
            tally.end_program()

    def totals(self) -> Totals:
        """The bytes, once the launch has ended."""
        totals = [tally.totals() for tally in self._by_width.values()]
        return Totals(self.requested_bytes, sum(m for m, _ in totals), sum(d for _, d in totals))

    def moved_at(self) -> dict[Place, int]:
        """Bytes moved at each place; an address that two places request counts at both."""
        return {place: tally.totals()[0] for place, tally in self._by_place.items()}


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
def counting(arguments: Sequence[object]) -> Generator[Traffic]:
    """Count what the one launch inside moves, which has these arguments.

    Raises:
        InterpreterIsOffError: `TRITON_INTERPRET` was not set when triton was imported.
    """
    if not knobs.runtime.interpret:
        raise InterpreterIsOffError(
            "TRITON_INTERPRET is not set; expected it to be 1 before triton is imported, so that "
            "accesses can be counted"
        )
    traffic = Traffic()
    ranges = _address_ranges(arguments)
    builder: Any = interpreter.interpreter_builder

    def counted(method: Callable[..., Any], *directions: Direction) -> Callable[..., Any]:
        def access(*arguments: Any) -> Any:
            pointers, mask = _pointers_and_mask(method.__name__, arguments)
            width_bytes = max(1, pointers.get_element_ty().primitive_bitwidth // 8)
            addresses = pointers.data[mask].ravel() if mask is not None else pointers.data.ravel()
            if addresses.size:
                place = Place(_origin(sys._getframe(1)), _argument_at(int(addresses[0]), ranges))
                for direction in directions:
                    meter = traffic.loads if direction == "load" else traffic.stores
                    meter.add(np.asarray(addresses, dtype=np.uint64), width_bytes, place)
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
        with mock.patch.object(interpreter, "_patch_lang", _patching_once()):
            yield traffic
    finally:
        for name in replaced:
            delattr(builder, name)
    traffic.end_program()


def _address_ranges(arguments: Sequence[object]) -> list[tuple[int, range]]:
    """Position and addresses of each tensor among the arguments."""
    return [
        (i, range(a.data_ptr(), a.data_ptr() + a.untyped_storage().nbytes()))
        for i, a in enumerate(arguments)
        if isinstance(a, Tensor)
    ]


def _argument_at(address: int, ranges: Sequence[tuple[int, range]]) -> int | None:
    """The argument that an address belongs to."""
    return next((i for i, addresses in ranges if address in addresses), None)


def _patching_once() -> Callable[[Any], Any]:
    """The interpreter's patching of `triton.language`, at the first call of a launch alone.

    It does so again at each call of a jit function from another, to no effect, and that takes half
    of the time.
    """
    patch = interpreter._patch_lang
    patched: set[int] = set()

    def patch_once(function: Any) -> Any:
        modules = {id(m) for m in function.__globals__.values() if m is tl or m is tl.core}
        if modules <= patched:
            return None  # the caller of a nested function has no use for it
        patched.update(modules)
        return patch(function)

    return patch_once


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


def _origin(frame: FrameType | None) -> Origin:
    """Statements of the kernel, innermost first: the frames between triton's own."""
    origin: list[Statement] = []
    while frame is not None:
        code = frame.f_code
        if code is interpreter.GridExecutor.__call__.__code__:
            break
        if not code.co_filename.startswith(_TRITON):
            origin.append(statement_at(code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(origin)
