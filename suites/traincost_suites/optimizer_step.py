"""An optimizer's step alone, on the parameters of a named model, with gradients that are there.

What it costs depends on the parameters' shapes and not on the data, so gradients are drawn. Those
of L-BFGS are set anew before every step, untimed, to the slope of a bowl: it learns from their
differences, and of one that stands still it would keep nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from traincost_suites.models import build
from traincost_suites.optimizers import HISTORY, make_optimizer, state_bytes, take_step

RATE = 1e-3
_GRADIENT = 0.01  # standard deviation


@dataclass(frozen=True)
class OptimizerStep:
    """A step to be timed; `setup` comes before each, where there is one."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: Callable[[], None]
    setup: Callable[[], None] | None

    def state_bytes(self) -> int:
        """What the optimizer keeps from step to step."""
        return state_bytes(self.optimizer)


def optimizer_step(model_name: str, optimizer_name: str, device: str) -> OptimizerStep:
    """The optimizer after as many steps as fill its state, ready for the next."""
    model = build(model_name, device=device)
    optimizer = make_optimizer(optimizer_name, model, RATE)
    parameters = [p for p in model.parameters() if p.requires_grad]
    generator = torch.Generator(device).manual_seed(0)
    drawn = [_GRADIENT * torch.empty_like(p).normal_(generator=generator) for p in parameters]
    no_loss = torch.zeros((), device=device)

    def step() -> None:
        if parameters[0].grad is None:  # dropped when the model's state was put back
            _give(parameters, drawn)
        take_step(optimizer, no_loss)

    def slope() -> None:
        with torch.no_grad():
            _give(parameters, [p * (1 + d.abs()) for p, d in zip(parameters, drawn, strict=True)])

    setup = slope if optimizer_name == "lbfgs" else None
    for _ in range(HISTORY + 2):
        if setup is not None:
            setup()
        step()
    return OptimizerStep(model, optimizer, step, setup)


def _give(parameters: list[nn.Parameter], gradients: list[Tensor]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
