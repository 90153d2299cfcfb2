"""`fit_scaling`: measured costs along one axis become a law, or a reason why not.

Intervals are a bootstrap of residuals: each is divided by the root of 1 - leverage, widened by
Student's t over the normal quantile, as few residuals are known too roughly, and drawn with a
random sign. What is widened is the noise, not the refitted parameters: the logarithm of a part that
is not there may lie anywhere, and twice as far from there is a law that nothing has measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from traincost.judge.scaling.law import CONFIDENCE, Break, Estimate, Refusal, Scaling, ends
from traincost.judge.scaling.regimes import find_break
from traincost.judge.scaling.solver import Design, best, jacobian, predict, solve

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEAST_DISTINCT = 5
LEAST_DISTINCT_KNOWN = 3
LEAST_SPAN = 16.0
LEAST_SPAN_KNOWN = 4.0
SAME = 1.05
"""Sizes less than 5% apart are one size."""

_BEYOND_LOG = 700.0
"""exp(700) is the largest float, about: a draw that hardly rises overtakes nothing."""

_NO_FIXED_LOG = -7.0
"""A fixed part below exp(-7), 0.1%, of the least cost is none."""


def fit_scaling(
    x: npt.ArrayLike,  # (n_points,) above 0
    cost: npt.ArrayLike,  # (n_points,) above 0; NaN points are left out
    *,
    axis: str = "n_params",
    metric: str = "time_median_s",
    exponent: float | None = None,
    breaks: bool = True,
    n_draws: int = 400,
    seed: int = 0,
) -> Scaling | Refusal:
    """The law of a metric along an axis; several points may share an x (runs, implementations).

    A given `exponent` (1 for the data volume: an epoch is its samples) needs fewer points. The same
    input gives the same law.
    """
    import numpy as np

    xs, costs = (np.asarray(values, np.float64).ravel() for values in (x, cost))
    kept = np.isfinite(xs) & np.isfinite(costs) & (xs > 0) & (costs > 0)
    xs, costs = xs[kept], costs[kept]
    refused = refusal(xs, axis, metric, known=exponent is not None)
    if refused is not None:
        return refused
    return law_of(xs, costs, axis, metric, exponent, breaks=breaks, n_draws=n_draws, seed=seed)


def refusal(xs: Floats, axis: str, metric: str, *, known: bool) -> Refusal | None:
    """Too few or too narrow points, and which to add; None where they suffice."""
    least = LEAST_DISTINCT_KNOWN if known else LEAST_DISTINCT
    span = LEAST_SPAN_KNOWN if known else LEAST_SPAN
    sizes = distinct(xs)
    if len(sizes) == 0:
        return Refusal(axis, metric, f"no measured {metric}", f"measure {least} sizes of {axis}")
    reach = sizes[-1] / sizes[0]
    if len(sizes) >= least and reach >= span:
        return None
    reason = (
        f"{len(sizes)} sizes of {axis} from {sizes[0]:.4g} to {sizes[-1]:.4g}; expected {least} "
        f"at least, the largest {span:g} times the smallest"
    )
    missing = max(least - len(sizes), 1)
    step = max(4.0, (span / reach) ** (1 / missing))
    wanted = ", ".join(f"{sizes[-1] * step ** (i + 1):.3g}" for i in range(missing))
    return Refusal(axis, metric, reason, f"measure {axis} near {wanted}")


def distinct(xs: Floats) -> list[float]:
    """Sizes that are apart, ascending."""
    found: list[float] = []
    for x in sorted(xs.tolist()):
        if not found or x > found[-1] * SAME:
            found.append(x)
    return found


def law_of(
    xs: Floats,
    costs: Floats,
    axis: str,
    metric: str,
    exponent: float | None,
    *,
    breaks: bool,
    n_draws: int,
    seed: int,
) -> Scaling:
    """The law of points that suffice."""
    import numpy as np

    log_x, log_y = np.log(xs), np.log(costs)
    # Centred: scale and exponent are then almost independent, and steps of the solver good.
    middle = float(log_x.mean())
    known = None if exponent is None else np.array([exponent])
    design = Design((log_x - middle)[:, None], known=known)
    found = find_break(design, log_y, len(distinct(xs))) if breaks and known is None else None
    if found is not None:
        design = found.design
    theta = best(design, log_y)
    draws, residuals = bootstrap(design, log_y, theta, n_draws, seed)
    full, all_draws = (_full(t, exponent, middle) for t in (theta[None], draws))
    after = all_draws[:, 2] + all_draws[:, 3]
    sizes = distinct(xs)
    curve = predict(design, theta[None])[0][0]
    edges = [int(np.argmax(log_x)), int(np.argmin(log_x))]
    rise, rises = (_rise(design, t, edges) for t in (theta[None], draws))
    left = ((log_y - curve) ** 2).sum()
    total = ((log_y - log_y.mean()) ** 2).sum()
    gone = full[0, 0] < log_y.min() + _NO_FIXED_LOG
    regimes: tuple[Break, ...] = ()
    if found is not None:
        where = [float(np.exp(v + middle)) for v in (found.at, found.low, found.high)]
        both = float(full[0, 2]), float(full[0, 2] + full[0, 3])
        regimes = (Break(where[0], where[1], where[2], *both),)
    return Scaling(
        axis=axis,
        metric=metric,
        fixed=Estimate(0.0, 0.0, _high(np.exp(all_draws[:, 0])))
        if gone
        else _estimate(np.exp(full[0, 0]), np.exp(all_draws[:, 0])),
        scale=_estimate(np.exp(full[0, 1]), np.exp(all_draws[:, 1])),
        exponent=_estimate(full[0, 2] + full[0, 3], after),
        growth=_estimate(rise[0], rises),
        crossover=None if gone else _crossover(full[0], all_draws),
        breaks=regimes,
        r_squared=float(1 - left / total) if total > 0 else 1.0,
        scatter_rel=float(np.sqrt(left / max(len(xs) - design.n_parameters, 1))),
        n_points=len(xs),
        n_distinct=len(sizes),
        x_low=sizes[0],
        x_high=float(xs.max()),
        theta=full[0],
        draws=all_draws,
        residuals=residuals,
    )


def bootstrap(
    design: Design,
    log_y: Floats,  # (n_points,)
    theta: Floats,  # (n,)
    n_draws: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Refitted parameters (n_draws, n), and the residuals that they come from (n_points,)."""
    import numpy as np
    from scipy.special import stdtrit

    curve = predict(design, theta[None])[0][0]
    slope = jacobian(design, theta[None])[0]
    leverage = np.einsum("ni,ij,nj->n", slope, np.linalg.pinv(slope.T @ slope), slope)
    residuals = (log_y - curve) / np.sqrt(np.clip(1 - leverage, 0.05, 1.0))
    rng = np.random.default_rng(seed)
    shape = (n_draws, len(log_y))
    drawn = rng.choice(residuals, shape) * rng.choice([-1.0, 1.0], shape)
    freedom = max(len(log_y) - design.n_parameters, 1)
    tail = (1 + CONFIDENCE) / 2
    widened = float(stdtrit(freedom, tail) / stdtrit(1e6, tail))
    draws = solve(design, curve + drawn * widened, np.tile(theta, (n_draws, 1)))
    return draws, np.asarray(residuals, np.float64)


