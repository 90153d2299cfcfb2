"""The two halves of a static cost, each for a process of its own: compiled, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from traincost_kernels.static.binary import Binary
from traincost_kernels.static.call import Call
from traincost_kernels.static.counting import Place, Totals, counting
from traincost_kernels.static.ptx import Site
from traincost_kernels.static.subject import Subject

ANY_CARD = "sm_90"  # for a peer's launches of the shape that is compiled, while counting


@dataclass(frozen=True)
class Counted:
    """What one launch moves: in all at the shape that is counted, by site at the one compiled."""

    total: Totals  # loads and stores
    declared_bytes: int | None
    loaded_at: Mapping[Site, float]  # bytes moved
    stored_at: Mapping[Site, float]


@dataclass(frozen=True)
class Counts:
    """The launches of one phase, counted, and what follows for the shape that is compiled."""

    launches: tuple[Counted, ...]
    moved_bytes_at_size: float
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
    """Every launch of every phase counted over a few rows. The interpreter must be on.

    What is moved at the shape that is compiled follows: bytes of an argument grow as it does, those
    of x with the rows, those of partial sums with the programs, those of a weight not at all. What
    our launchers declare there is exact, and taken where their declaration is borne out here.

    Raises:
        LaunchesDifferError: The two shapes have different launches.
    """
    at_size = subject.calls(subject.n_rows, "meta", ANY_CARD)
    counts: dict[str, Counts] = {}
    for phase, calls in subject.calls(subject.counted_rows, "cpu").items():
        names = [[c.kernel.__name__ for c in of_shape] for of_shape in (calls, at_size[phase])]
        if names[0] != names[1]:
            raise LaunchesDifferError(
                f"{subject.kernel} {phase}: {names[1]} at {subject.n_rows} rows, {names[0]} at "
                f"{subject.counted_rows}; expected the same kernels, so that a count tells of both"
            )
        launches = tuple(map(_count, calls, at_size[phase]))
        moved = sum(sum(c.loaded_at.values()) + sum(c.stored_at.values()) for c in launches)
        declared = [call.declared_bytes for call in at_size[phase] if call.declared_bytes]
        if declared and all(c.declared_bytes == c.total.moved_bytes for c in launches):
            moved = float(sum(declared))
        counts[phase] = Counts(launches, moved, subject.least_bytes_per_element(phase))
    return counts


class LaunchesDifferError(RuntimeError):
    """Other kernels run over a few rows than over many."""


def _count(call: Call, at_size: Call) -> Counted:
    with counting(call.values) as traffic:
        call.kernel[call.grid](*call.arguments, **call.options)
    growth = [_growth(a, b) for a, b in zip(call.values, at_size.values, strict=True)]
    return Counted(
        traffic.loads.totals() + traffic.stores.totals(),
        call.declared_bytes,
        _at_size(traffic.loads.moved_at(), growth),
        _at_size(traffic.stores.moved_at(), growth),
    )


def _growth(counted: object, compiled: object) -> float:
    """How many times larger an argument is at the shape that is compiled."""
    if isinstance(counted, Tensor) and isinstance(compiled, Tensor) and counted.numel():
        return compiled.numel() / counted.numel()
    return 1.0


def _at_size(moved: Mapping[Place, int], growth: Sequence[float]) -> dict[Site, float]:
    grown: dict[Site, float] = {}
    for place, n_bytes in moved.items():
        times = 1.0 if place.argument is None else growth[place.argument]
        grown[place.site] = grown.get(place.site, 0.0) + n_bytes * times
    return grown
