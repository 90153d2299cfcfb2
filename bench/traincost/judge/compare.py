"""Result frames to comparisons: cases of two or many sides beside each other.

Nothing here is a verdict. Sides may be other machines, and there is no telling which of the things
that differ made a case slower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError
from traincost.data.record import Status
from traincost.judge import matching
from traincost.judge.cases import Cases
from traincost.judge.intervals import Ratios, Typical, ratios
from traincost.judge.lines import (
    METRICS,
    ROOFLINE,
    Line,
    Metric,
    Summary,
    Unmatched,
    interval_sources,
    numbers,
    summaries,
)
from traincost.judge.machines import Fact, Sides, facts_between
from traincost.judge.roofline import MEASURE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison says."""

    sides: Sides
    pairs: Sequence[tuple[int, int]]
    facts: Mapping[tuple[int, int], Sequence[Fact]]
    lines: Sequence[Line]
    summaries: Sequence[Summary]
    unmatched: Sequence[Unmatched]
    speedups: Sequence[Line] = ()
    speedups_across: Sequence[Line] = ()
    costs: Sequence[Line] = ()
    notes: Sequence[str] = ()


def compare(data: Cases, metrics: Sequence[Metric] = METRICS) -> Comparison:
    """Every side against the base of its device, in every metric; nothing derived.

    Raises:
        BadInputError: two sides, and not one case id in common; or `data.base` is no side.
    """
    import numpy as np

    pairs = data.sides.pairs(data.base)
    every_case = np.arange(len(data.names))
    lines: list[list[Line]] = [[] for _ in metrics]
    unmatched: list[Unmatched] = []
    shared = 0
    for pair in pairs:
        both = [data.groups.find(every_case, side) for side in pair]
        alone = _unmatched(data, pair, both)
        shared += int(((both[0] >= 0) & (both[1] >= 0)).sum())
        fits = np.array([case not in alone for case in data.names], dtype=bool)
        fits &= (both[0] >= 0) & (both[1] >= 0)
        unmatched += [u for u in alone.values() if u.reason]
        for i, metric in enumerate(metrics):
            found, refused = _lines(data, metric, pair, both[0][fits], both[1][fits])
            lines[i] += found
            unmatched += refused
    if pairs and not shared:
        raise BadInputError(_nothing_in_common(data, pairs[0]))
    flat = [line for of_metric in lines for line in of_metric]
    return Comparison(
        sides=data.sides,
        pairs=pairs,
        facts={pair: _facts(data, pair) for pair in pairs},
        lines=flat,
        summaries=summaries(flat),
        unmatched=unmatched,
        notes=_notes(data, pairs, metrics),
    )


def _unmatched(data: Cases, pair: tuple[int, int], both: list[Integers]) -> dict[str, Unmatched]:
    """Cases of either side that cannot be compared, with the reason; an empty one is not told."""
    import numpy as np

    base, other = (data.sides.sides[i].name for i in pair)
    found: dict[str, Unmatched] = {}

    def say(case: int, reason: str) -> None:
        name = data.names[case]
        found.setdefault(name, Unmatched(name, base, other, reason))

    for case in np.flatnonzero((both[0] >= 0) & (both[1] < 0)).tolist():
        say(case, f"on {base} only")
    for case in np.flatnonzero((both[0] < 0) & (both[1] >= 0)).tolist():
        say(case, f"on {other} only")
    there = np.flatnonzero((both[0] >= 0) & (both[1] >= 0))
    groups = [g[there] for g in both]
    measured = data.groups.measured[groups[0]] & data.groups.measured[groups[1]]
    for i in np.flatnonzero(~measured).tolist():
        why = [
            _failure(data, int(g[i]), name) for g, name in zip(groups, (base, other), strict=True)
        ]
        say(int(there[i]), "; ".join(filter(None, why)))
    for column in (*matching.WORK, *matching.WORK_NUMBERS):
        for i, how in matching.difference(data.common(column), groups[0], groups[1]).items():
            say(int(there[i]), f"not comparable: {how}")
    return found


def _failure(data: Cases, group: int, side: str) -> str | None:
    if data.groups.measured[group]:
        return None
    counts = data.groups.count(group, [s for s in Status if s != Status.OK])
    return f"{', '.join(counts)} on {side}"


