"""Where does training crawl, converge and diverge as the rate grows, and what does a rate cost?

`constant_rate` trains at nine decades of rates. From the left: `loss_heldout` hardly moves
(crawls), falls further with each decade and reaches the target in ever fewer `steps_to_target`
(converges), then rises, gets stuck high or becomes no number, `status` `diverged`. An adaptive
optimizer or one on a bounded surface may end in a bad place without ever being infinite: look at
`loss_last` against `loss_first`. The decades that reach the target are the width of what works.

`schedule` trains under one, to the end of the budget: `loss_heldout` at the end is what a schedule
buys, `steps_to_target` the first evaluation at the target, which a schedule that keeps its rate low
for long reaches later. Each has the peak rate (`metric_learning_rate`) of a search of its own, for
the fewest steps to the target and not for the lowest end.
`plateau` halves the rate when the training loss no longer falls.

`find_rate` compares ways to a rate by what they cost, `metric_search_time_s`,
`metric_search_flops` and `metric_search_steps`, and by what the rate then achieves on the row: ten
trials (`search`), or one short training under a rising rate (`range-test`).
The share of a rate's cost in the whole is `search_steps / (search_steps + steps_to_target)`.

Steps come in tens. Seeds are rows; the rate was found from another seed than theirs.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from traincost.run_fixture import TrainRun
from traincost_suites.available import available
from traincost_suites.grids import grid
from traincost_suites.problems import problem_of
from traincost_suites.problems.training import Recipe, maker
from traincost_suites.rate_search import range_test, search_rate

METHODS = {"search": search_rate, "range-test": range_test}


@pytest.mark.parametrize(*grid("constant_rate"))
def test_constant_rate(
    train_run: TrainRun,
    problem: str,
    optimizer: str,
    rate: str,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """A training at one rate, whatever becomes of it."""
    chosen = problem_of(problem)
    make = maker(chosen, Recipe(optimizer, float(rate)), device)
    train_run(
        lambda seed: available(make, seed),
        target=chosen.target,
        budget=chosen.budget,
        seed=seed,
        metrics={"learning_rate": float(rate)},
    )


@pytest.mark.parametrize(*grid("schedule"))
def test_schedule(
    train_run: TrainRun,
    problem: str,
    optimizer: str,
    schedule: str,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """A training under a schedule, over the whole of its budget."""
    found = available(search_rate, problem, optimizer, device, schedule)
    chosen = problem_of(problem)
    train_run(
        maker(chosen, Recipe(optimizer, found.rate, schedule), device),
        target=chosen.target,
        budget=replace(chosen.budget, stop_at_target=False),
        seed=seed,
        metrics=found.metrics(),
    )


@pytest.mark.parametrize(*grid("find_rate"))
def test_find_rate(
    train_run: TrainRun,
    problem: str,
    optimizer: str,
    method: str,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """A training at the rate that a method found, and what finding it took."""
    found = available(METHODS[method], problem, optimizer, device)
    chosen = problem_of(problem)
    train_run(
        maker(chosen, Recipe(optimizer, found.rate), device),
        target=chosen.target,
        budget=chosen.budget,
        seed=seed,
        metrics=found.metrics(),
    )