def _full(thetas: Floats, exponent: float | None, middle: float) -> Floats:
    """(n, 4) log fixed, log scale at x = 1, exponent, change of it; from centred parameters."""
    import numpy as np

    n = len(thetas)
    slope = np.full(n, exponent) if exponent is not None else thetas[:, 2]
    bend = thetas[:, 3] if thetas.shape[1] > 3 else np.zeros(n)
    return np.column_stack([thetas[:, 0], thetas[:, 1] - slope * middle, slope, bend])


def _estimate(value: float, draws: Floats) -> Estimate:
    low, high = map(float, ends(draws))
    return Estimate(float(value), min(low, float(value)), max(high, float(value)))


def _rise(
    design: Design,
    thetas: Floats,  # (n, n_parameters)
    edges: list[int],
) -> Floats:  # (n,)
    """Cost at the first of two points over that at the second."""
    import numpy as np

    logs = predict(design, thetas)[0][:, edges]
    return np.asarray(np.exp(logs[:, 0] - logs[:, 1]), np.float64)


def _high(draws: Floats) -> float:
    import numpy as np

    return float(np.quantile(draws, CONFIDENCE))


def _crossover(theta: Floats, draws: Floats) -> Estimate | None:
    """Where fixed and growing part are equal: (fixed / scale)^(1 / exponent)."""
    import numpy as np

    if theta[2] <= 0:
        return None
    rising = draws[draws[:, 2] > 0]
    at = np.exp(np.minimum((rising[:, 0] - rising[:, 1]) / rising[:, 2], _BEYOND_LOG))
    return _estimate(float(np.exp((theta[0] - theta[1]) / theta[2])), at)