def _lines(
    data: Cases, metric: Metric, pair: tuple[int, int], base: Integers, other: Integers
) -> tuple[list[Line], list[Unmatched]]:
    """A metric of the cases that both sides have and that can be compared at all."""
    import numpy as np

    of = data.metric(metric)
    known = ~np.isnan(of.median[base]) & ~np.isnan(of.median[other])
    base, other = base[known], other[known]
    names = (data.sides.sides[pair[0]].name, data.sides.sides[pair[1]].name)
    refused: dict[int, str] = {}
    for column in metric.same:
        refused |= matching.difference(data.common(column), base, other)
    kept = np.array([i not in refused for i in range(len(base))], dtype=bool)
    unmatched = [
        Unmatched(
            data.names[data.groups.case[base[i]]], *names, f"not comparable: {how}", metric.name
        )
        for i, how in sorted(refused.items())
    ]
    base, other = base[kept], other[kept]
    errors = [_error_rel(data, metric, groups) for groups in (base, other)]
    found = ratios(of.at(base), of.at(other), *errors)
    return lines_of(
        data, metric, names, (base, other), of, found, with_errors=bool(metric.error)
    ), unmatched


def _error_rel(data: Cases, metric: Metric, groups: Integers) -> Floats | None:
    if metric.error is None:
        return None
    bound: Floats = (
        data.typical(metric.error).median[groups] / data.typical(metric.name).median[groups]
    )
    return bound


def lines_of(
    data: Cases,
    metric: Metric,
    names: tuple[str, str],
    groups: tuple[Integers, Integers],
    of: Typical,
    found: Ratios,
    *,
    with_errors: bool = False,
    roles: tuple[str, str] = ("base", "other"),
) -> list[Line]:
    """Arrays over groups as lines; `roles` are what notes call the two."""
    base, other = of.at(groups[0]), of.at(groups[1])
    medians = zip(numbers(base.median), numbers(other.median), strict=True)
    ends = zip(numbers(found.ratio), numbers(found.low), numbers(found.high), strict=True)
    return [
        Line(
            case_id=name,
            metric=metric.name,
            base=names[0],
            other=names[1],
            base_value=values[0],
            other_value=values[1],
            ratio=ratio[0],
            low=ratio[1],
            high=ratio[2],
            interval=source,
            base_runs=runs[0],
            other_runs=runs[1],
            note=doubt,
        )
        for name, values, ratio, source, runs, doubt in zip(
            (data.names[case] for case in data.groups.case[groups[0]].tolist()),
            medians,
            ends,
            interval_sources(base, other, found, with_errors=with_errors),
            zip(base.runs.tolist(), other.runs.tolist(), strict=True),
            data.doubts(*groups, roles),
            strict=True,
        )
    ]


def _facts(data: Cases, pair: tuple[int, int]) -> list[Fact]:
    base, other = (data.peaks[i] for i in pair)
    more = {
        f"measured peak, {name}": (base.flops_per_s[name], other.flops_per_s[name])
        for name in base.flops_per_s
        if name in other.flops_per_s
    }
    if base.bytes_per_s and other.bytes_per_s:
        more["measured peak, memory"] = (base.bytes_per_s, other.bytes_per_s)
    return facts_between(data.sides.sides[pair[0]], data.sides.sides[pair[1]], more)


def _nothing_in_common(data: Cases, pair: tuple[int, int]) -> str:
    import numpy as np

    told: list[str] = []
    for i in pair:
        first = data.groups.case[np.flatnonzero(data.groups.side == i)[0]]
        told.append(f"{data.sides.sides[i].name} has {data.names[first]}")
    return f"no case in common: {' and '.join(told)}; expected the same cases on both sides"


def _notes(data: Cases, pairs: Sequence[tuple[int, int]], metrics: Sequence[Metric]) -> list[str]:
    """What a reader must know who would believe the tables."""
    notes = _paired(data, pairs)
    for i in dict.fromkeys(i for pair in pairs for i in pair):
        side = data.sides.sides[i]
        if data.sides.by == "machine" and "," in str(side.facts.get("commit", "")):
            notes.append(
                f"{side.name}: rows of commits {side.facts['commit']} count as runs of one "
                "program; --by commit tells them apart"
            )
        peaks = data.peaks[i]
        if any(m.name == ROOFLINE for m in metrics) and not (
            peaks.flops_per_s and peaks.bytes_per_s
        ):
            notes.append(
                f"{side.name}: no measured peaks, so time is not normalised; run {MEASURE}"
            )
    return notes


def _paired(data: Cases, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """Both sides of an A/B: their pairs say more than the intervals here, which do without."""
    sides = data.sides.sides
    return [
        f"{sides[i].name} and {sides[j].name} were run in pairs, which count as unpaired runs "
        "here; traincost gate judges them pair by pair"
        for i, j in pairs
        if sides[i].paired and sides[j].paired
    ]
