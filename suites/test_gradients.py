"""What does it cost to keep gradients alive through depth and time, and what does it buy?

`depth` trains perceptrons on digits, `time` recurrent nets on bytes, with one remedy or none, by
SGD with momentum 0.9. A remedy may need another rate than none, so each net of `depth` has its own,
found by one search for all of them (`traincost_suites.deep_rate`: six rates, two seeds apart):
`metric_learning_rate`, with `metric_search_trials`, `_diverged_trials`, `_steps` and `_time_s`. In
`time` the rate is an axis, `axis_rate`: whether training survives it is the question. A step there
is of as many bytes at every length, and a training of the same text.

Cost: `time_median_s`, `flops`, `step_peak_bytes` and `n_params` of a row against the row of remedy
`none`. Clipping and truncation are in the step. Truncation spares memory and no FLOPs;
`clipped-truncation` is both together.

Benefit: `grad_norm_ratio` at the start, `metric_trained_grad_norm_ratio` at the end of the budget:
the norm of the gradient at the first layer over that at the last (`depth`), or of the last loss at
the first step's input over that at the last step's (`time`). Near 1 it flows; at 1e-8 and below,
single precision adds nothing to a weight any more; far above 1 it explodes. Exactly 0 in `time` is
truncation, which cuts it, or 1024 steps of a bounded cell, after which double precision holds no
more of it. What it is good for: `loss_heldout` at the end of the same number of steps for all,
`steps_to_target` at the first evaluation that meets the target, 2.30 being chance on digits and
5.55 on bytes. `status` `diverged`: a loss was no finite number.

`metric_dead_unit_share`, `metric_trained_dead_unit_share`: hidden units whose activation has a
slope below 0.001 on all samples held out, in the mode of training; they learn nothing more.

A remedy may mend the ratio and not the training. Where there is one seed, compare decades.
"""

from __future__ import annotations

from typing import cast

import pytest

from traincost.run_fixture import TrainRun
from traincost.training import Training
from traincost_suites.available import available
from traincost_suites.deep_rate import deep_rate
from traincost_suites.gradient_flow import dead_unit_share, depth_ratio, time_ratio
from traincost_suites.grids import grid
from traincost_suites.models.deep import DeepNet
from traincost_suites.models.recurrent import Recurrent
from traincost_suites.problems import gradients


@pytest.mark.parametrize(*grid("gradient_depth"))
def test_depth(
    train_run: TrainRun,
    activation: str,
    depth: int,
    remedy: str,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """A deep net, and what its gradient is at the start and after training."""
    problem = gradients.deep_problem(activation, depth, remedy)
    batch = available(gradients.held_out_digits, device)
    found = deep_rate(activation, depth, remedy)
    model = gradients.deep_net(activation, depth, remedy, seed, device)
    train_run(
        gradients.gradient_maker(problem, remedy, found.rate, device),
        target=problem.target,
        budget=problem.budget,
        seed=seed,
        metrics={
            **found.metrics(),
            "grad_norm_ratio": depth_ratio(model, *batch),
            "dead_unit_share": dead_unit_share(model, batch[0]),
            "trained_grad_norm_ratio": lambda t: depth_ratio(_deep(t), *batch),
            "trained_dead_unit_share": lambda t: dead_unit_share(_deep(t), batch[0]),
        },
    )


@pytest.mark.parametrize(*grid("gradient_time"))
def test_time(
    train_run: TrainRun,
    cell: str,
    seq_len: int,
    remedy: str,
    rate: str,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """A recurrent net unrolled over a sequence."""
    problem = gradients.recurrent_problem(cell, seq_len, remedy)
    batch, window = available(gradients.sequences, seq_len, device), gradients.window_of(remedy)
    model = gradients.recurrent_net(cell, seed, device)
    train_run(
        gradients.gradient_maker(problem, remedy, float(rate), device),
        target=problem.target,
        budget=problem.budget,
        seed=seed,
        metrics={
            "grad_norm_ratio": time_ratio(model, *batch, window),
            "trained_grad_norm_ratio": lambda t: time_ratio(_recurrent(t), *batch, window),
        },
    )


def _deep(training: Training) -> DeepNet:
    return cast(DeepNet, training.model)


def _recurrent(training: Training) -> Recurrent:
    return cast(Recurrent, training.model)
