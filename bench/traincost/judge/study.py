"""How often the rule is wrong: suites of simulated pairs under the very code that judges real ones.

All suites of a chunk are judged at once, look by look. The same noise is judged again with one case
slowed down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from traincost.judge.bounds import (
    HELD_PAIRS,
    REGRESSION_PAIRS,
    VERDICTS,
    Bounds,
    Codes,
    Errors,
    Floats,
    decide,
    paired_bounds,
)
from traincost.judge.noise import SHAPES, pairs_of
from traincost.judge.sequential import Looks
from traincost.judge.verdict import Rule, Verdict, log_of

REFERENCE_PAIRS = 12
"""A cost of 1: twelve pairs of every case."""

CHUNK_CASES = 60_000

INCONCLUSIVE, HELD, FASTER, REGRESSION = map(
    VERDICTS.index, (Verdict.INCONCLUSIVE, Verdict.HELD, Verdict.FASTER, Verdict.REGRESSION)
)


class BoundsOf(Protocol):
    """A way to bound the slow-down of cases, such as `paired_bounds`."""

    def __call__(self, d: Floats, errors: Errors, typical_sd: Floats | float) -> Bounds:
        """(cases, pairs) -> an interval a case."""
        ...


@dataclass(frozen=True)
class Setting:
    """What is simulated."""

    shape: str
    sd_rel: float
    n_cases: int
    rule: Rule = field(default_factory=Rule)
    effect_rel: float = 0.05  # of the one slow case, in the suites that have one
    looks: Looks = field(default_factory=Looks)
    bounds: BoundsOf = paired_bounds


@dataclass(frozen=True)
class Share:
    """So many of so many, with the 95% interval of Clopper and Pearson."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.hits / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """What the share of infinitely many would be."""
        from scipy.special import betaincinv

        k, n = self.hits, self.of
        low = float(betaincinv(k, n - k + 1, 0.025)) if k else 0.0
        high = float(betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0
        return low, high


@dataclass(frozen=True)
class Outcome:
    """What became of the suites of a setting."""

    setting: Setting
    false_alarms: Share  # suites of identical code with a regression, of a case or of the mean
    passed: Share  # such suites whose every case was HELD (or FASTER)
    cost: float  # of such suites: pairs of a case, 1 = 12
    process_pairs: float  # of such suites: pairs of processes until every case was decided
    called: Share  # the one slow case: REGRESSION
    missed: Share  # the one slow case: HELD


def simulate(
    setting: Setting,
    n_suites: int,
    seed: int = 0,
    n_slow: int | None = None,
    watch: Callable[[int], None] = lambda suites: None,
) -> Outcome:
    """Judge `n_suites` suites with no change, and the first `n_slow` (all) with one slow case."""
    n_slow = n_suites if n_slow is None else min(n_slow, n_suites)
    rng = np.random.default_rng([seed, *setting.shape.encode()])
    shape, last = SHAPES[setting.shape], setting.looks.pairs[-1]
    chunk = max(1, CHUNK_CASES // setting.n_cases)
    alarms = passed = called = missed = 0
    pairs = longest = 0.0
    for start in range(0, n_suites, chunk):
        n = min(chunk, n_suites - start)
        d = pairs_of(rng, shape, (n, setting.n_cases, last), setting.sd_rel)
        codes, used = judge_suites(d, setting)
        by_mean = judge_means(d, used, setting) == REGRESSION
        alarms += int(((codes == REGRESSION).any(1) | by_mean).sum())
        passed += int(((codes == HELD) | (codes == FASTER)).all(1).sum())
        pairs += float(used.mean(1).sum())
        longest += float(used.max(1).sum())
        watch(n)
        d = d[: max(0, n_slow - start)]
        if not len(d):
            continue
        d[:, -1] += log_of(setting.effect_rel)
        slow = judge_suites(d, setting)[0][:, -1]
        called += int((slow == REGRESSION).sum())
        missed += int((slow == HELD).sum())
    return Outcome(
        setting,
        false_alarms=Share(alarms, n_suites),
        passed=Share(passed, n_suites),
        cost=pairs / n_suites / REFERENCE_PAIRS,
        process_pairs=longest / n_suites,
        called=Share(called, n_slow),
        missed=Share(missed, n_slow),
    )


def judge_suites(
    d: Floats,  # (suites, cases, pairs)
    setting: Setting,
) -> tuple[Codes, Floats]:
    """`Sequential` for all suites at once: (suites, cases) codes, and pairs used."""
    n_suites, n_cases, _ = d.shape
    by_pair = np.ascontiguousarray(d.reshape(n_suites * n_cases, -1).T)  # sums run along memory
    codes = np.zeros(n_suites * n_cases, np.int8)
    used = np.zeros(len(codes))
    sd = np.zeros(len(codes))
    left = np.arange(len(codes))
    for number, n in enumerate(setting.looks.pairs):
        seen = by_pair[:n, left].T
        used[left] = n
        sd[left] = seen.std(-1, ddof=1)
        typical = np.median(sd.reshape(n_suites, n_cases), axis=1)
        alpha, beta = setting.looks.spent(number)
        errors = Errors(setting.rule.case_alpha(n_cases) * alpha, setting.rule.beta * beta)
        bounds = setting.bounds(seen, errors, np.repeat(typical, n_cases)[left])
        found = decide(
            bounds, setting.rule, may_call=n >= REGRESSION_PAIRS, may_hold=n >= HELD_PAIRS
        )
        codes[left] = found
        left = left[found == INCONCLUSIVE]
        if not len(left):
            break
    return codes.reshape(n_suites, n_cases), used.reshape(n_suites, n_cases)


def judge_means(d: Floats, used: Floats, setting: Setting) -> Codes:
    """`judge_suite_mean` for all suites at once, on the pairs that every case has: (suites,)."""
    shortest = used.min(1)
    codes = np.zeros(len(d), np.int8)
    errors = Errors(setting.rule.mean_alpha(1), setting.rule.beta)
    for n in setting.looks.pairs:
        of_n = shortest == n
        if n >= HELD_PAIRS and of_n.any():
            bounds = setting.bounds(d[of_n, :, :n].mean(1), errors, 0.0)
            codes[of_n] = decide(bounds, setting.rule, may_call=True)
    return codes
