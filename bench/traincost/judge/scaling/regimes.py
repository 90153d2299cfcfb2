"""Where the exponent itself changes: a hinge in the growing part, if the data insist on one.

A step that no longer fits the cache, a launch-bound step that becomes compute-bound beyond what a
fixed part tells: above the break the exponent is another one. Breaks are tried at every place
between points; a break is one more curve to be wrong with, so it must lower the BIC by 10 (very
strong evidence, Kass and Raftery 1995) and change the exponent by 0.1 at least. Where it lies
exactly, and how surely, the profile of the loss says: `traincost.judge.scaling.profile`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from traincost.judge.scaling.profile import Profile
from traincost.judge.scaling.solver import Design, best, predict, scatter, weights

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEAST_DISTINCT = 8
_EACH_SIDE = 3
_EVIDENCE = 10.0
_LEAST_CHANGE = 0.1
_EXTRA_PARAMETERS = 2


@dataclass(frozen=True)
class FoundBreak:
    """A break in log units of the axis, and the design that has it."""

    at: float
    low: float
    high: float
    design: Design


def find_break(
    design: Design,
    log_y: Floats,  # (n_points,)
    n_distinct: int,
) -> FoundBreak | None:
    """The best break of a law without one; None where it isn't worth its parameters."""
    import numpy as np

    if n_distinct < LEAST_DISTINCT:
        return None
    n = len(log_y)
    log_x = design.log_x[:, 0]
    sizes = np.unique(log_x)
    inner = sizes[_EACH_SIDE - 1 : len(sizes) - _EACH_SIDE + 1]
    places = np.unique(np.concatenate([inner, (inner[:-1] + inner[1:]) / 2]))
    designs = [with_break(design, float(at)) for at in places]
    thetas = [best(d, log_y) for d in designs]
    left = np.array([_left(d, log_y, t) for d, t in zip(designs, thetas, strict=True)])
    chosen = int(np.argmin(left))
    gain = n * np.log(_left(design, log_y, best(design, log_y)) / left[chosen])
    if gain - _EXTRA_PARAMETERS * np.log(n) < _EVIDENCE:
        return None
    before, change = thetas[chosen][2:4]
    if abs(change) < _LEAST_CHANGE or before * (before + change) < 0:
        return None  # a cost that falls and then rises is a disturbed end, not a regime
    profile = Profile(lambda at: with_break(design, at), log_y, thetas[chosen])
    near = places[max(chosen - 1, 0)], places[min(chosen + 1, len(places) - 1)]
    at = profile.least(float(near[0]), float(near[1]))
    low, high = profile.interval(at, float(sizes[1]), float(sizes[-2]))
    return FoundBreak(at, low, high, with_break(design, at))


def with_break(design: Design, at: float) -> Design:
    """The design with a second axis that begins at the break."""
    import numpy as np

    hinge = np.maximum(design.log_x[:, 0] - at, 0.0)
    return replace(design, log_x=np.column_stack([design.log_x[:, 0], hinge]))


def _left(design: Design, log_y: Floats, theta: Floats) -> float:
    """What the fit leaves of the squares; one disturbed measurement must not make a regime."""
    residuals = log_y[None] - predict(design, theta[None])[0]
    robust = weights(residuals, scatter(design, residuals)) * residuals**2
    return max(float(robust.sum()), 1e-18)
