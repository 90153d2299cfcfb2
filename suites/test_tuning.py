"""What does finding a configuration by trial and error cost, and which search is cheap?

Every method searches one space (width, depth, activation, learning rate and batch size of a
perceptron on the digits: `traincost_suites.tuning.space`) until a trial's held-out accuracy reaches
`target`, or its budget is spent: 2e11 FLOPs, 15,000 steps or 30 s of training. `grid` and `random`
need nothing; `tpe`, `hyperband` and `asha` are Optuna's (`pip install 'traincost[tuning]'`, else
`unavailable`), with the options that `traincost_suites.tuning.methods` names.

A row is the search of one `method` from one `seed`, the seed of its choices and of every trial's
weights and batches. `metric_search_flops` and `metric_search_time_s` are the price of all its
trials to the target, evaluation apart; `_trials`, `_steps`, `_diverged_trials` (ended in a number
that is none) and `_ended_early_trials` (by the method) say how they were spent, and
`_proposal_time_s` is the method's own thinking. The row's other columns are of the trial that won,
trained once more and timed: its `axis_width`, `axis_depth`, `axis_activation`, `batch_size` and
`metric_learning_rate`, and `steps_to_target` times `flops`, what the training would have cost if
one had known. Where `steps_to_target` is empty no trial reached the target, and the row is of the
best.

Compare medians over seeds (ten in `standard`, one in `quick`, which shows only that it runs):
searches are luck, and their cost spreads tenfold and more. TPE draws its first ten trials at
random, the very ones that Hyperband and ASHA draw of that seed: where a search takes no more, TPE
is random search, and the three differ in the trials that they end early alone. Held-out accuracy
chose the configuration and is an optimistic word for it: 179 digits, one of which is 0.6%.
"""

from __future__ import annotations

import pytest

from traincost.run_fixture import TrainRun
from traincost.training import Budget
from traincost_suites.grids import grid
from traincost_suites.tuning.limits import CHUNK
from traincost_suites.tuning.methods import TunerUnavailableError
from traincost_suites.tuning.search import search
from traincost_suites.tuning.space import TARGET, training_at


@pytest.mark.parametrize(*grid("tuning"))
def test_to_target(train_run: TrainRun, method: str, seed: int, device: str, dtype: str) -> None:
    """A search, and the trial that won once more."""
    try:
        found = search(method, seed, device)
    except TunerUnavailableError as lacking:
        pytest.skip(str(lacking))
    best = found.best
    config = best.config
    train_run(
        lambda seed: training_at(config, seed, device),
        target=TARGET,
        budget=Budget(best.steps, CHUNK),
        seed=seed,
        axes={
            "width": config.width,
            "depth": config.depth,
            "activation": config.activation,
            "batch_size": config.batch_size,
        },
        metrics=found.metrics(),
    )
