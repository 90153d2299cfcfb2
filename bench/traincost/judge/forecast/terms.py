"""A step as a sum of what it is made of, each at a price of the machine, none below 0.

    cost = sum_k price_k * amount_k        launches, FLOPs, bytes of traffic

Fitted in relative error (non-negative least squares), residuals beyond `HUBER` robust standard
deviations counting less. The bootstrap draws relative residuals, as in `scaling.fit`.

Whatever the prices are, a step costs at least as many times a measured one as its amounts are of
that one's, the least of them, and at most the largest. Few points leave prices so open that their
draws alone would hold what no price can make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from traincost.judge.scaling.law import CONFIDENCE
from traincost.judge.scaling.solver import HUBER

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_ROUNDS = 5
_MAD = 1.4826
_SLACK = 2.0
"""Standard deviations by which a measured step may be off."""


@dataclass(frozen=True)
class Prices:
    """What a launch, a FLOP and a byte cost, in seconds or joules."""

    prices: Floats  # (n_terms,)
    draws: Floats  # (n_draws, n_terms)
    residuals: Floats  # log actual over fitted, widened for the parameters used
    scatter_rel: float  # the same as a standard deviation, not widened
    amounts: Floats  # (n_points, n_terms) of the measured steps
    costs: Floats  # (n_points,)

    def cost(self, amounts: Floats) -> float:
        """Of (n_terms,) amounts."""
        import numpy as np

        return float(np.exp(self._possible(np.log(amounts @ self.prices)[None], amounts[None])[0]))

    def shares(self, amounts: Floats) -> Floats:
        """What part of the cost each term is, (n_terms,)."""
        return amounts * self.prices / (amounts @ self.prices)

    def log_costs(
        self,
        amounts: Floats,  # (n_draws, n_terms)
        seed: int,
    ) -> Floats:  # (n_draws,)
        """New measurements, one for every draw."""
        import numpy as np

        rng = np.random.default_rng(seed)
        n = len(self.draws)
        noise = rng.choice(self.residuals, n) * rng.choice([-1.0, 1.0], n)
        logs = np.log((amounts * self.draws).sum(axis=1))
        return np.asarray(self._possible(logs, amounts) + noise, np.float64)

    def _possible(self, logs: Floats, amounts: Floats) -> Floats:
        """Log costs (n,) of amounts (n, n_terms), as the measured steps allow them."""
        import numpy as np

        if not len(self.costs):
            return logs
        with np.errstate(divide="ignore", invalid="ignore"):
            times = amounts[:, None] / self.amounts[None]  # (n, n_points, n_terms)
            low = np.log(np.nanmin(times, axis=2) * self.costs).max(axis=1)
            high = np.log(np.nanmax(times, axis=2) * self.costs).min(axis=1)
        slack = _SLACK * self.scatter_rel
        return np.clip(logs, low - slack, np.maximum(low - slack, high + slack))


def fit_prices(
    amounts: Floats,  # (n_points, n_terms), 0 or more
    costs: Floats,  # (n_points,) above 0
    n_draws: int,
    seed: int = 0,
) -> Prices:
    """Fit more points than one."""
    import numpy as np
    from scipy.special import stdtrit

    prices = _robust(amounts, costs)
    fitted = amounts @ prices
    used = int((prices > 0).sum())
    freedom = max(len(costs) - used, 1)
    residuals = np.log(costs / fitted)
    scatter_rel = float(np.sqrt((residuals**2).sum() / freedom))
    # Leverage isn't known of prices that are held at 0: all residuals are widened alike.
    tail = (1 + CONFIDENCE) / 2
    widened = np.sqrt(len(costs) / freedom) * stdtrit(freedom, tail) / stdtrit(1e6, tail)
    residuals = np.asarray(residuals * min(float(widened), 6.0), np.float64)
    rng = np.random.default_rng(seed)
    shape = (n_draws, len(costs))
    drawn = fitted * np.exp(rng.choice(residuals, shape) * rng.choice([-1.0, 1.0], shape))
    draws = np.array([_relative(amounts, row) for row in drawn]).reshape(n_draws, amounts.shape[1])
    return Prices(prices, draws, residuals, scatter_rel, amounts, costs)


def _robust(amounts: Floats, costs: Floats) -> Floats:
    """Prices from points whose weights fall where they are far off."""
    import numpy as np

    weights = np.ones(len(costs))
    prices = _relative(amounts, costs)
    for _ in range(_ROUNDS):
        residuals = np.abs(np.log(amounts @ prices / costs))
        spread = max(_MAD * float(np.median(residuals)), 1e-3)
        weights = np.sqrt(1 / np.maximum(residuals / (HUBER * spread), 1.0))
        prices = _relative(amounts, costs, weights)
    return prices


def _relative(amounts: Floats, costs: Floats, weights: Floats | None = None) -> Floats:
    """Least squares of fitted over actual less 1; columns scaled, as a FLOP costs picoseconds."""
    import numpy as np
    from scipy.optimize import nnls

    rows = amounts / costs[:, None]
    size = np.maximum(rows.max(axis=0), 1e-300)
    ones = np.ones(len(costs)) if weights is None else weights
    found, _ = nnls(rows / size * ones[:, None], ones)
    return np.asarray(found / size, np.float64)
