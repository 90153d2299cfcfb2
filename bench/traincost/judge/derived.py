"""What is derived within each side before sides are compared: speedups, and what work costs.

A speedup is the time of the baseline over the time of another implementation of the same case on
the same side. The baseline is named in every line: the first of those asked for that the case has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from traincost.judge import matching
from traincost.judge.cases import Cases
from traincost.judge.compare import lines_of
from traincost.judge.intervals import Ratios, Typical, half_width, ratios
from traincost.judge.lines import COSTS, METRICS, SPEEDUP, Line, Unmatched, numbers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

BASELINES = ("eager", "torch", "huggingface")
_IMPL = re.compile(r"(?<=[\[,])impl=[^,\]]*(,|(?=\]))")
_SAME = tuple(c for c in (*matching.WORK, *matching.WORK_NUMBERS) if c not in ("impl", "n_params"))
_ROLES = ("baseline", "impl")
_HOUR_S = 3600
_MILLION = 1e6
Key = tuple[int, str, str, str]  # side, case without its implementation, implementation, baseline


def without_impl(case_id: str) -> str:
    """`rms/forward[hidden=64,impl=liger]` -> `rms/forward[hidden=64]`."""
    return _IMPL.sub("", case_id).replace(",]", "]").removesuffix("[]")


def speedups(
    data: Cases, baselines: Sequence[str] = BASELINES
) -> tuple[list[Line], list[Line], list[Unmatched]]:
    """Speedups within each side; the same compared across sides; and what has none, and why."""
    import numpy as np

    if len(data.common("impl").values) < 2:
        return [], [], []
    keys, base, other, unmatched = _implementations(data, baselines)
    if not keys:
        return [], [], unmatched
    of = data.metric(METRICS[0])
    groups = np.array(base), np.array(other)
    across = ratios(of.at(groups[1]), of.at(groups[0]))  # baseline over implementation
    names = [side.name for side in data.sides.sides]
    within = [
        replace(line, case_id=key[1], side=names[key[0]], base=key[3], other=key[2], impl=key[2])
        for key, line in zip(
            keys,
            lines_of(data, SPEEDUP, _ROLES, groups, of, across, roles=_ROLES),
            strict=True,
        )
    ]
    within = [replace(line, baseline=line.base) for line in within]
    return within, _across(data, keys, groups, of), unmatched


def _implementations(
    data: Cases, baselines: Sequence[str]
) -> tuple[list[Key], list[int], list[int], list[Unmatched]]:
    """Every measured implementation beside its baseline."""
    keys: list[Key] = []
    base: list[int] = []
    other: list[int] = []
    unmatched: list[Unmatched] = []
    for (side, case), impls in _families(data).items():
        name = data.sides.sides[side].name
        baseline = next((b for b in baselines if b in impls), None)
        for impl, group in impls.items():
            if impl == baseline or len(impls) < 2:
                continue
            reason = _no_speedup(data, impls, impl, baseline, baselines)
            if reason or baseline is None:
                said = f"{impl}: {reason}"
                unmatched.append(Unmatched(case, name, None, said, SPEEDUP.name))
                continue
            keys.append((side, case, impl, baseline))
            base.append(impls[baseline])
            other.append(group)
    return keys, base, other, unmatched


def _families(data: Cases) -> dict[tuple[int, str], dict[str, int]]:
    """(side, case without implementation) -> implementation -> group."""
    import numpy as np

    short = [without_impl(name) for name in data.names]
    impls = data.values.first("impl")
    found: dict[tuple[int, str], dict[str, int]] = {}
    known = [i for i in np.arange(len(data.groups)).tolist() if impls[i] is not None]
    for i in known:
        key = (int(data.groups.side[i]), short[data.groups.case[i]])
        found.setdefault(key, {})[impls[i] or ""] = i
    return found


def _no_speedup(
    data: Cases,
    impls: Mapping[str, int],
    impl: str,
    baseline: str | None,
    baselines: Sequence[str],
) -> str | None:
    """Why an implementation has no speedup; None where it has one."""
    import numpy as np

    if baseline is None:
        return f"no baseline ({', '.join(baselines)})"
    for name in (baseline, impl):
        if not data.groups.measured[impls[name]]:
            counts = data.groups.count(impls[name], matching.FAILED)
            return f"{name} is {' and '.join(counts) or 'not measured'}"
    pair = [np.array([impls[name]]) for name in (baseline, impl)]
    for column in _SAME:
        how = matching.difference(data.common(column), *pair).get(0)
        if how:
            return f"not the same work as {baseline}: {how}"
    return None


def _across(
    data: Cases, keys: Sequence[Key], groups: tuple[Integers, Integers], of: Typical
) -> list[Line]:
    """The speedups of one case and implementation on two sides, as a ratio."""
    import numpy as np

    at = {key: i for i, key in enumerate(keys)}
    found: list[Line] = []
    for pair in data.sides.pairs(data.base):
        names = (data.sides.sides[pair[0]].name, data.sides.sides[pair[1]].name)
        both = [
            (i, at[(pair[1], *key[1:])])
            for i, key in enumerate(keys)
            if key[0] == pair[0] and (pair[1], *key[1:]) in at
        ]
        if not both:
            continue
        here, there = np.array(both).T
        parts = [of.at(g[i]) for i in (here, there) for g in groups]
        base, other = parts[0].median / parts[1].median, parts[2].median / parts[3].median
        width = half_width(parts)
        ratio = other / base
        result = Ratios(ratio, ratio * np.exp(-width), ratio * np.exp(width))
        lines = lines_of(data, SPEEDUP, names, (groups[1][here], groups[1][there]), of, result)
        speeds = zip(numbers(base), numbers(other), strict=True)
        for line, (i, _), (ours, theirs) in zip(lines, both, speeds, strict=True):
            _, case, impl, baseline = keys[i]
            line = replace(line, base_value=ours, other_value=theirs)
            found.append(replace(line, case_id=case, impl=impl, baseline=baseline))
    return found


def costs(data: Cases, prices_per_hour: Mapping[str, float]) -> list[Line]:
    """Money per million samples and tokens, of every side whose price is known.

    Prices are of what the rows were measured on, in any currency. A pair of sides is compared where
    both have a price; a priced side without such a partner stands alone.
    """
    import numpy as np

    price = np.full(len(data.sides.sides), np.nan)
    for name, per_hour in prices_per_hour.items():
        for side in data.sides.find(name):
            price[side] = per_hour
    every_case = np.arange(len(data.names))
    found: list[Line] = []
    for metric, rate in zip(COSTS, ("samples_per_s", "tokens_per_s"), strict=True):
        of = data.with_spread(data.typical(rate))
        per_unit = price[data.groups.side] / _HOUR_S * _MILLION / of.median
        cost = Typical(per_unit, of.log_variance, of.freedom, of.runs)
        told: set[int] = set()
        for pair in data.sides.pairs(data.base):
            if np.isnan(price[list(pair)]).any():
                continue
            told |= set(pair)
            names = (data.sides.sides[pair[0]].name, data.sides.sides[pair[1]].name)
            base, other = (data.groups.find(every_case, side) for side in pair)
            kept = data.comparable(base, other)
            base, other = base[kept], other[kept]
            known = ~np.isnan(per_unit[base]) & ~np.isnan(per_unit[other])
            groups = (base[known], other[known])
            result = ratios(cost.at(groups[0]), cost.at(groups[1]))
            found += lines_of(data, metric, names, groups, cost, result)
        for side in np.flatnonzero(~np.isnan(price)).tolist():
            if side not in told:
                found += _alone(data, metric.name, side, cost)
    return found


def _alone(data: Cases, metric: str, side: int, cost: Typical) -> list[Line]:
    import numpy as np

    groups = np.flatnonzero((data.groups.side == side) & ~np.isnan(cost.median))
    return [
        Line(
            case_id=data.names[data.groups.case[group]],
            metric=metric,
            base=data.sides.sides[side].name,
            other=None,
            base_value=float(cost.median[group]),
            other_value=None,
            base_runs=int(cost.runs[group]),
        )
        for group in groups.tolist()
    ]
