"""One line of the gate: a case and a metric, what was decided, and on what it rests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HELD, REGRESSION, BAD_INPUT, INCONCLUSIVE = 0, 1, 2, 3
"""The exit codes of the gate."""


class Outcome(StrEnum):
    """What a line says, in the order in which people want to read it.

    Four are the verdicts of `rule.py`; `grew`, `equal` and `shrank` are of exact metrics.
    """

    REGRESSION = "regression"
    GREW = "grew"
    FAILED = "failed"  # the case ended as error, oom, invalid or diverged on HEAD
    MISSING = "missing"  # on BASE, or required, and not on HEAD
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = (
        "not comparable"  # another work, another torch: the numbers mean something else
    )
    LEFT_OUT = "left out"  # no run, or no pair, that could be used
    FASTER = "faster"
    SHRANK = "shrank"
    HELD = "held"
    NOT_GATED = "not gated"  # numbers are shown and nothing follows from them
    NEW = "new"  # on HEAD only
    EQUAL = "equal"


ORDER = tuple(Outcome)
GATED = frozenset(
    {
        *(Outcome.REGRESSION, Outcome.HELD, Outcome.FASTER, Outcome.INCONCLUSIVE),
        *(Outcome.GREW, Outcome.EQUAL, Outcome.SHRANK, Outcome.FAILED),
    }
)
"""Lines that say something about HEAD."""


@dataclass(frozen=True, kw_only=True)
class CaseVerdict:
    """One line of the gate. Values are in the metric's unit; effects are head / base - 1."""

    case_id: str
    metric: str  # empty where the line is about the case as a whole
    verdict: str  # an `Outcome`
    reason: str
    base: float | None = None
    head: float | None = None
    estimate_rel: float | None = None
    lower_rel: float | None = None
    upper_rel: float | None = None
    n: int | None = None  # pairs, or runs of the side that has fewer
    required: bool = False
    exit_code: int = HELD  # what this line alone would end the gate with
