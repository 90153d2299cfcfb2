"""The learning rate of a deep net: the same small search for every one, with a remedy or without.

A remedy may need a rate ten times lower or higher than another, and at one rate for all it is the
rate that is ranked. So each net is trained at each of six rates, half a decade apart, from two
seeds that no result is reported for. The rate whose held-out losses at the end have the lowest mean
is its own; one that diverges from either seed is the last choice.

The search runs on one thread of the CPU, which trains nets this small the fastest, and so the rows
of all devices and of any number of threads are of one rate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch

from traincost.snapshot import seed_all
from traincost.train import Trained, train_alone
from traincost.training import Budget
from traincost_suites.problems.gradients import deep_problem, gradient_maker

RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SEARCH_SEEDS = (1000, 1001)
DEVICE = "cpu"


@dataclass(frozen=True)
class DeepRate:
    """A rate, and what it took to find it."""

    rate: float
    trials: int
    diverged: int  # of the trials
    steps: int  # of all trials
    train_s: float

    def metrics(self) -> Mapping[str, float]:
        """For the row."""
        return {
            "learning_rate": self.rate,
            "search_trials": self.trials,
            "search_diverged_trials": self.diverged,
            "search_steps": self.steps,
            "search_time_s": self.train_s,
        }


@cache
def deep_rate(activation: str, depth: int, remedy: str) -> DeepRate:
    """The best of the rates for this net, found once a process; of equals the lowest."""
    with _one_thread():
        found = {
            rate: [_trial(activation, depth, remedy, rate, seed) for seed in SEARCH_SEEDS]
            for rate in RATES
        }
    trials = [t for of_rate in found.values() for t in of_rate]
    return DeepRate(
        rate=min(RATES, key=lambda rate: statistics.fmean(map(loss_at_end, found[rate]))),
        trials=len(trials),
        diverged=sum(t.losses.diverged_at is not None for t in trials),
        steps=sum(t.losses.loss_steps or 0 for t in trials),
        train_s=math.fsum(t.train_s for t in trials),
    )


@contextmanager
def _one_thread() -> Generator[None, None, None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def loss_at_end(trained: Trained) -> float:
    """On what is held out; infinite where the training diverged."""
    return trained.evaluation.get("loss_heldout", math.inf)


def _trial(activation: str, depth: int, remedy: str, rate: float, seed: int) -> Trained:
    problem = deep_problem(activation, depth, remedy)
    steps = problem.budget.steps
    seed_all(seed)
    training = gradient_maker(problem, remedy, rate, DEVICE)(seed)
    return train_alone(training, None, Budget(steps, evaluate_every=steps), DEVICE)
