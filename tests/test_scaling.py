"""Scaling laws: known laws are recovered, intervals are honest, too little is refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from show_scaling import HARD, LAWS, NOISE_REL, NORMAL_95

from traincost.judge.scaling import Refusal, Scaling, fit_scaling
from traincost.judge.scaling.law import ends

Floats = npt.NDArray[np.float64]
X = np.geomspace(1e4, 1e9, 16)


def noisy(costs: Floats, rel: float = 0.03, seed: int = 0) -> Floats:
    """With lognormal noise."""
    return np.asarray(costs * np.exp(rel * np.random.default_rng(seed).standard_normal(len(costs))))


def law(x: npt.ArrayLike, cost: npt.ArrayLike, exponent: float | None = None) -> Scaling:
    """The fit, which must not be refused."""
    found = fit_scaling(x, cost, exponent=exponent)
    assert isinstance(found, Scaling)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("fixed", [0.0, 1e-3, 0.1])
@pytest.mark.parametrize("exponent", [0.5, 0.8, 1.0, 1.5])
def test_a_known_exponent_is_recovered_within_002(fixed: float, exponent: float) -> None:
    scale = 10.0 / 1e9**exponent
    for seed in range(3):
        found = law(X, noisy(fixed + scale * X**exponent, seed=seed))
        assert found.exponent.value == pytest.approx(exponent, abs=0.02)


def test_fixed_part_and_crossover_are_recovered() -> None:
    found = law(X, noisy(0.01 + 1e-8 * X))
    assert found.fixed.value == pytest.approx(0.01, rel=0.05)
    assert found.crossover is not None
    assert found.crossover.low < 1e6 < found.crossover.high
    assert found.crossover.value == pytest.approx(1e6, rel=0.1)


def test_no_fixed_part_is_none_and_has_no_crossover() -> None:
    found = law(X, 1e-8 * X)
    assert found.fixed.value == 0
    assert found.crossover is None


def test_one_disturbed_measurement_does_not_bend_the_curve() -> None:
    costs = noisy(0.01 + 1e-8 * X)
    for at in (0, 7, 15):
        bent = costs.copy()
        bent[at] *= 2
        assert law(X, bent).exponent.value == pytest.approx(1, abs=0.03)


@pytest.mark.thorough
def test_a_break_is_found_where_it_is_and_not_where_it_is_not() -> None:
    bent = np.where(X < 1e6, 1e-3 * (X / 1e6) ** 0.5, 1e-3 * (X / 1e6) ** 1.1)
    found = law(X, noisy(bent))
    (regime,) = found.breaks
    assert 4e5 < regime.at < 2.5e6
    assert regime.exponent_before == pytest.approx(0.5, abs=0.05)
    assert found.exponent.value == pytest.approx(1.1, abs=0.05)
    assert found.at(1e8) == pytest.approx(1e-3 * 100**1.1, rel=0.1)
    for seed in range(20):
        assert not law(X, noisy(0.01 + 1e-8 * X, seed=seed)).breaks


def test_a_given_exponent_is_kept_and_needs_fewer_points() -> None:
    found = law([64, 256, 1024], [0.1 + 0.064, 0.1 + 0.256, 0.1 + 1.024], exponent=1.0)
    assert (found.exponent.low, found.exponent.value, found.exponent.high) == (1, 1, 1)
    assert found.fixed.value == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("x", "exponent", "said"),
    [
        ([1e4, 1e5, 1e6, 1e7], None, "4 sizes"),
        ([1e4, 1.1e4, 1.2e4, 1.3e4, 1.5e4], None, "16 times"),
        ([1e4] * 9, None, "1 sizes"),
        ([64, 256], 1.0, "2 sizes"),
        ([64, 80, 100], 1.0, "4 times"),
        ([], None, "no measured"),
    ],
)
def test_too_few_or_too_narrow_points_are_refused_with_what_to_measure(
    x: list[float], exponent: float | None, said: str
) -> None:
    found = fit_scaling(x, [1.0] * len(x), exponent=exponent)
    assert isinstance(found, Refusal)
    assert said in found.reason
    assert found.measure.startswith("measure ")


def test_what_a_refusal_asks_for_is_enough() -> None:
    x = [1e4, 1e5, 1e6]
    found = fit_scaling(x, [1.0, 2.0, 3.0])
    assert isinstance(found, Refusal)
    more = [float(v) for v in found.measure.removeprefix("measure n_params near ").split(", ")]
    assert isinstance(fit_scaling([*x, *more], np.ones(len(x) + len(more))), Scaling)


def test_missing_costs_are_left_out_and_repeated_runs_are_one_size() -> None:
    x = np.repeat(X, 2)
    costs = noisy(1e-8 * x)
    costs[3] = np.nan
    found = law(x, costs)
    assert (found.n_points, found.n_distinct) == (31, 16)


def test_the_same_points_give_the_same_law() -> None:
    costs = noisy(0.01 + 1e-8 * X)
    first, second = law(X, costs), law(X, costs)
    assert np.array_equal(first.draws, second.draws)
    assert first.exponent == second.exponent


def test_units_do_not_change_the_exponent() -> None:
    costs = noisy(0.01 + 1e-8 * X)
    assert law(X / 1e6, costs * 1e9).exponent.value == pytest.approx(
        law(X, costs).exponent.value, abs=1e-4
    )


@pytest.mark.parametrize("of", [Scaling.band, Scaling.prediction])
def test_intervals_widen_beyond_the_data(
    of: Callable[[Scaling, npt.ArrayLike], tuple[Floats, Floats]],
) -> None:
    low, high = of(law(X, noisy(0.01 + 1e-8 * X)), [1e9, 1e10, 1e11, 1e12])
    widths = np.log(high / low)
    assert (np.diff(widths) > 0).all()


def test_drift_widens_predictions_beyond_the_data_only() -> None:
    found = law(X, noisy(0.01 + 1e-8 * X))
    inside, outside = 1e7, 1e11
    for x, grows in ((inside, False), (outside, True)):
        plain = found.prediction([x])
        drifted = found.prediction([x], drift_rel=0.2)
        assert (float(drifted[1][0]) > 1.2 * float(plain[1][0])) is grows


@pytest.mark.thorough
@pytest.mark.parametrize("n_points", [8, 12])
def test_intervals_cover_the_truth_about_as_often_as_they_say(n_points: int) -> None:
    x = np.geomspace(1e4, 1e8, n_points)
    inside = 0
    for seed in range(100):
        found = fit_scaling(x, noisy(0.01 + 1e-8 * x, seed=seed), n_draws=200)
        assert isinstance(found, Scaling)
        inside += found.exponent.low <= 1 <= found.exponent.high
    assert 88 <= inside <= 100  # show_scaling.py prints the coverage of 1,000 draws


@pytest.mark.parametrize("exponent", [None, 1.0])
def test_a_cost_that_does_not_grow_is_level_and_one_that_does_is_not(
    exponent: float | None,
) -> None:
    x = np.geomspace(64, 1600, 6)
    for seed in range(10):
        flat = law(x, noisy(np.full(6, 4.6e-4), 0.01, seed), exponent)
        assert flat.is_level and (exponent is None or flat.is_surely_level)
        assert not law(x, noisy(4.6e-4 * (1 + x / 1600), 0.03, seed), exponent).is_level
    assert law(x, [1.0] * 6, exponent).is_surely_level
    falling = law(x, noisy(1e-2 * x**-0.5))
    assert not falling.is_level and falling.growth.value == pytest.approx(25**-0.5, rel=0.1)


def test_noise_that_hides_any_growth_makes_no_law_and_no_sure_level() -> None:
    costs = np.array([100, 130, 90, 115, 95, 105])
    found = law(np.geomspace(64, 1600, 6), costs, 1.0)
    assert found.is_level and not found.is_surely_level


def test_the_band_of_a_level_cost_stays_near_it() -> None:
    """A part that is not there has no size to be unsure of."""
    x = np.geomspace(64, 1600, 6)
    low, high = law(x, [473, 476, 479, 474, 476, 472], 1.0).band(x)
    assert (high < 500).all() and (low > 450).all()


def test_ends_hold_the_share_of_new_draws_that_they_say() -> None:
    draws = np.random.default_rng(0).uniform(size=(40, 4000))
    low, high = ends(draws)
    assert float((high - low).mean()) == pytest.approx(0.95, abs=0.003)


def test_the_exponent_is_as_exact_as_its_points_allow() -> None:
    errors = [
        law(HARD.x, noisy(HARD.costs, NOISE_REL, seed)).exponent.value - HARD.exponent
        for seed in range(60)
    ]
    sd = HARD.bound() / NORMAL_95
    assert float(np.sqrt(np.mean(np.square(errors)))) < 1.25 * sd


def test_what_no_fit_can_do_with_some_points_more_points_can() -> None:
    assert HARD.bound() > 0.02
    for more in (replace(HARD, repeats=3), replace(HARD, points=14, decades=4, fixed=0.03)):
        assert more in LAWS and more.bound() < 0.02
