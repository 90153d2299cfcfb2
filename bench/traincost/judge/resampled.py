"""Comparisons drawn from real pairs of identical code: how often is the rule wrong on these?

A pair is drawn with all its cases, so what they share in a process stays shared, with replacement,
and either side of it may stand for BASE: the order of a pair is drawn as well. Unswapped, what the
few real pairs have for a mean by chance would be a change that every comparison has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from traincost.judge.bounds import Floats
from traincost.judge.study import (
    FASTER,
    HELD,
    REGRESSION,
    Setting,
    Share,
    judge_means,
    judge_suites,
)
from traincost.judge.verdict import Rule, log_of

COMPARISONS = 200


@dataclass(frozen=True)
class Resampled:
    """What became of the comparisons."""

    effect_rel: float  # planted into one case of each, by arithmetic; 0 for identical code
    n_cases: int
    n_pairs: int  # real ones, that were drawn from
    sd_rel: float  # of a pair's ratio, in the typical case
    false_alarms: Share  # comparisons with a regression of what did not change
    called: Share | None  # where a case was slowed down
    passed: Share  # every case HELD (or FASTER)


def resample(
    log_ratios: Mapping[str, Mapping[int, float]],  # by case and pair
    effect_rel: float = 0.0,
    comparisons: int = COMPARISONS,
    seed: int = 0,
) -> Resampled:
    """Judge so many comparisons, as `traincost ab` does with its default margin."""
    rng = np.random.default_rng(seed)
    pool = _filled(log_ratios, rng)  # (cases, pairs)
    n_cases, n_pairs = pool.shape
    sd_rel = float(np.median(pool.std(-1, ddof=1)))
    setting = Setting("real", sd_rel, n_cases, Rule(), effect_rel)
    drawn = rng.integers(n_pairs, size=(comparisons, setting.looks.pairs[-1]))
    swapped = rng.choice((-1.0, 1.0), size=drawn.shape)
    d = np.ascontiguousarray((swapped * pool[:, drawn]).transpose(1, 0, 2))
    slow = rng.integers(n_cases, size=comparisons)  # d: (comparisons, cases, pairs)
    every = np.arange(comparisons)
    d[every, slow] += log_of(effect_rel)
    codes, used = judge_suites(d, setting)
    alarms = codes == REGRESSION
    called = int(alarms[every, slow].sum())
    if effect_rel:
        alarms[every, slow] = False  # and their mean did change
        wrong = alarms.any(1)
    else:
        wrong = alarms.any(1) | (judge_means(d, used, setting) == REGRESSION)
    return Resampled(
        effect_rel,
        n_cases,
        n_pairs,
        sd_rel,
        false_alarms=Share(int(wrong.sum()), comparisons),
        called=Share(called, comparisons) if effect_rel else None,
        passed=Share(int(((codes == HELD) | (codes == FASTER)).all(1).sum()), comparisons),
    )


def _filled(log_ratios: Mapping[str, Mapping[int, float]], rng: np.random.Generator) -> Floats:
    """(cases, pairs); a pair that was left out of a case stands in by another of that case."""
    pairs = sorted({pair for ratios in log_ratios.values() for pair in ratios})
    return np.array([_row(ratios, pairs, rng) for ratios in log_ratios.values() if ratios])


def _row(
    ratios: Mapping[int, float], pairs: Sequence[int], rng: np.random.Generator
) -> list[float]:
    there = list(ratios.values())
    return [ratios[p] if p in ratios else float(rng.choice(there)) for p in pairs]
