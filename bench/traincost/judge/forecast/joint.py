"""Laws over several axes, as forecasts are made of: cost = fixed * z + scale * prod x_j^b_j.

Exponents that physics knows are given: a step's arithmetic is in proportion to its batch, whatever
the machine. Each one that need not be fitted makes the forecast surer far from the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traincost.judge.scaling.fit import bootstrap
from traincost.judge.scaling.solver import Design, best, predict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


_A_THIRD_LOG = 0.3
_SAME_LOG = 0.02
"""Models within 2% are one model: what was counted of it is known."""


@dataclass(frozen=True)
class JointLaw:
    """A fitted law; logarithms in and out. The last axis is the size of the model."""

    with_fixed: bool
    known: Floats  # (n_axes,) exponents that were given, NaN for fitted ones
    middle: Floats  # (n_axes,) of the logs of the data
    theta: Floats  # (n,)
    draws: Floats  # (n_draws, n); none if not asked for
    residuals: Floats  # (n_points,) corrected for leverage; empty without draws
    anchors: Floats  # (n_points, 2) log of the last axis, and what the law misses there

    def log_cost(self, log_x: Floats, log_z: float = 0.0) -> float:
        """At one place; `log_x` is (n_axes,)."""
        import numpy as np

        told = float(self._logs(self.theta[None], log_x[None], np.array([log_z]))[0])
        return told + self.missed(float(log_x[-1]))

    def missed(self, log_n: float) -> float:
        """By how much the law is off at the nearest size that was measured."""
        import numpy as np

        nearest = self.anchors[np.argmin(np.abs(self.anchors[:, 0] - log_n)), 0]
        near = np.abs(self.anchors[:, 0] - nearest) < _SAME_LOG
        return float(np.median(self.anchors[near, 1]))

    def is_measured(self, log_n: float) -> bool:
        """Whether a model of this size was measured."""
        import numpy as np

        return bool(np.min(np.abs(self.anchors[:, 0] - log_n)) < _SAME_LOG)

    def log_costs(
        self,
        log_x: Floats,  # (n_axes,)
        log_z: float,
        seed: int,
    ) -> Floats:  # (n_draws,)
        """What models of this size may cost: every draw, and a residual with a random sign.

        The law is shifted to pass through the nearest model that was measured; such a model itself
        needs no residual.
        """
        import numpy as np

        n = len(self.draws)
        log_n = float(log_x[-1])
        told = self._logs(self.draws, np.tile(log_x, (n, 1)), np.full(n, log_z))
        told = told + self.missed(log_n)
        if self.is_measured(log_n):
            return told
        rng = np.random.default_rng(seed)
        noise = rng.choice(self.residuals, n) * rng.choice([-1.0, 1.0], n)
        return np.asarray(told + noise, np.float64)

    def _logs(self, thetas: Floats, log_x: Floats, log_z: Floats) -> Floats:
        import numpy as np

        places = log_x - self.middle
        there = ~np.isnan(self.known)
        growing = thetas[:, 1] + places[:, there] @ self.known[there]
        growing = growing + (thetas[:, 2:] * places[:, ~there]).sum(axis=1)
        if not self.with_fixed:
            return np.asarray(growing, np.float64)
        return np.asarray(np.logaddexp(thetas[:, 0] + log_z, growing), np.float64)


def fit_joint(
    axes: Sequence[Floats],  # of (n_points,), not logarithms
    costs: Floats,  # (n_points,)
    known: Sequence[float | None],
    *,
    z: Floats | None = None,  # (n_points,) what the fixed part is proportional to; None: no such
    n_draws: int = 0,
    seed: int = 0,
) -> JointLaw:
    """Fit points that suffice: there are more of them than parameters."""
    import numpy as np

    log_x = np.log(np.column_stack(axes))
    middle = log_x.mean(axis=0)
    given = np.array([np.nan if k is None else k for k in known])
    design = Design(
        log_x - middle,
        with_fixed=z is not None,
        known=given,
        log_z=None if z is None else np.log(z),
    )
    theta = _bounded(best(design, np.log(costs)), design, np.log(costs))
    draws, residuals = np.empty((0, len(theta))), np.empty(0)
    if n_draws:
        draws, residuals = bootstrap(design, np.log(costs), theta, n_draws, seed)
        draws = _bounded(draws, design, np.log(costs))
    missed = np.log(costs) - predict(design, theta[None])[0][0]
    anchors = np.column_stack([log_x[:, -1], missed])
    return JointLaw(z is not None, given, middle, theta, draws, residuals, anchors)


def _bounded(theta: Floats, design: Design, log_costs: Floats) -> Floats:
    """Parameters that physics allows.

    Fitted exponents are between 0 and 1: depth, and depth times width, grow slower than parameters.
    Neither part is larger than the whole, give or take a third. Few points know them so badly that
    their intervals alone would hold any amount of memory.
    """
    import numpy as np

    bounded = theta.copy()
    bounded[..., 2:] = np.clip(theta[..., 2:], 0.0, 1.0)
    most = [log_costs - (0.0 if design.log_z is None else design.log_z), log_costs - design.given]
    for i, of in enumerate((most[0].min(), most[1].max())):
        bounded[..., i] = np.minimum(theta[..., i], of + _A_THIRD_LOG)
    return bounded
