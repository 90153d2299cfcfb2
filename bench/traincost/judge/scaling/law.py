"""A fitted scaling law, with how sure it is: what fits return and pages draw.

    cost(x) = fixed + scale * x^exponent

and above a break the exponent is another one, continuous there. `draws` are the bootstrap's
laws: everything that is said with an interval is computed on each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95

HARDLY = 1.1
"""A cost that grows by less than a tenth over all sizes is as good as level."""

_LEVEL = 1.001
"""A part that is not there is small, never 0: growth down to here is none."""


def ends(draws: npt.ArrayLike, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """The interval that draws (n_draws, ...) make.

    A new draw is below the k-th of n with probability k / (n + 1), whatever the distribution;
    numpy's own quantiles, by (k - 1) / (n - 1), hold 94% of 95% of 200 draws.
    """
    import numpy as np

    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(np.asarray(draws, np.float64), tails, axis=0, method="weibull")
    return np.asarray(low, np.float64), np.asarray(high, np.float64)


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Break:
    """Where the exponent changes: another regime begins."""

    at: float  # in units of the axis
    low: float  # its 95% interval
    high: float
    exponent_before: float
    exponent_after: float


@dataclass(frozen=True)
class Refusal:
    """Why there is no law, and what to measure to have one."""

    axis: str
    metric: str
    reason: str
    measure: str  # a sentence: which points are missing


@dataclass(frozen=True)
class Scaling:
    """cost = fixed + scale * x^exponent, fitted; units are those of the metric and the axis."""

    axis: str  # such as n_params
    metric: str  # such as time_median_s
    fixed: Estimate
    scale: Estimate
    exponent: Estimate  # above the last break, where there is one; equal ends: it was given
    growth: Estimate  # cost at the largest x over that at the smallest one, by the curve
    crossover: Estimate | None  # x where the growing part overtakes the fixed one; None: never seen
    breaks: Sequence[Break]
    r_squared: float  # of the logarithms
    scatter_rel: float  # typical distance of a point from the curve
    n_points: int
    n_distinct: int
    x_low: float  # the points reach from here
    x_high: float  # to here
    theta: Floats  # (4,) log fixed, log scale, exponent, change of the exponent at the break
    draws: Floats  # (n_draws, 4) the same of every bootstrap draw
    residuals: Floats  # (n_points,) log distances, corrected for leverage

    @property
    def is_level(self) -> bool:
        """Whether the cost does not depend on x, or not so that these points would tell.

        Then an exponent means nothing, nor a place from where the cost grows.
        """
        none = self.growth.low <= _LEVEL and self.growth.high >= 1 / _LEVEL
        return none or self.is_surely_level

    @property
    def is_surely_level(self) -> bool:
        """Whether the interval itself says that the cost changes by less than a tenth."""
        return self.growth.low > 1 / HARDLY and self.growth.high < HARDLY

    def at(
        self,
        x: npt.ArrayLike,  # (n,)
    ) -> Floats:  # (n,)
        """The curve."""
        import numpy as np

        return np.asarray(np.exp(self._log_costs(self.theta[None], x)[0]), np.float64)

    def band(
        self,
        x: npt.ArrayLike,  # (n,)
        confidence: float = CONFIDENCE,
    ) -> tuple[Floats, Floats]:  # both (n,)
        """Where the curve itself may lie: the bootstrap's interval."""
        return self._quantiles(self._log_costs(self.draws, x), confidence)

    def prediction(
        self,
        x: npt.ArrayLike,  # (n,)
        confidence: float = CONFIDENCE,
        drift_rel: float = 0.0,
    ) -> tuple[Floats, Floats]:  # both (n,)
        """Where a new measurement may lie.

        `drift_rel` is how far a law that held so far is off a factor of e beyond the data: no
        bootstrap can know that a regime ends there. It grows with the logarithm of the distance.
        """
        import numpy as np

        logs = self._log_costs(self.draws, x)
        seed = np.random.default_rng(0)
        noise = seed.choice(self.residuals, logs.shape) * seed.choice([-1.0, 1.0], logs.shape)
        normal = seed.standard_normal((len(logs), 1))
        return self._quantiles(logs + noise + drift_rel * self.distance(x) * normal, confidence)

    def distance(self, x: npt.ArrayLike) -> Floats:
        """How far beyond the data, in factors of e; 0 within them."""
        import numpy as np

        log_x = np.log(np.atleast_1d(np.asarray(x, np.float64)))
        low, high = np.log(self.x_low), np.log(self.x_high)
        return np.asarray(np.maximum(np.maximum(log_x - high, low - log_x), 0.0))

    def _log_costs(self, thetas: Floats, x: npt.ArrayLike) -> Floats:
        import numpy as np

        log_x = np.log(np.atleast_1d(np.asarray(x, np.float64)))
        growing = thetas[:, 1:2] + thetas[:, 2:3] * log_x
        if self.breaks:
            growing = growing + thetas[:, 3:4] * np.maximum(log_x - np.log(self.breaks[-1].at), 0)
        return np.logaddexp(thetas[:, :1], growing)

    @staticmethod
    def _quantiles(logs: Floats, confidence: float) -> tuple[Floats, Floats]:
        import numpy as np

        low, high = ends(logs, confidence)
        return np.exp(low), np.exp(high)
