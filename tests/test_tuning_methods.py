"""Methods of search: what each proposes, and how long it lets a trial run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import util

import pytest

from traincost_suites.tuning.limits import N_CHUNKS
from traincost_suites.tuning.methods import (
    METHODS,
    Method,
    method_of,
)
from traincost_suites.tuning.space import (
    ACTIVATIONS,
    BATCHES,
    DEPTHS,
    RATES,
    WIDTHS,
    Config,
    grid_points,
)

OWN = ("grid", "random")
needs_optuna = pytest.mark.skipif(util.find_spec("optuna") is None, reason="optuna is missing")
EVERY = [pytest.param(m, marks=[] if m in OWN else needs_optuna) for m in METHODS]


def proposals(method: Method) -> Iterator[Config]:
    while (config := method.propose()) is not None:
        yield config


def test_the_grid_is_searched_once_through_in_an_order_of_the_seed() -> None:
    orders: list[list[Config]] = []
    for seed in (0, 1):
        method = method_of("grid", seed)
        orders.append(list(proposals(method)))
    assert orders[0] != orders[1]
    assert set(orders[0]) == set(orders[1]) == set(grid_points())


@pytest.mark.parametrize("name", EVERY)
def test_every_proposal_lies_in_the_space(name: str) -> None:
    method = method_of(name, 0)
    for _ in range(30):
        config = method.propose()
        assert config is not None
        assert WIDTHS[0] <= config.width <= WIDTHS[1]
        assert config.depth in DEPTHS
        assert config.activation in ACTIVATIONS
        assert RATES[0] <= config.rate <= RATES[1]
        assert config.batch_size in BATCHES
        method.ended(0.5)


def rungs(name: str, n_good: int) -> list[list[int]]:
    """Chunks of good trials, and then of bad ones, until the method ends them."""
    method = method_of(name, 0)
    taken: list[list[int]] = [[], []]
    for i in range(3 * n_good):
        method.propose()
        is_bad = i >= n_good
        accuracy = 0.1 if is_bad else 0.9
        chunks = 1
        while chunks < N_CHUNKS and method.goes_on(chunks, accuracy):
            chunks += 1
        method.ended(accuracy)
        taken[is_bad].append(chunks)
    return taken


@needs_optuna
def test_asha_ends_every_trial_that_falls_behind_at_its_first_rung() -> None:
    good, bad = rungs("asha", 9)
    assert set(good) == {N_CHUNKS}
    assert set(bad) == {1}


@needs_optuna
def test_hyperband_gives_some_trials_more_time_before_it_judges_them() -> None:
    _, bad = rungs("hyperband", 20)
    assert set(bad) == {1, 3, N_CHUNKS}, "its three brackets"


@pytest.mark.parametrize("name", [*OWN, pytest.param("tpe", marks=needs_optuna)])
def test_others_take_every_trial_to_its_end(name: str) -> None:
    good, bad = rungs(name, 12)
    assert {*good, *bad} == {N_CHUNKS}


@needs_optuna
def test_tpe_draws_where_it_was_good_once_it_has_drawn_its_first_ten() -> None:
    method = method_of("tpe", 0)
    rates: list[float] = []
    for _ in range(70):
        config = method.propose()
        assert config is not None
        rates.append(config.rate)
        method.ended(0.9 if 0.1 <= config.rate <= 1.0 else 0.1)
    hits = [0.1 <= rate <= 1.0 for rate in rates]
    assert sum(hits[:10]) <= 3
    assert sum(hits[-30:]) >= 10, "a fifth of the space would be 6"


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="method 'guess': expected one of grid, random, tpe"):
        method_of("guess", 0)
