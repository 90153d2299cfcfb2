"""One training, step by step through pytest-benchmark's runner, until its target or its budget.

Every step is a round: the device is waited for before and after, as in `train_cost`. Between the
rounds, untimed, the loss is read and, every so many steps, the training evaluated.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field

from traincost.calibrate import benchmark_outside_pytest
from traincost.data.profile import current_profile
from traincost.instruments import contention
from traincost.instruments.clock import Clock, RoundsDone
from traincost.instruments.energy import NoSource
from traincost.machine.device import open_device
from traincost.measure import Bench, Losses, Timing, number_of
from traincost.training import Budget, Evaluation, Target, Training


@dataclass(frozen=True)
class Trained:
    """How a training went."""

    timing: Timing
    train_s: float  # all steps, evaluation apart
    time_to_target_s: float | None  # of the steps up to the target
    losses: Losses
    evaluation: Evaluation  # the last one
    steps_to_target: int | None
    missed: str | None  # why that is None, where there is a target


def train(training: Training, target: Target | None, budget: Budget, bench: Bench) -> Trained:
    """Take steps until the target is met, the budget spent, or a number is not finite."""
    course = _Course(training, target, budget, bench)
    with bench.passing("training"):
        bench.clock.short_steps = False  # a training's own caches are part of it
        begun_s, waited_s = time.perf_counter(), contention.waited_s()
        with suppress(RoundsDone):
            bench.benchmark.pedantic(course.step, teardown=course.after, rounds=budget.steps)
        wall_s = time.perf_counter() - begun_s
        share = contention.waited_share(waited_s, contention.waited_s(), wall_s)
    first_s, *rest_s = course.rounds_s
    timing = Timing(
        first_step_s=first_s,
        rounds_s=tuple(rest_s) or (first_s,),
        iterations=1,
        steady=True,  # a training is timed whole; its first step has a column of its own
        waited_share=share,
        one_of_many=bench.profile.one_of_many,
    )
    return Trained(
        timing=timing,
        train_s=math.fsum(course.rounds_s),
        time_to_target_s=course.time_to_target_s,
        losses=course.losses(),
        evaluation=course.evaluation,
        steps_to_target=course.steps_to_target,
        missed=course.missed(),
    )


def train_alone(training: Training, target: Target | None, budget: Budget, device: str) -> Trained:
    """The same outside a case: a trial of a search, whose cost is to be known. `device` is a kind.

    Its passes are nobody's, and it is saved nowhere.
    """
    clock = Clock(open_device(device))
    bench = Bench(
        device=clock.device,
        clock=clock,
        energy=NoSource("not asked for"),
        profile=current_profile(),
        benchmark=benchmark_outside_pytest(clock),
        passing=lambda name: nullcontext(),
    )
    return train(training, target, budget, bench)


@dataclass
class _Course:
    """A training under way: `step` is timed, `after` is not."""

    training: Training
    target: Target | None
    budget: Budget
    bench: Bench
    result: object = None
    steps: int = 0
    spent_s: float = 0.0
    first: float | None = None
    last: float | None = None
    evaluation: Evaluation = field(default_factory=dict[str, float])
    steps_to_target: int | None = None
    time_to_target_s: float | None = None
    diverged: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def rounds_s(self) -> list[float]:
        """Seconds of each step so far."""
        taken: list[float] = self.bench.benchmark.stats.stats.data
        return taken

    def step(self) -> None:
        """One step; what it returns is read afterwards."""
        self.result = self.training.step()

    def after(self) -> None:
        """Read the loss, evaluate where it is time to, and end where there is a reason."""
        self.steps += 1
        self.spent_s += self.rounds_s[-1]
        self._read_loss()
        over = self._is_over()
        if over or self.steps % self.budget.evaluate_every == 0 or self.steps == self.budget.steps:
            self._evaluate()
        if over:
            raise RoundsDone

    def _is_over(self) -> bool:
        """Whether the time is spent, or the training says so itself."""
        if self.budget.seconds is not None and self.spent_s >= self.budget.seconds:
            return True
        return self.training.is_over is not None and self.training.is_over()

    def _read_loss(self) -> None:
        if self.result is None:
            return
        loss = number_of(self.result)
        if loss is None:
            kind = type(self.result).__name__
            raise TypeError(f"step returned a {kind}; expected its loss, one number, or None")
        if not math.isfinite(loss):
            self._end_diverged("loss_last", loss)
        self.first = loss if self.first is None else self.first
        self.last = loss

    def _evaluate(self) -> None:
        self.evaluation = {k: float(v) for k, v in self.training.evaluate().items()}
        for name, value in self.evaluation.items():
            if not math.isfinite(value):
                self._end_diverged(name, value)
        if self.target is None:
            return
        if self.target.name not in self.evaluation:
            given = ", ".join(self.evaluation) or "nothing"
            raise ValueError(f"target {self.target}: the evaluation gives {given}; expected it too")
        if self.steps_to_target is None and self.target.met_by(self.evaluation[self.target.name]):
            self.steps_to_target, self.time_to_target_s = self.steps, math.fsum(self.rounds_s)
            if self.budget.stop_at_target:
                raise RoundsDone

    def _end_diverged(self, name: str, value: float) -> None:
        self.diverged = {name: f"{value} at step {self.steps}"}
        self.evaluation = {}  # an earlier one may look good: it is no result of this training
        raise RoundsDone

    def losses(self) -> Losses:
        """The loss columns."""
        notes = dict(self.diverged)
        if self.first is None and not notes:
            notes["loss_first"] = "the step returns no loss"
        diverged_at = self.steps if self.diverged else None
        last = None if self.diverged else self.last
        return Losses(self.first, last, self.steps, diverged_at, notes)

    def missed(self) -> str | None:
        """Why the target was not reached."""
        if self.target is None or self.steps_to_target is not None:
            return None
        if self.diverged:
            return f"not reached, diverged at step {self.steps}"
        value = self.evaluation[self.target.name]
        seconds = self.budget.seconds
        is_timed_out = seconds is not None and self.spent_s >= seconds
        spent = f" and {seconds:g} s" if is_timed_out else ""
        return f"not reached in {self.steps} steps{spent}, {self.target.name} {value:.4g}"
