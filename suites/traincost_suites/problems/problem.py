"""A problem to train on: where a training of it starts, and what it is to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from traincost.training import Budget, Evaluation, Target


@dataclass(frozen=True)
class Objective:
    """One start of a problem, drawn from a seed, on a device."""

    model: nn.Module
    loss: Callable[[], Tensor]
    """Of the next batch, with its graph."""
    evaluate: Callable[[], Evaluation]
    samples: int
    tokens: int | None = None


@dataclass(frozen=True)
class Problem:
    """What all optimizers are given alike: starts, a target and a budget."""

    start: Callable[[int, str], Objective]
    """(seed, device): everything random in it is drawn from the seed."""
    target: Target
    budget: Budget
