"""Two ends of an interval for the slow-down of many cases at once, and what they decide.

With n pairs d = log(head / base) of a case: mean ± t·sd/√n, and from 8 pairs on also the same of
the trimmed mean (Yuen 1974: the g smallest and largest left out, their spread winsorised), each
with half the error. The nearer end counts. One run in a hundred that stalls ruins the mean for
good; where nothing stalls the plain end is the nearer one.

The spread of four numbers is small by chance often enough to make t useless. So no case is taken
for quieter than the typical one of its suite, which many cases know well. That makes the far tails
of t too careful, so HELD uses 3 more degrees of freedom (docs/decisions.md has the simulations);
REGRESSION does not: a case far noisier than the others has no help from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from traincost.judge.verdict import Rule, Verdict, log_of

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

VERDICTS = (Verdict.INCONCLUSIVE, Verdict.HELD, Verdict.FASTER, Verdict.REGRESSION)
"""A verdict's place is its code."""

HELD_PAIRS = 4
REGRESSION_PAIRS = 6
"""Where the noise has two states, n pairs agree by chance in 1 of 4^n: 1 of 256, or of 4,096."""

HELD_EXTRA_DF = 3.0
TRIM_PAIRS = 8


@dataclass(frozen=True)
class Errors:
    """What one case may be wrong by, now."""

    alpha: float
    beta: float


@dataclass(frozen=True)
class Location:
    """Where a case's log ratios lie."""

    mean: Floats  # (cases,)
    se: Floats  # (cases,)
    df: float | Floats


@dataclass(frozen=True)
class Bounds:
    """In logs; proven slower where `lower` > 0, held where `upper` < margin."""

    estimate: Floats  # (cases,)
    lower: Floats
    upper: Floats
    upper_alpha: Floats  # with the error of `lower`: proven faster where < 0


def trimmed_at_each_end(n: int) -> int:
    """How many of n pairs the trimmed mean leaves out at each end: a tenth."""
    return round(n / 10) if n >= TRIM_PAIRS else 0


def plain(d: Floats) -> Location:  # (cases, pairs)
    """Mean and standard error."""
    n = d.shape[-1]
    return Location(d.mean(-1), d.std(-1, ddof=1) / np.sqrt(n), n - 1.0)


def trimmed(d: Floats, g: int) -> Location:
    """Trimmed mean and Yuen's standard error."""
    n = d.shape[-1]
    h = n - 2 * g
    ordered = np.sort(d, axis=-1)
    mean = ordered[..., g : n - g].mean(-1)
    ordered[..., :g] = ordered[..., g : g + 1]
    ordered[..., n - g :] = ordered[..., n - g - 1 : n - g]
    return Location(mean, ordered.std(-1, ddof=1) * np.sqrt((n - 1) / (h * (h - 1))), h - 1.0)


def quantile(tail: float, df: float | Floats) -> Floats:
    """How many standard errors t exceeds with probability `tail`."""
    from scipy.special import stdtrit

    return np.asarray(-stdtrit(df, tail))


def half_width(tail: float, df: float | Floats, se: Floats) -> Floats:
    """How far a bound lies from the estimate; infinite where no error may be spent on it."""
    return quantile(tail, df) * se if tail > 0 else np.full_like(se, math.inf)


def paired_bounds(
    d: Floats,  # (cases, pairs), pairs >= 2
    errors: Errors,
    typical_sd: Floats | float,  # (cases,) or one for all: of a single log ratio; 0 where unknown
) -> Bounds:
    """The bounds of every case."""
    n = d.shape[-1]
    g = trimmed_at_each_end(n)
    ways = [plain(d)] if g == 0 else [plain(d), trimmed(d, g)]
    least_se = np.asarray(typical_sd) / np.sqrt(n)
    alpha, beta = errors.alpha / len(ways), errors.beta / len(ways)
    each = [bounds_of(at, least_se, alpha, beta, HELD_EXTRA_DF) for at in ways]
    return Bounds(
        each[-1].estimate,
        np.max([b.lower for b in each], axis=0),
        np.min([b.upper for b in each], axis=0),
        np.min([b.upper_alpha for b in each], axis=0),
    )


def bounds_of(
    at: Location, least_se: Floats, alpha: float, beta: float, held_extra_df: float
) -> Bounds:
    """The bounds by one statistic."""
    se = np.maximum(at.se, least_se)
    reach = half_width(alpha, at.df, se)
    upper = at.mean + half_width(beta, at.df + held_extra_df, se)
    return Bounds(at.mean, at.mean - reach, upper, at.mean + reach)


def decide(bounds: Bounds, rule: Rule, *, may_call: bool, may_hold: bool = True) -> Codes:
    """A code of `VERDICTS` for each case; `may_call` REGRESSION and FASTER, `may_hold` HELD."""
    codes = np.zeros(bounds.estimate.shape, np.int8)
    if may_hold:
        codes[bounds.upper < log_of(rule.margin_rel)] = VERDICTS.index(Verdict.HELD)
    if may_call:
        faster = (bounds.upper_alpha < 0) & (bounds.estimate <= -log_of(rule.faster_floor_rel))
        slower = (bounds.lower > 0) & (bounds.estimate >= log_of(rule.slower_floor_rel))
        codes[faster] = VERDICTS.index(Verdict.FASTER)
        codes[slower] = VERDICTS.index(Verdict.REGRESSION)
    return codes


def decide_pairs(d: Floats, rule: Rule, errors: Errors, typical_sd: Floats | float) -> Codes:
    """What the pairs of each case decide."""
    n = d.shape[-1]
    bounds = paired_bounds(d, errors, typical_sd)
    return decide(bounds, rule, may_call=n >= REGRESSION_PAIRS, may_hold=n >= HELD_PAIRS)
