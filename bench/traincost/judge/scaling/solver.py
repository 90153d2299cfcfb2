"""Many fits of one law at once: costs in logs, robust, by damped Gauss-Newton steps.

    log y = log(exp(t0) z + exp(t1) prod_j x_j^b_j) + noise

t0 is the logarithm of the fixed part (z is 1, or what it is proportional to), t1 that of the scale.
Residuals beyond `HUBER` robust standard deviations count linearly, not squared, so that one
disturbed measurement doesn't bend the curve. Every array has a leading axis of fits: a bootstrap is
one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

HUBER = 2.0
_STEPS = 40
_CONVERGED = 1e-7
_NEGLIGIBLE = 9.0
"""exp(-9): a fixed part below 0.01% of every point is none; it stays there, as in logs 0 is far."""
_MAD = 1.4826
_LEAST_SCATTER = 1e-9


@dataclass(frozen=True)
class Design:
    """Where costs were measured, in logarithms, and which law is fitted to them."""

    log_x: Floats  # (n_points, n_axes)
    with_fixed: bool = True
    known: Floats | None = None  # (n_axes,) exponents that are not fitted; NaN for those that are
    log_z: Floats | None = None  # (n_points,) what the fixed part is proportional to

    @property
    def free(self) -> Floats:
        """The columns of `log_x` whose exponents are fitted."""
        import numpy as np

        return self.log_x if self.known is None else self.log_x[:, np.isnan(self.known)]

    @property
    def given(self) -> Floats:
        """What the axes with known exponents contribute."""
        import numpy as np

        if self.known is None:
            return np.zeros(len(self.log_x))
        there = ~np.isnan(self.known)
        return np.asarray(self.log_x[:, there] @ self.known[there], np.float64)

    @property
    def n_parameters(self) -> int:
        """How many numbers are fitted."""
        return int(self.with_fixed) + 1 + len(self.free[0])


def predict(
    design: Design,
    theta: Floats,  # (n_fits, 2 + n_free)
) -> tuple[Floats, Floats]:  # both (n_fits, n_points)
    """Log cost, and the share of it that is fixed."""
    import numpy as np

    growing = theta[:, 1:2] + theta[:, 2:] @ design.free.T + design.given
    if not design.with_fixed:
        return growing, np.zeros_like(growing)
    fixed = theta[:, :1] + (0.0 if design.log_z is None else design.log_z)
    both = np.logaddexp(fixed, growing)
    return both, np.exp(fixed - both)


def solve(
    design: Design,
    log_y: Floats,  # (n_fits, n_points)
    start: Floats,  # (n_fits, 2 + n_free)
) -> Floats:  # (n_fits, 2 + n_free)
    """The robust fit of every row of `log_y`."""
    import numpy as np

    theta = start.copy()
    floor = _floor(design, log_y)
    scale = scatter(design, log_y - predict(design, theta)[0])
    damping = np.full(len(theta), 1e-2)
    loss = _loss(design, log_y, theta, scale)
    for step in range(_STEPS):
        if step in (5, 10, 20):  # as the fit gets better, so does the idea of what is an outlier
            scale = scatter(design, log_y - predict(design, theta)[0])
            loss = _loss(design, log_y, theta, scale)
        tried = theta + _step(design, log_y, theta, scale, damping)
        tried[:, 0] = np.maximum(tried[:, 0], floor)
        new = _loss(design, log_y, tried, scale)
        better = new <= loss
        moved = np.abs(tried - theta)[better].max(initial=0.0)
        theta[better], loss = tried[better], np.where(better, new, loss)
        damping = np.clip(np.where(better, damping / 3, damping * 5), 1e-9, 1e6)
        if step > 20 and better.any() and moved < _CONVERGED:
            break
    return theta


def starts(
    design: Design,
    log_y: Floats,  # (n_points,)
) -> Floats:  # (n_starts, 2 + n_free)
    """Where to begin: several sizes of the fixed part, the rest by least squares on what is left.

    The loss has local minima, one where all is fixed and one where nothing is.
    """
    import numpy as np

    ones = np.ones(len(log_y))
    columns = np.column_stack([ones, design.free])
    z = ones if design.log_z is None else np.exp(design.log_z)
    least = float(np.min(np.exp(log_y) / z))
    found: list[Floats] = []
    for share in (0.0, 0.3, 0.7, 0.95) if design.with_fixed else (0.0,):
        rest = np.maximum(np.exp(log_y) - share * least * z, 0.02 * np.exp(log_y))
        weight = rest / np.exp(log_y)  # little is known of a small rest
        target = (np.log(rest) - design.given) * weight
        solution = np.linalg.lstsq(columns * weight[:, None], target, rcond=None)[0]
        t0 = np.log(max(share, 1e-3) * least)
        found.append(np.concatenate([[t0], solution]))
    return np.array(found)


def best(
    design: Design,
    log_y: Floats,  # (n_points,)
) -> Floats:  # (2 + n_free,)
    """The fit of one set of costs, from the best of several starts."""
    import numpy as np

    begin = starts(design, log_y)
    rows = np.tile(log_y, (len(begin), 1))
    theta = solve(design, rows, begin)
    residuals = rows - predict(design, theta)[0]
    scale = np.full(len(theta), float(scatter(design, residuals).min()))
    chosen: Floats = theta[int(np.argmin(_loss(design, rows, theta, scale)))]
    return chosen


def scatter(
    design: Design,
    residuals: Floats,  # (n_fits, n_points)
) -> Floats:  # (n_fits,)
    """Robust standard deviation of the noise, for as many parameters as were fitted."""
    import numpy as np

    n = residuals.shape[1]
    freedom = max(n - design.n_parameters, 1)
    middle = _MAD * np.median(np.abs(residuals), axis=1) * np.sqrt(n / freedom)
    plain = np.sqrt((residuals**2).sum(axis=1) / freedom)
    # Few residuals: their median is as good as nothing, and the fit may pass through half of them.
    robust = np.maximum(np.minimum(middle, plain), 0.3 * plain)
    return np.asarray(np.maximum(robust, _LEAST_SCATTER), np.float64)


def weights(residuals: Floats, scale: Floats) -> Floats:
    """Of Huber's loss: 1, less beyond `HUBER` standard deviations."""
    import numpy as np

    far = np.abs(residuals) / (HUBER * scale[:, None])
    return 1 / np.maximum(far, 1.0)


