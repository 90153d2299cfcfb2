"""How much data does a training need, and what does it cost to need less?

`samples` trains a perceptron on digits and a small GPT on bytes, on `dataset_samples` of them,
drawn evenly, always over the same number of steps and so at the same compute. Down the samples,
remedy `none`: `loss_heldout` and `accuracy_heldout` fall short, and `metric_gap_loss_nats` (held
out less trained on) and `metric_gap_accuracy_share` (trained on less held out) grow: what was
learned is the samples. Across the remedies: `time_median_s` and `flops` against the row of `none`
are the price of a step, and the fewest samples with which a remedy reaches the target against those
that `none` needs are what it saves in data.

Remedies: `early-stopping` keeps every fifth sample from training, looks at their loss every 20
steps within the step (`time_mean_s` has it, the median does not), ends after three looks without a
new best (`loss_steps` says when) and goes back to the best; `augmentation` turns, scales and shifts
digits a little and draws a twentieth of the bytes anew; `dropout` drops a fifth of the activations;
`weight-decay` is AdamW's, 0.5. The rate is the same for all, 0.003; nothing was tuned for a remedy.

`compute` has few samples and many over growing numbers of steps: compute is `flops` times
`loss_steps`. Where `loss_heldout` turns upward while `metric_training_loss_nats` still falls, more
compute does harm, and only data helps.

Held out are 179 digits and 128 texts of 64 bytes: one digit is 0.006 of accuracy, a difference of
0.03 may be chance. Seeds are rows. The samples are the same for all seeds, weights and order are
not.
"""

from __future__ import annotations

import pytest

from traincost.run_fixture import TrainRun
from traincost_suites.available import available
from traincost_suites.grids import grid
from traincost_suites.problems.data_needs import RATE, held_out, needs_maker, problem_with


@pytest.mark.parametrize(*grid("data_samples"))
def test_samples(
    train_run: TrainRun,
    data: str,
    dataset_samples: int,
    remedy: str,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """A training on so many samples, with a remedy or none."""
    available(held_out, data)
    problem = problem_with(data, dataset_samples, remedy)
    train_run(
        needs_maker(data, dataset_samples, remedy, device),
        target=problem.target,
        budget=problem.budget,
        seed=seed,
        metrics={"learning_rate": RATE},
    )


@pytest.mark.parametrize(*grid("data_compute"))
def test_compute(
    train_run: TrainRun,
    data: str,
    dataset_samples: int,
    steps: int,
    seed: int,
    device: str,
    dtype: str,
) -> None:
    """A training over so many steps."""
    available(held_out, data)
    problem = problem_with(data, dataset_samples, "none", steps)
    train_run(
        needs_maker(data, dataset_samples, "none", device, steps),
        target=problem.target,
        budget=problem.budget,
        seed=seed,
        metrics={"learning_rate": RATE},
    )
