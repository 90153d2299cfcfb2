"""The two halves of a static cost, each for a process of its own: compiled, and counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from traincost_kernels.interpreter import naming_versions
from traincost_kernels.static.binary import Binary
from traincost_kernels.static.call import Call
from traincost_kernels.static.counting import Place, Totals, counting
from traincost_kernels.static.source import Origin
from traincost_kernels.static.subject import ANY_CARD, LaunchesDifferError, Subject


@dataclass(frozen=True)
class Counted:
    """What one launch moved at the shape that is counted."""

    total: Totals  # loads and stores
    declared_bytes: int | None


@dataclass(frozen=True)
class Grown:
    """What one launch moves at the shape that is compiled, by origin: bytes."""

    loaded_at: Mapping[Origin, float]
    stored_at: Mapping[Origin, float]


@dataclass(frozen=True)
class Counts:
    """The launches of one phase, counted, and what follows for the shape that is compiled."""

    counted: tuple[Counted, ...]
    counted_elements: int
    compiled: tuple[Grown, ...]
    moved_bytes: float  # at the shape that is compiled
    least_bytes_per_element: float


@dataclass(frozen=True)
class Failure:
    """Why a request has no answer."""

    reason: str
    unavailable: bool  # by what is installed, not by a fault
    details: str


def compile_subject(subject: Subject, arch: str) -> Mapping[str, tuple[Binary, ...]]:
    """Every launch of every phase compiled for `arch`. The interpreter must be off."""
    from traincost_kernels.static.compile import as_meta, compile_call

    return {
        phase: tuple(
            compile_call(
                call.kernel,
                tuple(as_meta(a) for a in call.arguments),
                {name: as_meta(value) for name, value in call.options.items()},
                arch,
            )
            for call in calls
        )
        for phase, calls in subject.calls(subject.n_rows, "meta", arch).items()
    }


def count_subject(subject: Subject) -> Mapping[str, Counts]:
    """Every launch of every phase counted over a small shape. The interpreter must be on.

    What is moved at the shape that is compiled follows: bytes of an argument grow as it does, those
    of x with the rows, those of partial sums with the programs, those of a weight not at all. What
    our launchers declare there is exact, and taken where their declaration is borne out here.

    Raises:
        LaunchesDifferError: Over a few rows run other kernels than over many.
    """
    at_size = subject.calls(subject.n_rows, "meta", ANY_CARD)
    counts: dict[str, Counts] = {}
    for phase, calls in subject.counted_calls().items():
        moves = [_count(call) for call in calls]
        counted = tuple(
            Counted(moved.total, call.declared_bytes)
            for call, moved in zip(calls, moves, strict=True)
        )
        grown: list[Grown] = []
        for i, call in enumerate(at_size[phase]):
            j = _counterpart(i, call, calls)
            grown.append(_grown(calls[j], moves[j], call))
        moved = sum(sum(g.loaded_at.values()) + sum(g.stored_at.values()) for g in grown)
        declared = [call.declared_bytes for call in at_size[phase] if call.declared_bytes]
        if declared and all(c.declared_bytes == c.total.moved_bytes for c in counted):
            moved = float(sum(declared))
        least = subject.least_bytes_per_element(phase)
        elements = math.prod(subject.counted_shape)
        counts[phase] = Counts(counted, elements, tuple(grown), moved, least)
    return counts


def _counterpart(i: int, call: Call, counted: Sequence[Call]) -> int:
    """Which counted launch is of the kernel of `call`, the i-th: with its constants, or by name.

    A peer that chooses its constants by the card has others on a CPU; its addresses are the same.
    """
    same = [j for j, c in enumerate(counted) if c.compiled_as == call.compiled_as]
    same = same or [j for j, c in enumerate(counted) if c.name == call.name]
    if not same:
        raise LaunchesDifferError(
            f"{call.name} is launched over many rows and not over a few; expected the same kernels"
        )
    return i if i in same else same[0]


@dataclass(frozen=True)
class _Moved:
    """What one launch moved."""

    total: Totals
    loaded_at: Mapping[Place, int]
    stored_at: Mapping[Place, int]


_counted: dict[object, _Moved] = {}


def _count(call: Call) -> _Moved:
    """Count one launch, or remember an equal one: sums of columns end many an op's backward."""
    key = _key(call)
    if key is None:
        return _run_and_count(call)
    if key not in _counted:
        _counted[key] = _run_and_count(call)
    return _counted[key]


def _key(call: Call) -> object | None:
    """Equal where all that a launch's addresses depend on is; None where that is data."""
    if any(isinstance(v, Tensor) and not v.is_floating_point() for v in call.values):
        return None
    values = [
        (v.shape, v.stride(), v.dtype) if isinstance(v, Tensor) else repr(v) for v in call.values
    ]
    return id(call.kernel), call.compiled_as, repr(call.grid), *values


def _run_and_count(call: Call) -> _Moved:
    """Count on zeros: what a launch would have left there could be anything.

    A kernel may ask for more where it meets a NaN.
    """
    for value in call.values:
        if isinstance(value, Tensor) and value.is_floating_point():
            with torch.no_grad():
                value.zero_()
    with naming_versions(call.name), counting(call.values) as traffic:
        call.kernel[call.grid](*call.arguments, **call.options)
    total = traffic.loads.totals() + traffic.stores.totals()
    return _Moved(total, traffic.loads.moved_at(), traffic.stores.moved_at())


def _grown(counted: Call, moved: _Moved, compiled: Call) -> Grown:
    growth = [_growth(a, b) for a, b in zip(counted.values, compiled.values, strict=True)]
    return Grown(_at_size(moved.loaded_at, growth), _at_size(moved.stored_at, growth))


def _growth(counted: object, compiled: object) -> float:
    """How many times larger an argument is at the shape that is compiled."""
    if isinstance(counted, Tensor) and isinstance(compiled, Tensor) and counted.numel():
        return compiled.numel() / counted.numel()
    return 1.0


def _at_size(moved: Mapping[Place, int], growth: Sequence[float]) -> dict[Origin, float]:
    grown: dict[Origin, float] = {}
    for place, n_bytes in moved.items():
        times = 1.0 if place.argument is None else growth[place.argument]
        grown[place.origin] = grown.get(place.origin, 0.0) + n_bytes * times
    return grown
