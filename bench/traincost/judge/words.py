"""A verdict with its numbers and its reason in words."""

from __future__ import annotations

import math

from traincost.judge.bounds import Bounds
from traincost.judge.verdict import Judged, Verdict


def with_bounds(
    verdict: Verdict, bounds: Bounds, n: int, unit: str, pairs_to_decide: int | None
) -> Judged:
    """Of one case; `unit` is what there are n of, `pairs_to_decide` used where INCONCLUSIVE."""
    estimate, lower, upper, upper_alpha = (
        math.expm1(min(float(end[0]), 700.0))
        for end in (bounds.estimate, bounds.lower, bounds.upper, bounds.upper_alpha)
    )
    more = ""
    if verdict is not Verdict.INCONCLUSIVE:
        pairs_to_decide = None
    elif pairs_to_decide is not None:
        more = f"; about {pairs_to_decide} {unit} would decide"
    bound = {
        Verdict.REGRESSION: f"at least {percent(lower)}",
        Verdict.FASTER: f"at most {percent(upper_alpha)}",
    }.get(verdict, f"at most {percent(upper)}")
    reason = f"{percent(estimate)}, {bound}, in {n} {unit}{more}"
    return Judged(verdict, estimate, lower, upper, n, pairs_to_decide, reason)


def percent(rel: float) -> str:
    """0.021 -> +2.1%."""
    return f"{rel:+.1%}" if rel < 10 else "over +1000%"


def without_bounds(log_ratio: float, n: int, reason: str, pairs_to_decide: int | None) -> Judged:
    """Of a case whose spread is not known."""
    estimate = math.expm1(log_ratio)
    words = f"{percent(estimate)}; {reason}"
    return Judged(Verdict.INCONCLUSIVE, estimate, None, None, n, pairs_to_decide, words)
