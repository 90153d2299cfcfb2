"""The verdict on one case: how sure can one be that it became slower, or that it did not?

The unit is the process: log(median of its rounds). Paired, one number a pair: log(head / base).
Both ends of the interval (`bounds.py`) have their own error: `alpha`, over the whole suite, for
saying REGRESSION; `beta`, of the case, for saying HELD.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from traincost.judge.bounds import (
    HELD_PAIRS,
    REGRESSION_PAIRS,
    VERDICTS,
    Errors,
    decide,
    paired_bounds,
    plain,
    trimmed,
    trimmed_at_each_end,
)
from traincost.judge.planning import pairs_to_decide
from traincost.judge.unpaired import judge_unpaired
from traincost.judge.verdict import Judged, Rule, Verdict
from traincost.judge.words import with_bounds, without_bounds

__all__ = [
    "Judged",
    "Rule",
    "Verdict",
    "judge_cases",
    "judge_paired",
    "judge_suite_mean",
    "judge_unpaired",
    "typical_sd",
]


def judge_paired(
    log_ratios: Sequence[float],  # (n_pairs,) log(head_s / base_s)
    rule: Rule,
    *,
    n_cases: int,
    typical_sd: float | None = None,
    spent: tuple[float, float] = (1.0, 1.0),
) -> Judged:
    """One case measured in pairs.

    `n_cases` shares out `alpha`. `typical_sd` is the spread of one log ratio in the typical case of
    the suite, which guards against a spread that is small by chance (`judge_cases` finds it).
    `spent` are the shares of `alpha` and `beta` that a look may use (`sequential.py`); all of both
    where the pairs are all there will be.
    """
    errors = Errors(rule.case_alpha(n_cases) * spent[0], rule.beta * spent[1])
    return _judge(log_ratios, rule, errors, typical_sd or 0.0, REGRESSION_PAIRS)


def judge_cases(
    log_ratios_by_case: Mapping[str, Sequence[float]], rule: Rule
) -> Mapping[str, Judged]:
    """All paired cases of a suite, judged once, each with the typical spread of all."""
    typical = typical_sd(list(log_ratios_by_case.values()))
    n_cases = len(log_ratios_by_case)
    return {
        case: judge_paired(log_ratios, rule, n_cases=n_cases, typical_sd=typical)
        for case, log_ratios in log_ratios_by_case.items()
    }


def judge_suite_mean(
    log_ratios_by_case: Mapping[str, Sequence[float]],
    rule: Rule,
    *,
    n_suites: int = 1,
) -> Judged:
    """The geometric mean over the cases of one suite file: many small slow-downs add up.

    It has a share of `alpha`, spread over the `n_suites` suite files judged together, and uses the
    first pairs, those that every case has.
    """
    rows = list(log_ratios_by_case.values())
    shortest = min(map(len, rows), default=0)
    means = [statistics.fmean(row[i] for row in rows) for i in range(shortest)]
    return _judge(means, rule, Errors(rule.mean_alpha(n_suites), rule.beta), 0.0, HELD_PAIRS)


def typical_sd(log_ratios: Sequence[Sequence[float]]) -> float | None:
    """The median over cases of the standard deviation of a log ratio; None where none is known."""
    spreads = [statistics.stdev(row) for row in log_ratios if len(row) > 1]
    return statistics.median(spreads) if spreads else None


def _judge(
    log_ratios: Sequence[float], rule: Rule, errors: Errors, typical: float, call_pairs: int
) -> Judged:
    n = len(log_ratios)
    if not n or not all(map(math.isfinite, log_ratios)):
        raise ValueError(f"log ratios {list(log_ratios)}: expected one at least, all finite")
    if n == 1:
        return without_bounds(log_ratios[0], 1, "one pair: its spread is not known", HELD_PAIRS)
    d = np.asarray(log_ratios, np.float64)[None, :]
    bounds = paired_bounds(d, errors, typical)
    (code,) = decide(bounds, rule, may_call=n >= call_pairs, may_hold=n >= HELD_PAIRS)
    g = trimmed_at_each_end(n)
    at = trimmed(d, g) if g else plain(d)
    sd = max(float(at.se[0]) * math.sqrt(n), typical)
    enough = pairs_to_decide(float(at.mean[0]), sd, n, rule, errors, call_pairs)
    return with_bounds(VERDICTS[code], bounds, n, "pairs", enough)