def jacobian(design: Design, theta: Floats) -> Floats:
    """Of log cost by theta, (n_fits, n_points, 2 + n_free)."""
    import numpy as np

    _, share = predict(design, theta)
    growing = 1 - share
    parts = [share[..., None], growing[..., None], growing[..., None] * design.free[None]]
    return np.asarray(np.concatenate(parts, axis=2), np.float64)


def _step(design: Design, log_y: Floats, theta: Floats, scale: Floats, damping: Floats) -> Floats:
    import numpy as np

    residuals = log_y - predict(design, theta)[0]
    slope = jacobian(design, theta)
    weighted = slope * weights(residuals, scale)[..., None]
    normal = np.swapaxes(weighted, 1, 2) @ slope
    gradient = (np.swapaxes(weighted, 1, 2) @ residuals[..., None])[..., 0]
    diagonal = np.einsum("fii->fi", normal)
    diagonal += damping[:, None] * diagonal + 1e-10
    step = np.linalg.solve(normal, gradient[..., None])[..., 0]
    return np.asarray(np.clip(step, -2.0, 2.0), np.float64)


def huber_loss(
    residuals: Floats,  # (n_fits, n_points)
    scale: Floats | float,  # that broadcasts with them
) -> Floats:  # (n_fits,)
    """Half the squares in units of the scale, and beyond `HUBER` of these linear."""
    import numpy as np

    size = np.abs(residuals) / scale
    huber = np.where(size <= HUBER, size**2 / 2, HUBER * (size - HUBER / 2))
    total: Floats = huber.sum(axis=1)
    return total


def _loss(design: Design, log_y: Floats, theta: Floats, scale: Floats) -> Floats:
    return huber_loss(log_y - predict(design, theta)[0], scale[:, None])


def _floor(design: Design, log_y: Floats) -> Floats:
    import numpy as np

    z = 0.0 if design.log_z is None else design.log_z
    return np.asarray((log_y - z).min(axis=1) - _NEGLIGIBLE, np.float64)
