"""Early stopping: a training that ends itself when its validation loss has no new best."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from traincost.training import Evaluation, Training

CHECK_EVERY, PATIENCE = 20, 3
"""Steps between looks, and looks without a new best."""


@dataclass
class EarlyStopping:
    """Takes steps until the validation loss has no longer a new best; then goes back to the best.

    Its looks are within the step. Beyond the end it trains on: the cost of a step can be counted.
    """

    training: Training
    validate: Callable[[], Evaluation]
    taken: int = field(default=0, init=False)
    best: float = field(default=math.inf, init=False)
    looks_without: int = field(default=0, init=False)
    kept: dict[str, Tensor] = field(default_factory=dict[str, Tensor], init=False)

    def step(self) -> object:
        """A step, and at times a look."""
        loss = self.training.step()
        self.taken += 1
        if self.taken % CHECK_EVERY == 0 and not self.is_over():
            self._look()
        return loss

    def is_over(self) -> bool:
        """Whether patience is at its end."""
        return self.looks_without >= PATIENCE

    def _look(self) -> None:
        model = self.training.model
        assert model is not None
        found = self.validate()["loss_heldout"]
        if found < self.best:
            self.best, self.looks_without = found, 0
            self.kept = copy.deepcopy(model.state_dict())
            return
        self.looks_without += 1
        if self.is_over():
            model.load_state_dict(self.kept)
