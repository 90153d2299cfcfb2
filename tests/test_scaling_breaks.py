"""The place of a break has an interval that holds it about as often as it says."""

import numpy as np
import pytest

from traincost.judge.scaling import Scaling, fit_scaling

AT = 1.37e6
"""Neither a size that is measured nor half-way between two."""


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("n_points", "before", "after"), [(16, 0.4, 1.0), (12, 1.0, 0.6), (10, 0.5, 1.2)]
)
def test_the_interval_of_a_break_holds_its_place(
    n_points: int, before: float, after: float
) -> None:
    x = np.geomspace(1e4, 1e8, n_points)
    truth = np.where(x < AT, (x / AT) ** before, (x / AT) ** after)
    inside, n = 0, 20
    for seed in range(n):
        noise = 0.03 * np.random.default_rng(seed).standard_normal(n_points)
        found = fit_scaling(x, truth * np.exp(noise), n_draws=20)
        assert isinstance(found, Scaling)
        (regime,) = found.breaks
        assert regime.low <= regime.at <= regime.high < 20 * regime.low
        inside += regime.low <= AT <= regime.high
    assert inside >= 0.8 * n
