"""A search: one trial after another until one reaches the target or the limits are spent.

A trial is trained in chunks of steps, from the search's own seed, and evaluated after each. What it
took is its steps times the FLOPs of a step, counted, and the seconds of its steps, evaluation
apart. A chunk that the limits have no room for is cut short: FLOPs and steps never pass them. The
seconds are looked at after every step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from traincost.train import Trained, train_alone
from traincost.training import Budget
from traincost_suites.tuning.limits import CHUNK, N_CHUNKS, SEARCH, Limits
from traincost_suites.tuning.methods import Method, method_of
from traincost_suites.tuning.space import TARGET, Config, step_flops, training_at


@dataclass
class Trial:
    """One configuration trained, and what that took."""

    config: Config
    flops_per_step: int
    steps: int = 0
    train_s: float = 0.0
    accuracy: float | None = None  # the last one; None of a training that diverged
    reached: bool = False
    diverged: bool = False
    ended_early: bool = False  # by the method

    @property
    def flops(self) -> int:
        """Of all its steps."""
        return self.steps * self.flops_per_step

    @property
    def merit(self) -> tuple[bool, float]:
        """The higher the better."""
        return self.reached, -math.inf if self.accuracy is None else self.accuracy

    def add(self, took: Trained) -> None:
        """Some steps more."""
        self.steps += took.losses.loss_steps or 0
        self.train_s += took.train_s
        self.accuracy = took.evaluation.get(TARGET.name)
        self.reached = took.steps_to_target is not None
        self.diverged = took.losses.diverged_at is not None


@dataclass
class Search:
    """All trials of a search, in their order."""

    limits: Limits
    trials: list[Trial] = field(default_factory=list[Trial])
    proposal_s: float = 0.0  # the method's own thinking

    @property
    def steps(self) -> int:
        """Of all trials."""
        return sum(t.steps for t in self.trials)

    @property
    def flops(self) -> int:
        """Of all trials."""
        return sum(t.flops for t in self.trials)

    @property
    def train_s(self) -> float:
        """Of all trials."""
        return math.fsum(t.train_s for t in self.trials)

    @property
    def best(self) -> Trial:
        """The one that reached the target, else the first of the highest accuracy."""
        return max(self.trials, key=lambda t: t.merit)

    def steps_left(self, trial: Trial) -> int:
        """Steps of this trial that the limits have room for."""
        if self.train_s >= self.limits.seconds:
            return 0
        by_flops = (self.limits.flops - self.flops) // trial.flops_per_step
        return min(by_flops, self.limits.steps - self.steps)

    @contextmanager
    def thinking(self) -> Generator[None, None, None]:
        """Time of the method's own."""
        begun_s = time.perf_counter()
        yield
        self.proposal_s += time.perf_counter() - begun_s

    def metrics(self) -> Mapping[str, float]:
        """For the row."""
        return {
            "learning_rate": self.best.config.rate,
            "search_trials": len(self.trials),
            "search_diverged_trials": sum(t.diverged for t in self.trials),
            "search_ended_early_trials": sum(t.ended_early for t in self.trials),
            "search_steps": self.steps,
            "search_flops": self.flops,
            "search_time_s": self.train_s,
            "search_proposal_time_s": self.proposal_s,
        }


def search(name: str, seed: int, device: str = "cpu", limits: Limits = SEARCH) -> Search:
    """Search by the named method.

    Raises:
        ValueError: an unknown method, or limits without room for the first step.
        TunerUnavailableError: the method needs what is not installed.
    """
    method = method_of(name, seed)
    found = Search(limits)
    while True:
        with found.thinking():
            config = method.propose()
        if config is None:
            break
        trial = Trial(config, step_flops(config, device))
        if found.steps_left(trial) == 0:
            break  # a smaller one may fit, but the size of the next is not for the limit to choose
        found.trials.append(trial)
        _train(trial, found, method, seed, device)
        if trial.reached:
            break
    if not found.trials:
        raise ValueError(f"limits flops={limits.flops}: expected room for the first step")
    return found


def _train(trial: Trial, found: Search, method: Method, seed: int, device: str) -> None:
    """Train until the target, the trial's end, the method's, or that of the limits."""
    training = training_at(trial.config, seed, device)
    for chunk in range(1, N_CHUNKS + 1):
        steps = min(CHUNK, found.steps_left(trial))
        if steps == 0:
            break
        seconds = found.limits.seconds - found.train_s
        trial.add(train_alone(training, TARGET, Budget(steps, steps, seconds), device))
        if trial.reached or trial.diverged or chunk == N_CHUNKS:
            break
        with found.thinking():
            trial.ended_early = not method.goes_on(chunk, trial.accuracy or 0.0)
        if trial.ended_early:
            break
    with found.thinking():
        method.ended(trial.accuracy)
