"""What can be said about a case, and how often one may be wrong in saying it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


def log_of(rel: float) -> float:
    """0.05 -> log(1.05)."""
    return math.log1p(rel)


FLOOR_TO_MARGIN = log_of(0.05) - log_of(0.02)
"""The most that a regression's estimate may lie under the margin, in logs."""


class Verdict(StrEnum):
    """What can be said about one case."""

    REGRESSION = "regression"  # proven slower, and by the floor at least
    HELD = "held"  # not slower by the margin: proven
    FASTER = "faster"  # proven faster, and by the floor at least; it passes as HELD does
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Rule:
    """What counts as slower, and how often one may be wrong. The knob for people is the margin."""

    margin_rel: float = 0.05  # --fail-if-slower
    floor_rel: float = 0.02  # a smaller effect is never a regression, at any margin
    alpha: float = 0.01  # of suites of unchanged cases: the share that may have a regression
    beta: float = 0.01  # of cases slower by exactly the margin: the share that may be called HELD
    suite_share: float = 0.1  # of alpha, for the means of the suite files

    def __post_init__(self) -> None:
        """Refuse what no test can be built on."""
        for name in ("alpha", "beta", "suite_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected more than 0, less than 1")
        for name in ("margin_rel", "floor_rel"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} {getattr(self, name)}: expected a number above 0")

    @property
    def slower_floor_rel(self) -> float:
        """The least estimate of a regression: as far under the margin as 2% lies under 5%.

        So a case slower by exactly the margin is called as often at any margin from 5% on (in logs
        nothing else depends on it), and one that is far under what was asked for never. At a
        smaller margin it is the floor itself, at one under the floor the margin.
        """
        raised = log_of(self.margin_rel) - FLOOR_TO_MARGIN
        return min(max(self.floor_rel, math.expm1(raised)), self.margin_rel)

    @property
    def faster_floor_rel(self) -> float:
        """The least gain, whatever slow-down is let pass."""
        return min(self.floor_rel, self.margin_rel)

    def case_alpha(self, n_cases: int) -> float:
        """What is left of alpha for one of the cases (Bonferroni)."""
        return self.alpha * (1 - self.suite_share) / n_cases

    def mean_alpha(self, n_suites: int) -> float:
        """What is left of alpha for the mean of one of the suite files."""
        return self.alpha * self.suite_share / n_suites


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
