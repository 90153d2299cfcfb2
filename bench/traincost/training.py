"""A whole training, as `train_run` takes one: what a step does, what is evaluated, when it ends."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Evaluation = Mapping[str, float]
"""Results by name: `loss_heldout`, `accuracy_heldout`, or a suite's own `<name>_<unit>`."""


@dataclass(frozen=True)
class Training:
    """A training at its start, on its device; `make(seed)` builds it anew.

    Everything random in it is drawn from the seed: weights, the order of the data, dropout. torch's
    global generator has been seeded with it when `make` is called.
    """

    step: Callable[[], object]
    """One training step on the next batch; returns its loss (0-dimensional tensor or float).

    Without `.item()`, which would make the device wait. It may be called more often than the budget
    says: the passes that count its cost take a few steps more.
    """
    evaluate: Callable[[], Evaluation]
    """Results on held-out data, or the exact loss of a synthetic problem as `loss_heldout`.

    Untimed. It leaves the training as it was (the mode of the model, the random numbers).
    """
    samples: int
    """Samples of one step."""
    tokens: int | None = None
    """Tokens of one step, where there are any."""
    model: torch.nn.Module | None = None
    """For its parameters' count and memory."""
    optimizer: torch.optim.Optimizer | None = None
    """For its state's memory."""
    is_over: Callable[[], bool] | None = None
    """Asked after each step, untimed: whether the training ends itself, as by early stopping."""


@dataclass(frozen=True)
class Target:
    """What a training is to reach: a result of its evaluation at a value, or beyond it.

    A loss is to fall to the value, an accuracy to rise to it; other names say which.
    """

    name: str
    value: float
    rises: bool | None = None  # None: as the name has it

    def __post_init__(self) -> None:
        if self.rises is None and self._known() is None:
            raise ValueError(
                f"target {self.name!r}: expected a name with loss or accuracy in it, or `rises`"
            )
        if not math.isfinite(self.value):
            raise ValueError(f"target {self.name} {self.value}: expected a finite number")

    def _known(self) -> bool | None:
        found = [rises for word, rises in _DIRECTIONS.items() if word in self.name]
        return found[0] if found else None

    @property
    def is_above(self) -> bool:
        """Whether values at the target and above it meet it."""
        return bool(self._known() if self.rises is None else self.rises)

    def met_by(self, value: float) -> bool:
        """Whether `value` is at the target or beyond; NaN is not."""
        return value >= self.value if self.is_above else value <= self.value

    def __str__(self) -> str:
        return f"{self.name} {'>=' if self.is_above else '<='} {self.value:g}"


_DIRECTIONS = {"accuracy": True, "loss": False}


@dataclass(frozen=True)
class Budget:
    """When a training ends that does not reach its target, and how often it is evaluated.

    `steps_to_target` is a multiple of `evaluate_every` (or all of the steps): cases that are
    compared take the same. `seconds` are of training alone, evaluation apart; where they end it,
    the number of steps depends on the machine.
    """

    steps: int
    evaluate_every: int
    seconds: float | None = None
    stop_at_target: bool = True
    """False: train on to the end; steps and time to target are those of its first evaluation."""

    def __post_init__(self) -> None:
        for name in ("steps", "evaluate_every"):
            if operator.index(getattr(self, name)) < 1:
                raise ValueError(f"budget {name}={getattr(self, name)}: expected 1 or more")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"budget seconds={self.seconds}: expected more than 0")
