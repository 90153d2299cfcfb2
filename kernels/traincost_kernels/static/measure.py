"""The two halves of a static cost, each for a process of its own: compiled, and counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from traincost_kernels.static.binary import Binary
from traincost_kernels.static.call import Call
from traincost_kernels.static.counting import Totals, counting
from traincost_kernels.static.ptx import Site
from traincost_kernels.static.subject import Subject


@dataclass(frozen=True)
class Counted:
    """What one launch moved in the interpreter, at the shape that is counted."""

    total: Totals  # loads and stores
    declared_bytes: int | None
    loaded_at: Mapping[Site, int]  # bytes moved
    stored_at: Mapping[Site, int]


@dataclass(frozen=True)
class Counts:
    """The launches of one phase, counted, and what follows for the shape that is compiled."""

    launches: tuple[Counted, ...]
    moved_bytes_at_size: int
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
    """Every launch of every phase counted. The interpreter must be on.

    What our launches move at the compiled shape is what their launchers declare there; that the
    declaration is right is seen at the counted shape, and if it is not, the count is extended. A
    peer declares nothing: its count is extended from two numbers of rows, along the line through
    them, which is exact as long as every row costs the same.
    """
    rows = subject.counted_rows
    counted = {phase: _count(calls) for phase, calls in subject.calls(rows, "cpu").items()}
    ours = subject.impl == "triton"
    declared = subject.calls(subject.n_rows, "meta") if ours else {}
    less = max(1, rows - 2)
    fewer: dict[str, tuple[Counted, ...]] | None = None
    counts: dict[str, Counts] = {}
    for phase, launches in counted.items():
        if ours and all(c.declared_bytes == c.total.moved_bytes for c in launches):
            at_size = sum(call.declared_bytes or 0 for call in declared[phase])
        else:
            if fewer is None:
                fewer = {p: _count(calls) for p, calls in subject.calls(less, "cpu").items()}
            a, b = (less, _moved(fewer[phase])), (rows, _moved(launches))
            at_size = _extended(a, b, subject.n_rows)
        counts[phase] = Counts(launches, at_size, subject.least_bytes_per_element(phase))
    return counts


def _count(calls: Iterable[Call]) -> tuple[Counted, ...]:
    counted: list[Counted] = []
    for call in calls:
        with counting() as traffic:
            call.kernel[call.grid](*call.arguments, **call.options)
        loads, stores = traffic.loads, traffic.stores
        counted.append(
            Counted(
                loads.totals() + stores.totals(),
                call.declared_bytes,
                loads.moved_at(),
                stores.moved_at(),
            )
        )
    return tuple(counted)


def _moved(launches: Iterable[Counted]) -> int:
    return sum(launch.total.moved_bytes for launch in launches)


def _extended(a: tuple[int, int], b: tuple[int, int], n_rows: int) -> int:
    """Bytes at `n_rows` on the line through two (rows, bytes)."""
    return round(b[1] + (n_rows - b[0]) * (b[1] - a[1]) / (b[0] - a[0]))
