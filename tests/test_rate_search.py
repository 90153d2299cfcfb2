"""The search for a rate and the range test; and the truths about rates that they rest on."""

from __future__ import annotations

import math

import pytest

from traincost.instruments.arithmetic import count
from traincost.train import Trained, train_alone
from traincost.training import Budget
from traincost_suites.problems import problem_of
from traincost_suites.problems.training import Recipe, training_of
from traincost_suites.rate_search import (
    DECADES,
    RANGE_STEPS,
    SEARCH_SEED,
    Found,
    range_test,
    rate_at_lowest,
    search_rate,
)
from traincost_suites.schedules import rising

pytestmark = pytest.mark.usefixtures("one_thread")

RAVINE = "quadratic"
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def sgd() -> Found:
    return search_rate(RAVINE, "sgd")


@pytest.fixture(scope="module")
def momentum() -> Found:
    return search_rate(RAVINE, "momentum")


def at(optimizer: str, rate: float, seed: int, steps: int | None = None) -> Trained:
    problem = problem_of(RAVINE)
    training = training_of(problem, Recipe(optimizer, rate), seed, "cpu")
    budget = Budget(steps or problem.budget.steps, problem.budget.evaluate_every)
    return train_alone(training, problem.target, budget, "cpu")


def steps_of(optimizer: str, found: Found) -> list[int]:
    reached = [at(optimizer, found.rate, seed).steps_to_target for seed in SEEDS]
    return [steps for steps in reached if steps is not None]


# --- known truths, from measured values --------------------------------------------------------


@pytest.mark.thorough
def test_momentum_beats_gradient_descent_on_the_ravine(sgd: Found, momentum: Found) -> None:
    slow, fast = steps_of("sgd", sgd), steps_of("momentum", momentum)
    assert len(slow) == len(fast) == len(SEEDS)
    assert 3 * max(fast) < min(slow)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_rate_ten_times_too_high_diverges(
    optimizer: str, seed: int, request: pytest.FixtureRequest
) -> None:
    found: Found = request.getfixturevalue(optimizer)
    assert at(optimizer, 10 * found.rate, seed).losses.diverged_at is not None


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_rate_ten_times_too_low_takes_at_least_three_times_the_steps(
    optimizer: str, seed: int, request: pytest.FixtureRequest
) -> None:
    found: Found = request.getfixturevalue(optimizer)
    steps = at(optimizer, found.rate, seed).steps_to_target
    assert steps is not None
    low = at(optimizer, found.rate / 10, seed, steps=3 * steps - 1)
    assert low.losses.loss_steps == 3 * steps - 1
    assert low.steps_to_target is None


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "lbfgs"])
def test_two_trainings_of_one_seed_are_identical(optimizer: str) -> None:
    first, second = (at(optimizer, 0.5, 0, steps=100) for _ in range(2))
    assert first.losses == second.losses
    assert first.evaluation == second.evaluation
    assert first.steps_to_target == second.steps_to_target


# --- the search --------------------------------------------------------------------------------


def test_every_search_has_ten_trials_and_tells_what_they_took(sgd: Found, momentum: Found) -> None:
    for found in (sgd, momentum):
        assert found.trials == 10
        assert found.train_s > 0
        assert len(DECADES) * 10 <= found.steps <= 10 * problem_of(RAVINE).budget.steps
    training = training_of(problem_of(RAVINE), Recipe("sgd", sgd.rate), SEARCH_SEED, "cpu")
    flops = count(training.step, phase="step").flops
    assert flops is not None
    assert sgd.flops == sgd.steps * flops


def test_the_search_finds_gradient_descents_best_rate_to_a_quarter_of_a_decade(sgd: Found) -> None:
    best = 2 / (1 + 1e-3)  # over the sum of the extreme curvatures
    assert best / 10**0.25 <= sgd.rate <= best


def test_a_rate_that_diverges_is_counted_and_never_chosen(sgd: Found) -> None:
    assert sgd.diverged == 2  # 10, and 3.2
    assert sgd.rate < 2


@pytest.mark.thorough
def test_a_search_repeats(momentum: Found) -> None:
    search_rate.cache_clear()
    again = search_rate(RAVINE, "momentum")
    assert (again.rate, again.steps, again.flops) == (momentum.rate, momentum.steps, momentum.flops)


def test_the_search_seed_is_none_of_the_rows() -> None:
    assert SEARCH_SEED not in range(100)


# --- the range test ----------------------------------------------------------------------------


def test_the_lowest_of_the_smoothed_losses_names_the_rate() -> None:
    losses = [1.0 - 0.01 * i for i in range(60)] + [2.0**i for i in range(1, 30)]
    rate = rate_at_lowest(losses)
    assert rate == pytest.approx(1e2 * rising(59, RANGE_STEPS))


def test_one_lucky_batch_does_not_name_the_rate() -> None:
    losses = [1.0 - 0.01 * i for i in range(80)]
    assert rate_at_lowest([*losses[:20], 0.05, *losses[21:]]) == rate_at_lowest(losses)


def test_what_comes_after_a_divergence_is_not_looked_at() -> None:
    assert rate_at_lowest([1.0, 0.5, math.nan, 0.0]) == pytest.approx(1e2 * rising(1, RANGE_STEPS))


def test_the_range_test_costs_one_short_training_and_its_rate_works(sgd: Found) -> None:
    found = range_test(RAVINE, "sgd")
    assert (found.trials, found.steps) == (1, RANGE_STEPS)
    assert 10 * found.steps < sgd.steps
    assert 0.01 < found.rate < 2
