"""Trainings on few samples or many, with what is said to make up for missing ones.

The number of steps is the same however many samples there are: a tenth of the samples are seen ten
times as often, at the same compute. AdamW without decay but where decay is the remedy. Batches are
drawn before the first step; augmentation and dropout draw their random numbers within it, and
early stopping looks at its validation samples within it: that is their price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from traincost.training import Budget, Evaluation, Target, Training
from traincost_suites.data.augment import augmented
from traincost_suites.data.dataset import HELD_OUT_EVERY
from traincost_suites.models import build
from traincost_suites.models.gpt import Gpt
from traincost_suites.models.mlp import Mlp
from traincost_suites.problems.learned import (
    Samples,
    evaluation_of,
    samples_of,
    shuffled_batches,
)
from traincost_suites.problems.problem import Objective, Problem
from traincost_suites.problems.stopping import EarlyStopping
from traincost_suites.problems.training import Recipe, training_of

AUGMENTATION, DROPOUT, STOPPING, DECAY = "augmentation", "dropout", "early-stopping", "weight-decay"
REMEDIES = ("none", STOPPING, AUGMENTATION, DROPOUT, DECAY)
DROPPED = 0.2
DECAY_RATE = 0.5
"""Of AdamW: a weight without gradient loses this share of the rate a step."""
VALIDATED = 5  # every fifth sample, kept from training
COMPARED = 256
"""Training samples, at most, that the gap is measured on."""
RATE = 3e-3


@dataclass(frozen=True)
class Kind:
    """Data, the model that learns it, and what counts as learned."""

    data: str
    model: str
    seq_len: int
    pool: int  # samples, of which those of a row are drawn evenly: first ones are alike
    n_held_out: int
    batch_size: int
    target: Target
    steps: int


KINDS = {
    "digits": Kind("digits", "mlp-10k", 0, 1618, 179, 32, Target("accuracy_heldout", 0.9), 300),
    "text": Kind("bytes", "gpt-10k", 64, 8192, 128, 8, Target("loss_heldout", 2.8), 300),
}


def kind_of(data: str) -> Kind:
    """The kind of data of that name.

    Raises:
        ValueError: there is none.
    """
    if data not in KINDS:
        raise ValueError(f"data {data!r}: expected one of {', '.join(KINDS)}")
    return KINDS[data]


def held_out(data: str) -> Samples:
    """The samples that every row of this data is judged on."""
    kind = kind_of(data)
    pool = samples_of(kind.data, kind.pool // (HELD_OUT_EVERY - 1), kind.seq_len, held_out=True)
    return spread(pool, kind.n_held_out)


def spread(samples: Samples, n_samples: int) -> Samples:
    """So many of the samples, evenly spaced.

    Raises:
        ValueError: there are not so many.
    """
    x, y = samples
    if not 0 < n_samples <= len(x):
        raise ValueError(f"dataset_samples {n_samples}: expected 1 to {len(x)}")
    chosen = torch.arange(n_samples) * len(x) // n_samples
    return x[chosen], y[chosen]


def problem_with(data: str, n_samples: int, remedy: str, steps: int | None = None) -> Problem:
    """The training on the first `n_samples`, over `steps` or the usual number.

    Raises:
        ValueError: unknown data or remedy.
    """
    if remedy not in REMEDIES:
        raise ValueError(f"remedy {remedy!r}: expected one of {', '.join(REMEDIES)}")
    kind = kind_of(data)
    budget = Budget(steps or kind.steps, evaluate_every=20, stop_at_target=False)
    start = partial(_start, data, n_samples, remedy, budget.steps)
    return Problem(start, kind.target, budget)


def _start(name: str, n_samples: int, remedy: str, steps: int, seed: int, device: str) -> Objective:
    kind = kind_of(name)
    model = build(kind.model, seed=seed, device=device, seq_len=kind.seq_len).train()
    if remedy == DROPOUT:
        add_dropout(model)
    x, y = training_samples(kind, n_samples, remedy)
    held = held_out(name)
    batches = [
        (x.to(device), y.to(device))
        for x, y in shuffled_batches((x, y), kind.batch_size, steps, seed)
    ]
    change = augmented(kind.data) if remedy == AUGMENTATION else None
    return Objective(
        model=model,
        loss=partial(_loss, model, cycle(batches), change),
        evaluate=_evaluation(model, spread((x, y), min(COMPARED, len(x))), held, device),
        samples=kind.batch_size,
        tokens=kind.batch_size * kind.seq_len or None,
    )


def training_samples(kind: Kind, n_samples: int, remedy: str) -> Samples:
    """Those trained on: without every fifth where that is for validation."""
    x, y = spread(samples_of(kind.data, kind.pool, kind.seq_len, held_out=False), n_samples)
    kept = torch.arange(len(x)) % VALIDATED != VALIDATED - 1
    return (x[kept], y[kept]) if remedy == STOPPING else (x, y)


def validation_samples(kind: Kind, n_samples: int) -> Samples:
    """Every fifth of them."""
    x, y = spread(samples_of(kind.data, kind.pool, kind.seq_len, held_out=False), n_samples)
    return x[VALIDATED - 1 :: VALIDATED], y[VALIDATED - 1 :: VALIDATED]


def _loss(
    model: nn.Module,
    batches: cycle[Samples],
    change: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    x, y = next(batches)
    logits = model(x if change is None else change(x))
    return F.cross_entropy(logits.flatten(0, -2).float(), y.flatten())


def _evaluation(
    model: nn.Module, trained_on: Samples, held: Samples, device: str
) -> Callable[[], Evaluation]:
    on_held_out, on_trained = (
        evaluation_of(model, (x.to(device), y.to(device))) for x, y in (held, trained_on)
    )

    def evaluate() -> Evaluation:
        held, trained = on_held_out(), on_trained()
        loss, accuracy = trained["loss_heldout"], trained["accuracy_heldout"]
        return {
            **held,
            "training_loss_nats": loss,
            "gap_loss_nats": held["loss_heldout"] - loss,
            "gap_accuracy_share": accuracy - held["accuracy_heldout"],
        }

    return evaluate


def add_dropout(model: nn.Module) -> None:
    """Dropout after each activation of a perceptron, after each block of a GPT.

    Raises:
        TypeError: of another model.
    """
    if isinstance(model, Mlp):
        for i, layer in enumerate(model.layers):
            if isinstance(layer, nn.ReLU):
                model.layers[i] = nn.Sequential(layer, nn.Dropout(DROPPED))
    elif isinstance(model, Gpt):
        for i, block in enumerate(model.blocks):
            model.blocks[i] = nn.Sequential(block, nn.Dropout(DROPPED))
    else:
        raise TypeError(f"dropout in a {type(model).__name__}: expected an Mlp or a Gpt")


def needs_maker(
    data: str, n_samples: int, remedy: str, device: str, steps: int | None = None
) -> Callable[[int], Training]:
    """`make` of `train_run`."""
    problem = problem_with(data, n_samples, remedy, steps)

    def make(seed: int) -> Training:
        training = training_of(problem, Recipe("adamw-single", RATE), seed, device)
        assert training.optimizer is not None
        assert training.model is not None
        for group in training.optimizer.param_groups:
            group["weight_decay"] = DECAY_RATE if remedy == DECAY else 0.0
        if remedy != STOPPING:
            return training
        x, y = validation_samples(kind_of(data), n_samples)
        validate = evaluation_of(training.model, (x.to(device), y.to(device)))
        stopping = EarlyStopping(training, validate)
        return replace(training, step=stopping.step, is_over=stopping.is_over)

    return make
