"""A forecast on another measured machine: the same launches, FLOPs and bytes at its prices.

    price there = price here * limit here / limit there * e^c

Limits are peak FLOP/s, peak bytes/s and the time to dispatch a launch, as the suite `machine`
measured them. c is how much better or worse the other machine uses its limits: 0 within a factor of
2 each way for FLOPs and bytes, which machines differ by together, and 1.5 each on its own; for a
launch 2, or 4 without measured dispatch. These are what is believed before any step was measured
there. Steps of the kind that the other machine did measure then say what they can: small ones what
a launch costs, large ones what a FLOP does; of what they don't tell, the belief stays.

The fit weighs both (least squares in logarithms, a damped Gauss-Newton); its draws come from
disturbing the prices here, the beliefs and the times, and fitting again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from traincost.judge.forecast.model import Limits
from traincost.judge.forecast.terms import Prices

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_STEPS = 40
_NORMAL_90 = 1.645
_LEAST_SHARE = 0.02
"""A price of 0 is one that points don't tell: a share of any measured step below this."""
_LEAST_NOISE = 0.05


def within(factor: float) -> float:
    """The standard deviation of a logarithm that is within a factor each way in 90%."""
    return math.log(factor) / _NORMAL_90


def moved_prices(
    prices: Prices,
    here: Limits,
    there: Limits,
    amounts: Floats,  # (n_points, n_terms) of the steps that the other machine measured
    costs: Floats,  # (n_points,) seconds
    seed: int = 0,
) -> Prices:
    """What launches, FLOPs and bytes cost on the other machine."""
    import numpy as np

    ratios = np.log(_ratios(here, there))[: len(prices.prices)]
    noise = max(prices.scatter_rel, _LEAST_NOISE)
    root = _root(_belief(here, there)[: len(ratios), : len(ratios)])
    middle = np.log(_positive(prices.prices[None], prices)) + ratios
    log_costs = np.log(costs)
    best = _fit(amounts, log_costs[None], middle, root, noise)
    if len(costs):
        missed = log_costs - np.log(amounts @ np.exp(best[0]))
        noise = max(noise, float(np.sqrt((missed**2).mean())))
        best = _fit(amounts, log_costs[None], middle, root, noise)
    rng = np.random.default_rng(seed)
    n = len(prices.draws)
    believed = np.log(_positive(prices.draws, prices)) + ratios
    believed = believed + rng.standard_normal(believed.shape) @ root.T
    times = log_costs + rng.standard_normal((n, len(costs))) * noise
    draws = _fit(amounts, times, believed, root, noise)
    return Prices(
        prices=np.exp(best[0]),
        draws=np.exp(draws),
        residuals=rng.standard_normal(n) * noise,
        scatter_rel=noise,
        amounts=amounts,
        costs=costs,
    )


def _ratios(here: Limits, there: Limits) -> Floats:
    """Prices there over those here, if both machines use their limits alike, (3,)."""
    import numpy as np

    dispatch = 1.0
    if here.dispatch_s is not None and there.dispatch_s is not None:
        dispatch = there.dispatch_s / here.dispatch_s
    flops, moved = here.flops_per_s / there.flops_per_s, here.bytes_per_s / there.bytes_per_s
    return np.array([dispatch, flops, moved])


def _belief(here: Limits, there: Limits) -> Floats:
    """The covariance of the logarithms of prices, (3, 3)."""
    import numpy as np

    known = here.dispatch_s is not None and there.dispatch_s is not None
    own = np.diag([within(2.0 if known else 4.0), within(1.5), within(1.5)]) ** 2
    own[1:, 1:] += within(2.0) ** 2
    return own


def _root(covariance: Floats) -> Floats:
    import numpy as np

    return np.asarray(np.linalg.cholesky(covariance), np.float64)


def _positive(values: Floats, prices: Prices) -> Floats:  # both (n, n_terms)
    """Prices that points don't tell from 0, raised to what would not be seen."""
    import numpy as np

    with np.errstate(divide="ignore"):
        most = np.min(prices.costs[:, None] / prices.amounts, axis=0)
    return np.asarray(np.maximum(values, _LEAST_SHARE * most), np.float64)


def _fit(
    amounts: Floats,  # (n_points, n_terms)
    log_costs: Floats,  # (n_fits, n_points)
    middle: Floats,  # (n_fits, n_terms) believed
    root: Floats,  # (n_terms, n_terms) of their covariance
    noise: float,
) -> Floats:  # (n_fits, n_terms)
    """Log prices by measured steps and belief."""
    import numpy as np

    theta = middle.copy()
    if not len(amounts):
        return theta
    precision = np.asarray(np.linalg.inv(root @ root.T), np.float64)
    damping = np.full(len(theta), 1e-3)
    loss = _loss(amounts, log_costs, middle, precision, noise, theta)
    for _ in range(_STEPS):
        parts = np.exp(theta)[:, None] * amounts[None]  # (n_fits, n_points, n_terms)
        sums = parts.sum(axis=2)
        slope = parts / sums[..., None]
        missed = log_costs - np.log(sums)
        normal = np.swapaxes(slope, 1, 2) @ slope / noise**2 + precision
        normal = normal * (1 + damping[:, None, None] * np.eye(len(precision)))
        pull = (np.swapaxes(slope, 1, 2) @ missed[..., None])[..., 0] / noise**2
        pull = pull - (theta - middle) @ precision
        tried = theta + np.clip(np.linalg.solve(normal, pull[..., None])[..., 0], -2.0, 2.0)
        new = _loss(amounts, log_costs, middle, precision, noise, tried)
        better = new <= loss
        theta[better], loss = tried[better], np.where(better, new, loss)
        damping = np.clip(np.where(better, damping / 3, damping * 5), 1e-9, 1e6)
    return theta


def _loss(
    amounts: Floats,
    log_costs: Floats,
    middle: Floats,
    precision: Floats,
    noise: float,
    theta: Floats,
) -> Floats:  # (n_fits,)
    import numpy as np

    missed = (log_costs - np.log(np.exp(theta) @ amounts.T)) / noise
    off = theta - middle
    total: Floats = (missed**2).sum(axis=1) + np.einsum("fi,ij,fj->f", off, precision, off)
    return total
