"""Finding a learning rate, and what it costs: a search of trials, and the range test.

**The search**, the same for every optimizer: one training at each of the six decades 1e-4 to 10,
one half a decade to either side of the best, one a quarter to either side of the best by then: ten
trials, each of the problem's budget at most, all from one seed that no result is reported for. A
trial ends at the target, when it diverges, or when it has taken as many steps as the best so far.
The best reaches the target in the fewest steps; where none does, it ends with the lowest loss.

**The range test** (L. Smith, arXiv 1506.01186): one training of 100 steps whose rate rises from
1e-6 to 100, evenly in its logarithm. Found is the rate at which the smoothed loss is lowest,
divided by 10, by the rule that its users go by.

Costs are of the trials' own steps, evaluation apart; FLOPs are those of one step, counted, times
steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from traincost.instruments.arithmetic import count
from traincost.snapshot import seed_all
from traincost.train import Trained, train_alone
from traincost.training import Budget, Training
from traincost_suites.problems import Problem, problem_of
from traincost_suites.problems.training import Recipe, training_of
from traincost_suites.schedules import RISING, rising

SEARCH_SEED = 1000
DECADES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
REFINEMENTS = (0.5, 0.25)  # decades to either side of the best
RANGE_STEPS, RANGE_TO = 100, 1e2
SMOOTHING = 0.9  # of the range test's losses: the share of the past
SAFETY = 10.0


@dataclass(frozen=True)
class Found:
    """A rate, and what it took to find it."""

    rate: float
    trials: int
    diverged: int  # of the trials
    steps: int  # of all trials
    train_s: float
    flops: int | None  # None where a step's are not known

    def metrics(self) -> Mapping[str, float]:
        """For the row."""
        told: dict[str, float] = {
            "learning_rate": self.rate,
            "search_trials": self.trials,
            "search_diverged_trials": self.diverged,
            "search_steps": self.steps,
            "search_time_s": self.train_s,
        }
        return told if self.flops is None else {**told, "search_flops": self.flops}


@dataclass(frozen=True)
class Trial:
    """One training of the search; trials are in the order of merit."""

    rate: float
    trained: Trained

    def merit(self) -> tuple[float, float, float]:
        """The lower the better: steps to the target, the last loss, the rate."""
        steps, loss = self.trained.steps_to_target, self.trained.evaluation.get("loss_heldout")
        is_lost = loss is None or self.trained.losses.diverged_at is not None
        return (
            math.inf if steps is None else steps,
            math.inf if loss is None or is_lost else loss,
            self.rate,
        )


@cache
def search_rate(
    problem_name: str, optimizer: str, device: str = "cpu", schedule: str = "constant"
) -> Found:
    """The best rate of ten trials, found once a process."""
    problem = problem_of(problem_name)
    trials: list[Trial] = []

    def take(rates: Iterable[float]) -> None:
        for rate in rates:
            recipe = Recipe(optimizer, rate, schedule)
            trials.append(
                Trial(rate, _trial(problem, recipe, device, _steps_left(problem, trials)))
            )

    take(DECADES)
    for decades in REFINEMENTS:
        best = min(trials, key=Trial.merit).rate
        take((best / 10**decades, best * 10**decades))
    steps = sum(t.trained.losses.loss_steps or 0 for t in trials)
    recipe = Recipe(optimizer, min(trials, key=Trial.merit).rate, schedule)
    return Found(
        rate=recipe.rate,
        trials=len(trials),
        diverged=sum(t.trained.losses.diverged_at is not None for t in trials),
        steps=steps,
        train_s=math.fsum(t.trained.train_s for t in trials),
        flops=_flops(problem, recipe, device, steps),
    )


def _steps_left(problem: Problem, trials: Iterable[Trial]) -> int:
    """No trial need be longer than the best so far."""
    reached = (t.trained.steps_to_target for t in trials)
    return min((s for s in reached if s is not None), default=problem.budget.steps)


def _trial(problem: Problem, recipe: Recipe, device: str, steps: int) -> Trained:
    budget = replace(problem.budget, steps=steps)
    seed_all(SEARCH_SEED)
    training = training_of(problem, recipe, SEARCH_SEED, device)
    return train_alone(training, problem.target, budget, device)


def _flops(problem: Problem, recipe: Recipe, device: str, steps: int) -> int | None:
    training = training_of(problem, recipe, SEARCH_SEED, device)
    training.step()  # the first makes the state
    flops = count(training.step, phase="step").flops
    return None if flops is None else steps * flops


@cache
def range_test(problem_name: str, optimizer: str, device: str = "cpu") -> Found:
    """The rate that one training under a rising rate points at."""
    budget = Budget(RANGE_STEPS, evaluate_every=RANGE_STEPS)
    problem = replace(problem_of(problem_name), budget=budget)
    recipe = Recipe(optimizer, RANGE_TO, RISING)
    seed_all(SEARCH_SEED)
    losses: list[float] = []
    training = _noting(training_of(problem, recipe, SEARCH_SEED, device), losses)
    trained = train_alone(training, None, budget, device)
    steps = trained.losses.loss_steps or 0
    return Found(
        rate=rate_at_lowest(losses) / SAFETY,
        trials=1,
        diverged=int(trained.losses.diverged_at is not None),
        steps=steps,
        train_s=trained.train_s,
        flops=_flops(problem, recipe, device, steps),
    )


def rate_at_lowest(losses: Iterable[float]) -> float:
    """The rate at which the mean of the losses, the past fading, is lowest; its bias corrected."""
    mean, lowest, rate = 0.0, math.inf, 0.0
    for i, loss in enumerate(losses):
        if not math.isfinite(loss):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** (i + 1))
        if smoothed < lowest:
            lowest, rate = smoothed, RANGE_TO * rising(i, RANGE_STEPS)
    return rate


def _noting(training: Training, losses: list[float]) -> Training:
    """The training, each of its losses noted."""

    def step() -> float:
        loss = float(training.step())  # type: ignore[arg-type]
        losses.append(loss)
        return loss

    return replace(training, step=step)
