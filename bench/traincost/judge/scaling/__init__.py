"""Scaling laws: how a cost grows along an axis of a suite, fitted to what was measured.

    cost(x) = fixed + scale * x^exponent

`fit_scaling` returns a `Scaling`, or a `Refusal` that says what to measure. Fits are of logarithms
(an error of 3% weighs the same at every size) and robust.
"""

from traincost.judge.scaling.fit import fit_scaling
from traincost.judge.scaling.law import Break, Estimate, Refusal, Scaling

__all__ = ["Break", "Estimate", "Refusal", "Scaling", "fit_scaling"]
