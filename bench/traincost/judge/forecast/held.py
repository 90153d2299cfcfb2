"""Rows that were held back from a fit, what was forecast for them, and how good that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

CONFIDENCE = 0.90
STEP = 4.0
"""One step beyond the data."""
REACH = 12.0
"""Farthest that is asked for: a decade, as the sizes of the suites are."""
_TOLERANCE = 1.2
"""Sizes are nominal: a step of 4 is between 3.3 and 4.8."""


@dataclass(frozen=True)
class Held:
    """One row that was held back, and what was forecast for it."""

    axis: str
    what: str  # kind, model and batch
    beyond: float  # how many times as large as the largest that was fitted
    actual: float  # seconds, bytes or joules
    forecast: float
    low: float
    high: float

    @property
    def error_rel(self) -> float:
        """Forecast over actual, less 1."""
        return self.forecast / self.actual - 1

    @property
    def covered(self) -> bool:
        """Whether the truth is within the interval."""
        return self.low <= self.actual <= self.high

    @property
    def width(self) -> float:
        """The upper end of the interval over the lower one."""
        return self.high / self.low

    @property
    def one_step(self) -> bool:
        """Whether it is at most one step beyond the data."""
        return self.beyond <= STEP * _TOLERANCE


@dataclass(frozen=True)
class Score:
    """How good several forecasts were."""

    axis: str
    n: int
    median_error_rel: float  # of absolute errors
    worst_error_rel: float
    covered: float  # share within the interval
    median_width: float  # upper end of the interval over the lower one


def score(held: Sequence[Held], axis: str) -> Score | None:
    """None of nothing."""
    if not held:
        return None
    errors = [abs(h.error_rel) for h in held]
    return Score(
        axis=axis,
        n=len(held),
        median_error_rel=median(errors),
        worst_error_rel=max(errors),
        covered=sum(h.covered for h in held) / len(held),
        median_width=median(h.width for h in held),
    )


def scores(held: Sequence[Held]) -> list[Score]:
    """One step beyond the data and farther, of each axis."""
    found: list[Score | None] = []
    for axis in dict.fromkeys(h.axis for h in held):
        near = [h for h in held if h.axis == axis and h.one_step]
        far = [h for h in held if h.axis == axis and not h.one_step]
        found += [score(near, f"{axis}, to {STEP:g}x"), score(far, f"{axis}, to {REACH:g}x")]
    return [s for s in found if s is not None]


def sizes_with_larger(sizes: Sequence[int]) -> list[int]:
    """Where to cut: sizes that have others beyond them."""
    return sorted(set(sizes))[:-1]
