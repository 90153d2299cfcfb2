"""A training of a problem: an optimizer at a rate, under a schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from traincost.training import Training
from traincost_suites.optimizers import make_optimizer, state_bytes, take_step
from traincost_suites.problems.problem import Objective, Problem
from traincost_suites.schedules import Plateau, Scheduled, scheduled


@dataclass(frozen=True)
class Recipe:
    """How a problem is trained."""

    optimizer: str
    rate: float  # the peak, where it is scheduled
    schedule: str = "constant"


def train_step(objective: Objective, schedule: Scheduled | Plateau) -> Tensor:
    """One step on the next batch; the loss before it, on the device."""
    schedule.before()
    optimizer = schedule.optimizer
    optimizer.zero_grad(set_to_none=True)
    loss = objective.loss()
    loss.backward()  # type: ignore[no-untyped-call]
    take_step(optimizer, loss)
    now = loss.detach()
    schedule.after(now)
    return now


def training_of(problem: Problem, recipe: Recipe, seed: int, device: str) -> Training:
    """The training at its start; its schedule spans the problem's budget."""
    objective = problem.start(seed, device)
    optimizer = make_optimizer(recipe.optimizer, objective.model, recipe.rate)
    schedule = scheduled(recipe.schedule, optimizer, recipe.rate, problem.budget.steps)
    return Training(
        step=partial(train_step, objective, schedule),
        evaluate=objective.evaluate,
        samples=objective.samples,
        tokens=objective.tokens,
        model=objective.model,
        optimizer=optimizer,
    )


def maker(problem: Problem, recipe: Recipe, device: str) -> Callable[[int], Training]:
    """`make` of `train_run`."""
    return lambda seed: training_of(problem, recipe, seed, device)


def kept_bytes(training: Training) -> int:
    """What the optimizer of a training keeps by now."""
    return 0 if training.optimizer is None else state_bytes(training.optimizer)
