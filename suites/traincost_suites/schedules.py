"""Learning-rate schedules: the rate of each step, as a share of the peak rate.

Closed forms of t, counted from 0, of T steps; beyond them the rate stays at its last. `plateau`
alone looks at the training: it is torch's `ReduceLROnPlateau` on the mean training loss of a window
of steps, whose reading makes the device wait once a window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

WARM_UP = 0.1  # of the steps
ONE_CYCLE_UP = 0.3
ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 25e4
"""Shares of the peak: those of `torch.optim.lr_scheduler.OneCycleLR`."""
STEP_DECAY = ((0.75, 0.01), (0.5, 0.1))  # (from this part of the steps on, this share)
RANGE = 1e-8
WINDOW = 20
PATIENCE, FACTOR = 1, 0.5
"""A plateau is a second window that is no better than the best; then half the rate."""


def constant(t: int, steps: int) -> float:
    """The peak throughout."""
    return 1.0


def warm_up_cosine(t: int, steps: int) -> float:
    """Linear from 0 over the warm-up, then half a cosine to 0 at the last step."""
    warm = max(1, round(WARM_UP * steps))
    if t < warm:
        return (t + 1) / (warm + 1)
    done = min(1.0, (t - warm) / max(1, steps - 1 - warm))
    return 0.5 * (1 + math.cos(math.pi * done))


def one_cycle(t: int, steps: int) -> float:
    """Half a cosine up from a 25th, half a cosine down to next to nothing (L. Smith, 2017).

    Momentum stays as it is: only the rate has a cycle here.
    """
    peak = max(1.0, ONE_CYCLE_UP * steps - 1)
    if t <= peak:
        return _between(ONE_CYCLE_START, 1.0, t / peak)
    return _between(1.0, ONE_CYCLE_END, min(1.0, (t - peak) / max(1.0, steps - 1 - peak)))


def step_decay(t: int, steps: int) -> float:
    """A tenth from half of the steps on, a hundredth from three quarters on."""
    return next((share for part, share in STEP_DECAY if t >= part * steps), 1.0)


def rising(t: int, steps: int) -> float:
    """From a hundred-millionth to the peak, evenly in its logarithm: the range test."""
    return math.pow(RANGE, 1 - min(1.0, t / max(1, steps - 1)))


def _between(start: float, end: float, done: float) -> float:
    """Half a cosine from start to end."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))


SCHEDULES: Mapping[str, Callable[[int, int], float]] = MappingProxyType(
    {
        "constant": constant,
        "warm-up-cosine": warm_up_cosine,
        "one-cycle": one_cycle,
        "step-decay": step_decay,
        "rising": rising,
    }
)
PLATEAU, RISING = "plateau", "rising"
NAMES = (*SCHEDULES, PLATEAU)


@dataclass
class Scheduled:
    """A schedule at work on an optimizer: told the loss of each step, it sets the next rate."""

    optimizer: torch.optim.Optimizer
    peak: float
    share: Callable[[int, int], float]
    steps: int
    taken: int = field(default=0, init=False)

    def before(self) -> None:
        """Set the rate of the coming step."""
        set_rate(
            self.optimizer, self.peak * self.share(min(self.taken, self.steps - 1), self.steps)
        )
        self.taken += 1

    def after(self, loss: Tensor) -> None:
        """Nothing to learn from it."""


@dataclass
class Plateau:
    """The rate halved where the loss no longer falls."""

    optimizer: torch.optim.Optimizer
    peak: float
    losses: list[Tensor] = field(default_factory=list[Tensor], init=False)

    def __post_init__(self) -> None:
        self._probe = torch.optim.SGD([torch.zeros(())], lr=self.peak)  # what torch's sets
        self._torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._probe, factor=FACTOR, patience=PATIENCE
        )

    def before(self) -> None:
        """The rate stands already."""

    def after(self, loss: Tensor) -> None:
        """At the end of a window, compare it with the best."""
        self.losses.append(loss)
        if len(self.losses) == WINDOW:
            self._torchs.step(float(torch.stack(self.losses).mean()))
            self.losses.clear()
            set_rate(self.optimizer, float(self._probe.param_groups[0]["lr"]))


def scheduled(
    name: str, optimizer: torch.optim.Optimizer, peak: float, steps: int
) -> Scheduled | Plateau:
    """The named schedule for this optimizer.

    Raises:
        ValueError: an unknown name.
    """
    if name == PLATEAU:
        return Plateau(optimizer, peak)
    if name not in SCHEDULES:
        raise ValueError(f"schedule {name!r}: expected one of {', '.join(NAMES)}")
    return Scheduled(optimizer, peak, SCHEDULES[name], steps)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate of all groups, from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate
