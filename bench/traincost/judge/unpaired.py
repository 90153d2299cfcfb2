"""Runs that were not measured in pairs: Welch's interval on the logs of their medians.

What drifted between the two sides counts as a slow-down here; only pairs are safe from that.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import numpy as np

from traincost.judge.bounds import VERDICTS, Errors, Floats, Location, bounds_of, decide
from traincost.judge.planning import pairs_to_decide
from traincost.judge.verdict import Judged, Rule
from traincost.judge.words import with_bounds, without_bounds

RUNS_TO_DECIDE = 4
KNOWN_DF = 1e6
"""Of a spread that the rows recorded without saying from how many runs."""


def judge_unpaired(
    base_logs: Sequence[float],  # (n_runs,) log(time_median_s)
    head_logs: Sequence[float],  # (n_runs,)
    rule: Rule,
    *,
    n_cases: int,
    spread_rel: float | None = None,
    spread_n: int | None = None,
    typical_sd: float | None = None,
) -> Judged:
    """One case measured in runs that are not paired.

    `spread_rel` is the standard deviation between runs, from `spread_n` of them, that the rows
    recorded; `typical_sd` that of the typical case (`typical_run_sd`). No case is taken for quieter
    than these. With one run on a side only what exceeds `spread_rel` can be called; without it the
    case is INCONCLUSIVE.
    """
    if not (base_logs and head_logs) or not all(map(math.isfinite, [*base_logs, *head_logs])):
        raise ValueError("logs of medians: expected one at least on each side, all finite")
    base, head = np.asarray(base_logs, np.float64), np.asarray(head_logs, np.float64)
    n = min(len(base), len(head))
    errors = Errors(rule.case_alpha(n_cases), rule.beta)
    difference = float(head.mean() - base.mean())
    least_sd = max(spread_rel or 0.0, typical_sd or 0.0)
    if n > 1:
        at = welch(base[None, :], head[None, :])
    elif not spread_rel or spread_n == 1:
        reason = "one run on a side and no spread between runs recorded: run each several times"
        return without_bounds(difference, n, reason, RUNS_TO_DECIDE)
    else:
        df = KNOWN_DF if spread_n is None else spread_n - 1.0
        at = Location(np.array([difference]), np.zeros(1), df)
    least_se = np.asarray(least_sd * math.sqrt(1 / len(base) + 1 / len(head)))
    bounds = bounds_of(at, least_se, errors.alpha, errors.beta, held_extra_df=0.0)
    (code,) = decide(bounds, rule, may_call=True)
    sd = max(float(at.se[0]), float(least_se)) * math.sqrt(n)
    enough = pairs_to_decide(difference, sd, n, rule, errors)
    return with_bounds(VERDICTS[code], bounds, n, "runs a side", enough)


def typical_run_sd(logs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> float | None:
    """The median over cases of the standard deviation within a side; None where none is known."""
    spreads: list[float] = []
    for sides in logs:
        variances = [statistics.variance(side) for side in sides if len(side) > 1]
        if variances:
            spreads.append(math.sqrt(statistics.fmean(variances)))
    return statistics.median(spreads) if spreads else None


def welch(base: Floats, head: Floats) -> Location:  # (cases, runs) each
    """Difference of means, its standard error, and Satterthwaite's degrees of freedom."""
    n_base, n_head = base.shape[-1], head.shape[-1]
    of_base, of_head = base.var(-1, ddof=1) / n_base, head.var(-1, ddof=1) / n_head
    variance = of_base + of_head
    spread = of_base**2 / (n_base - 1) + of_head**2 / (n_head - 1)
    df = np.where(spread > 0, variance**2 / np.where(spread > 0, spread, 1.0), min(n_base, n_head))
    return Location(head.mean(-1) - base.mean(-1), np.sqrt(variance), df)
