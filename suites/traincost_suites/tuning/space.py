"""The search space, the same for every method: a perceptron on the digits, and how it is trained.

    width 8 to 128 · depth 1 to 5 · sigmoid, tanh or ReLU · rate 1e-4 to 10 · batch 16 to 256

Width and rate are drawn evenly in their logarithm, the others evenly over their values. SGD with
momentum 0.9. The grid has a few values of each axis, in all combinations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random
from types import MappingProxyType

from torch import Tensor, nn

from traincost.instruments.arithmetic import count
from traincost.snapshot import seed_all
from traincost.training import Target, Training
from traincost_suites.problems.learned import samples_of, shuffled_batches, supervised
from traincost_suites.problems.problem import Objective, Problem
from traincost_suites.problems.training import Recipe, training_of
from traincost_suites.tuning.limits import TRIAL

WIDTHS = (8, 128)  # ends
DEPTHS = (1, 2, 3, 4, 5)
ACTIVATIONS = MappingProxyType({"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU})
RATES = (1e-4, 10.0)  # ends
BATCHES = (16, 32, 64, 128, 256)
GRID = (
    (8, 32, 128),
    (1, 3, 5),
    tuple(ACTIVATIONS),
    (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
    (16, 64, 256),
)
"""Widths, depths, activations, rates, batch sizes, from end to end: 486 combinations."""

TARGET = Target("accuracy_heldout", 0.96)
"""About one configuration in 25, drawn at random, reaches it: 172 of the 179 digits held out."""
N_TRAINING, N_HELD_OUT, N_INPUTS, N_CLASSES = 1618, 179, 64, 10


@dataclass(frozen=True)
class Config:
    """A point of the search space."""

    width: int
    depth: int
    activation: str
    rate: float
    batch_size: int


class Perceptron(nn.Module):
    """Hidden layers of one width and activation; torch's default initialisation."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = N_INPUTS
        for _ in range(config.depth):
            layers += [nn.Linear(n_in, config.width), ACTIVATIONS[config.activation]()]
            n_in = config.width
        self.layers = nn.Sequential(*layers, nn.Linear(n_in, N_CLASSES))

    def forward(
        self,
        x: Tensor,  # (batch, 1, 8, 8)
    ) -> Tensor:  # (batch, classes)
        """Logits of the classes."""
        logits: Tensor = self.layers(x.flatten(1))
        return logits


def grid_points() -> list[Config]:
    """All combinations of the grid's values."""
    return [Config(*point) for point in product(*GRID)]


def drawn(random: Random) -> Config:
    """A configuration at random."""
    return Config(
        width=round(_log_uniform(random, *WIDTHS)),
        depth=random.choice(DEPTHS),
        activation=random.choice(list(ACTIVATIONS)),
        rate=_log_uniform(random, *RATES),
        batch_size=random.choice(BATCHES),
    )


def _log_uniform(random: Random, low: float, high: float) -> float:
    return math.exp(random.uniform(math.log(low), math.log(high)))


def training_at(config: Config, seed: int, device: str) -> Training:
    """A training at its start; weights and the order of the data are drawn from the seed."""

    def start(seed: int, device: str) -> Objective:
        seed_all(seed)
        model = Perceptron(config).to(device).train()
        samples = samples_of("digits", N_TRAINING, 0, held_out=False)
        held_out = samples_of("digits", N_HELD_OUT, 0, held_out=True)
        batches = shuffled_batches(samples, config.batch_size, TRIAL.steps, seed)
        return supervised(model, batches, held_out, device)

    return training_of(Problem(start, TARGET, TRIAL), Recipe("momentum", config.rate), seed, device)


def step_flops(config: Config, device: str) -> int:
    """FLOPs of a training step, counted; its activation and its rate have no part in them."""
    return _step_flops(config.width, config.depth, config.batch_size, device)


@cache
def _step_flops(width: int, depth: int, batch_size: int, device: str) -> int:
    config = Config(width, depth, "relu", RATES[0], batch_size)
    flops = count(training_at(config, 0, device).step, phase="step").flops
    assert flops is not None, "every op of a perceptron has a formula"
    return flops
