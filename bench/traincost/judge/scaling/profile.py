"""Where a break lies, and how surely: the loss of the best law with a break at each place.

The interval holds the places whose loss, in units of the noise's variance, is not above the least
one by more than Student's t squared (95%): the likelihood's profile, for noise that is known from
few points. A break between two sizes bends the curve at neither, so places between them are no
worse than sizes, and an interval of sizes alone would be none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from traincost.judge.scaling.law import CONFIDENCE
from traincost.judge.scaling.solver import Design, huber_loss, predict, scatter, solve

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_NARROWED = 12
_HALVINGS = 7
_FIRST_STEP = 0.02
"""Of the logarithm: 2% of a size."""

_GOLDEN = 0.618


@dataclass(frozen=True)
class Profile:
    """The loss over the place of a break."""

    design_at: Callable[[float], Design]
    log_y: Floats  # (n_points,)
    start: Floats  # (n,) parameters of a law with a break near by

    def least(self, low: float, high: float) -> float:
        """The best place between two, by golden sections."""
        scale = self._scale((low + high) / 2)
        inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
        losses = [self.loss(at, scale) for at in inner]
        for _ in range(_NARROWED):
            if losses[0] <= losses[1]:
                high = inner[1]
                inner = [high - _GOLDEN * (high - low), inner[0]]
                losses = [self.loss(inner[0], scale), losses[0]]
            else:
                low = inner[0]
                inner = [inner[1], low + _GOLDEN * (high - low)]
                losses = [losses[1], self.loss(inner[1], scale)]
        return inner[0] if losses[0] <= losses[1] else inner[1]

    def interval(self, at: float, lowest: float, highest: float) -> tuple[float, float]:
        """The 95% interval of a break that is best at a place, within bounds."""
        scale = self._scale(at)
        most = self.loss(at, scale) + self._allowed / 2
        return self._end(at, lowest, most, scale), self._end(at, highest, most, scale)

    def loss(self, at: float, scale: float) -> float:
        """Huber's, of the best law with a break there, noise being known."""
        design, theta = self._law(at)
        return float(huber_loss(self.log_y[None] - predict(design, theta)[0], scale)[0])

    @cached_property
    def _freedom(self) -> int:
        """Points less parameters; the place is one of these."""
        return max(len(self.log_y) - len(self.start) - 1, 1)

    @cached_property
    def _allowed(self) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self._freedom, (1 + CONFIDENCE) / 2)) ** 2

    def _law(self, at: float) -> tuple[Design, Floats]:
        design = self.design_at(at)
        return design, solve(design, self.log_y[None], self.start[None])

    def _scale(self, at: float) -> float:
        design, theta = self._law(at)
        found = float(scatter(design, self.log_y[None] - predict(design, theta)[0])[0])
        return found * float((1 + 1 / self._freedom) ** 0.5)

    def _end(self, at: float, bound: float, most: float, scale: float) -> float:
        """The place towards a bound where the loss becomes more than it may."""
        sign = 1.0 if bound > at else -1.0
        inside, step = at, _FIRST_STEP
        while True:
            outside = at + sign * step
            if (bound - outside) * sign <= 0:
                outside = bound
                if self.loss(bound, scale) <= most:
                    return bound
                break
            if self.loss(outside, scale) > most:
                break
            inside, step = outside, step * 2
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if self.loss(middle, scale) > most:
                outside = middle
            else:
                inside = middle
        return inside
