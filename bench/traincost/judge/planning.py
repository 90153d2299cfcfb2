"""How many pairs would decide, and what a number of pairs can resolve: by the same t intervals."""

from __future__ import annotations

import math

import numpy as np

from traincost.judge.bounds import HELD_PAIRS, REGRESSION_PAIRS, Errors, half_width, quantile
from traincost.judge.verdict import Rule, log_of

MOST_PAIRS = 10_000


def pairs_to_decide(
    mean: float,
    sd: float,  # of one log ratio
    n_now: int,
    rule: Rule,
    errors: Errors,
    call_pairs: int = REGRESSION_PAIRS,
) -> int | None:
    """How many would, if mean and spread stayed; None where 10,000 would not."""
    n = np.unique(np.geomspace(n_now + 1, max(MOST_PAIRS, n_now + 1), 400).astype(int))
    to_call, to_hold = (
        half_width(error, n - 1.0, sd / np.sqrt(n)) for error in (errors.alpha, errors.beta)
    )
    held = (mean + to_hold < log_of(rule.margin_rel)) & (n >= HELD_PAIRS)
    slower = (mean - to_call > 0) & (mean >= log_of(rule.slower_floor_rel)) & (n >= call_pairs)
    decided = held | slower
    return int(n[decided.argmax()]) if decided.any() else None


def resolvable_rel(
    rule: Rule, *, n_cases: int, n_pairs: int, spread_rel: float, power: float = 0.9
) -> float:
    """The slow-down of one of `n_cases` that `n_pairs` pairs call with `power`.

    `spread_rel` is the standard deviation between runs. Infinite where
    so few pairs call nothing (fewer than 6).
    """
    if n_pairs < REGRESSION_PAIRS:
        return math.inf
    se = spread_rel * math.sqrt(2 / n_pairs)
    proof, luck = (float(quantile(e, n_pairs - 1.0)) for e in (rule.case_alpha(n_cases), 1 - power))
    return math.expm1(max((proof + luck) * se, log_of(rule.slower_floor_rel) + luck * se))
