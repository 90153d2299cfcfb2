"""The verdict on one case: how sure can one be that it became slower, or that it did not?

The unit is the process: log(median of its rounds). Paired, one number a pair: log(head / base).
Everything is decided on a t interval of the mean of those numbers, whose two ends have their own
error: `alpha` for saying REGRESSION, `beta` for saying HELD, each over the whole suite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What can be said about one case."""

    REGRESSION = "regression"  # proven slower, and by the floor at least
    HELD = "held"  # proven slower by less than the margin
    FASTER = "faster"  # proven faster, and by the floor at least; it passes as HELD does
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Rule:
    """What counts as slower, and how often one may be wrong. The knob for people is the margin."""

    margin_rel: float = 0.05  # --fail-if-slower
    floor_rel: float = 0.02  # a smaller effect is never a regression; never above the margin
    alpha: float = 0.01  # of a suite of unchanged cases: the share that may be called slower
    beta: float = 0.01  # of a suite of cases slower by the margin: the share with one called HELD


@dataclass(frozen=True)
class Judged:
    """A verdict and what it rests on. All effects are head / base - 1."""

    verdict: Verdict
    estimate_rel: float
    lower_rel: float | None  # proven slower where above 0; None where it cannot be had
    upper_rel: float | None  # held where under the margin
    n: int  # pairs, or runs of the side that has fewer
    pairs_to_decide: int | None  # about how many in all, where INCONCLUSIVE and known
    reason: str


def judge_paired(
    log_ratios: Sequence[float],  # (n_pairs,) log(head_s / base_s)
    rule: Rule,
    *,
    n_cases: int,
    look: int | None = None,
    typical_sd: float | None = None,
) -> Judged:
    """One case measured in pairs.

    `n_cases` shares out `alpha` and `beta`. `look` is the number, from 0, of a group-sequential
    look (`sequential.py`); None where the pairs are all there will be. `typical_sd` is the spread
    of a log ratio in the other cases, which guards against a spread that is small by chance.
    """
    raise NotImplementedError


def judge_cases(
    log_ratios_by_case: Mapping[str, Sequence[float]], rule: Rule
) -> Mapping[str, Judged]:
    """All paired cases of a suite, judged once, each with the typical spread of all."""
    raise NotImplementedError


def judge_unpaired(
    base_logs: Sequence[float],  # (n_runs,) log(time_median_s)
    head_logs: Sequence[float],  # (n_runs,)
    rule: Rule,
    *,
    n_cases: int,
    spread_rel: float | None = None,
    spread_n: int | None = None,
) -> Judged:
    """One case measured in runs that are not paired: Welch's interval.

    With one run on a side only what exceeds `spread_rel` (the standard deviation between runs,
    from `spread_n` of them, that the rows recorded) can be called; without it INCONCLUSIVE.
    """
    raise NotImplementedError


def judge_suite_mean(
    log_ratios_by_case: Mapping[str, Sequence[float]],
    rule: Rule,
    *,
    n_suites: int = 1,
) -> Judged:
    """The geometric mean over the cases of one suite file: many small slow-downs add up.

    It has a share of `alpha`, spread over the `n_suites` suite files judged together, and uses the
    pairs that every case has.
    """
    raise NotImplementedError


def log_of(rel: float) -> float:
    """0.05 -> log(1.05)."""
    return math.log1p(rel)
