"""Which optimizer is worth its memory and its step, on which kind of difficulty?

`optimizer_step` times the optimizer's step alone, over the parameters of a model: `time_median_s`
over `n_params` is its price a step, `aten_ops` and `traffic_bytes` say why, and
`metric_optimizer_state_bytes` is what it keeps from step to step (0, 1 or 2 numbers a parameter,
the rows and columns of a matrix for Adafactor, 22 for L-BFGS with ten pairs). AdamW as a loop
(`adamw-single`), over lists (`-foreach`) and in one kernel (`-fused`) does the same arithmetic.

`to_target` trains four problems, each hard in its own way: `quadratic` is a ravine of condition
1000, `saddle` a deep linear net that starts on the plateau around zero, `digits` a perceptron and
`text` a small GPT on bytes. Every optimizer has the rate that the same search of ten trials found
for it (`traincost_suites.rate_search`) from a seed that is not among the rows';
`metric_learning_rate` is that rate, and `metric_search_time_s`, `_flops`, `_steps` and
`_diverged_trials` are what finding it cost. All else is at torch's defaults, so a row speaks for an
optimizer with a tuned rate and nothing else tuned.

Read `steps_to_target` for what a step achieves, `time_to_target_s` and `energy_to_target_j` for
what that costs, `loss_heldout` where the target was not reached (the exact loss on the first two
problems). Steps come in tens. Each seed is a row: the spread over `seed` is the noise of a start,
and two optimizers whose ranges overlap are not told apart. The problems are small: which optimizer
wins on them says little of a large model, what a step of it costs does.
"""

from __future__ import annotations

import pytest

from traincost.fixture import TrainCost
from traincost.run_fixture import TrainRun
from traincost_suites.available import available
from traincost_suites.grids import grid
from traincost_suites.optimizer_step import optimizer_step
from traincost_suites.problems import problem_of
from traincost_suites.problems.training import Recipe, kept_bytes, maker
from traincost_suites.rate_search import search_rate


@pytest.mark.parametrize(*grid("optimizer_step"))
def test_optimizer_step(
    train_cost: TrainCost, optimizer: str, model: str, device: str, dtype: str
) -> None:
    """The step of an optimizer alone."""
    work = optimizer_step(model, optimizer, device)
    train_cost(
        work.step,
        samples=1,
        phase="optimizer",
        model=work.model,
        optimizer=work.optimizer,
        setup=work.setup,
        metrics={"optimizer_state_bytes": work.state_bytes()},
    )


@pytest.mark.parametrize(*grid("optimizer_target"))
def test_to_target(
    train_run: TrainRun, problem: str, optimizer: str, seed: int, device: str, dtype: str
) -> None:
    """A training to the target, at the optimizer's own rate."""
    found = available(search_rate, problem, optimizer, device)
    chosen = problem_of(problem)
    train_run(
        maker(chosen, Recipe(optimizer, found.rate), device),
        target=chosen.target,
        budget=chosen.budget,
        seed=seed,
        metrics={**found.metrics(), "optimizer_state_bytes": kept_bytes},
    )
