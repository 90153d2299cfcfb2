"""Rows of remedies, sorted by the difficulty that they are a remedy of.

Rows of suites like `optimizers`, `learning_rate` and `gradients` carry a benefit: steps to a
target, held-out loss, a ratio of gradients. Cases of one test and problem that differ in own axes
(the remedy) and in `seed` are set side by side. In the suite `efficiency` the ways (`impl` and
`dtype`) are the remedies, and what they save is their cost.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from traincost.show.report.points import Points, axes_of, test_of

COSTS: Mapping[str, tuple[str, str]] = {
    "time_median_s": ("time of a step", "s"),
    "time_first_step_s": ("first step", "s"),
    "step_peak_bytes": ("step memory", "B"),
    "live_before_bytes": ("live before", "B"),
    "flops": ("FLOPs a step", ""),
}
BENEFITS: Mapping[str, tuple[str, str]] = {
    "steps_to_target": ("steps to target", ""),
    "time_to_target_s": ("time to target", "s"),
    "energy_to_target_j": ("energy to target", "J"),
    "loss_heldout": ("held-out loss", ""),
    "accuracy_heldout": ("held-out accuracy", ""),
    "grad_norm_ratio": ("gradient ratio, first layer / last", ""),
}
"""Columns with their names and units."""

SUITES = ("gradients", "data_requirements", "tuning", "efficiency")
"""Suites of remedies, beside those whose rows have steps to a target."""

_WAYS = "efficiency"
_WHERE = ("problem", "data", "dataset_samples", "depth", "seq_len", "model", "device", "dtype")
_NO_REMEDY = (*_WHERE, "seed", "batch_size", "phase", "impl")
_WORDS = {"dataset_samples": "samples", "seq_len": "length", "batch_size": "batch"}
_WHERE_OF_WAYS = ("model", "device", "batch_size")


@dataclass(frozen=True)
class Remedy:
    """One way to do it: the cases of all its seeds."""

    name: str
    groups: Sequence[int]

    def median(self, values: Sequence[float]) -> float | None:
        """Over the seeds that have a value."""
        known = [values[g] for g in self.groups if values[g] == values[g]]
        return statistics.median(known) if known else None


@dataclass(frozen=True)
class Problem:
    """What the remedies are set against: one test, one difficulty, one machine."""

    name: str
    side: int
    remedies: Sequence[Remedy]


def problems_of(points: Points) -> list[Problem]:
    """Cases with a benefit, by test and difficulty, then by remedy."""
    import numpy as np

    suites = points.table["suite"].astype(object).to_numpy()
    reached = ~np.isnan(points.of("steps_to_target"))
    has_benefit = ~np.isnan(np.stack([points.of(name) for name in BENEFITS])).all(axis=0)
    is_way = (suites == _WAYS) & ~np.isnan(points.of("time_median_s"))
    chosen = np.isin(suites, [*set(suites[reached]), *SUITES]) & (has_benefit | is_way)
    found: dict[tuple[int, str, str], dict[tuple[tuple[str, str], ...], list[int]]] = {}
    for group in np.flatnonzero(chosen).tolist():
        way = suites[group] == _WAYS
        axes = axes_of(points.cases[group])
        where = _where(axes, _WHERE_OF_WAYS if way else _WHERE)
        no_remedy = _WHERE_OF_WAYS if way else _NO_REMEDY
        own = tuple((k, v) for k, v in axes.items() if k not in no_remedy)
        key = (int(points.data.groups.side[group]), test_of(points.cases[group]), where)
        found.setdefault(key, {}).setdefault(own, []).append(group)
    tests = {key[:2]: i for i, key in reversed(list(enumerate(found)))}
    return [
        Problem(
            " · ".join(filter(None, (test.replace("/", ": ").replace("_", " "), where))),
            side,
            _named(remedies),
        )
        for (side, test, where), remedies in sorted(
            found.items(), key=lambda item: (tests[item[0][:2]], _by_size(item[0][2]))
        )
        if len(remedies) > 1
    ]


def _by_size(where: str) -> list[tuple[int, str]]:
    """An order in which `depth 8` comes before `depth 32`."""
    return [(int(w), "") if w.isdecimal() else (-1, w) for w in where.split()]


def _where(axes: Mapping[str, str], names: Sequence[str]) -> str:
    """The difficulty in words: `digits · depth 32`."""
    plain = ("problem", "data", "model", "device", "dtype")
    shown = [(name, axes[name]) for name in names if name in axes]
    words = [v if k in plain else f"{_WORDS.get(k, k)} {v}" for k, v in shown]
    return " · ".join(words)


def _named(remedies: Mapping[tuple[tuple[str, str], ...], Sequence[int]]) -> list[Remedy]:
    """By what tells them apart: an axis that all share is no part of a name."""
    shared = set.intersection(*(set(own) for own in remedies))
    return [
        Remedy(" · ".join(v for k, v in own if (k, v) not in shared) or "as it is", groups)
        for own, groups in remedies.items()
    ]
