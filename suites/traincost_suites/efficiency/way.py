"""A training step done one way or another: the same work, as the rows are to say.

Every way is run by the one `train_step`, and what differs is data, so that rows of one model have
one workload and their times make a speedup.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from traincost_suites.trainee import Trainee


@dataclass(frozen=True)
class Way:
    """What a step is taken with."""

    trainee: Trainee
    micro_batches: tuple[tuple[Tensor, Tensor], ...]
    """Of one size; their gradients add up to one step."""
    attention: SDPBackend | None = None  # None: torch chooses
    scaler: torch.amp.GradScaler | None = None

    @property
    def model(self) -> nn.Module:
        """The model under training."""
        return self.trainee.model

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Its optimizer."""
        return self.trainee.optimizer

    def attending(self) -> AbstractContextManager[object]:
        """The context that attention runs in."""
        return nullcontext() if self.attention is None else sdpa_kernel(self.attention)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, scaled where they would else vanish in fp16."""
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        scaled.backward()  # type: ignore[no-untyped-call]

    def update(self) -> None:
        """A step of the optimizer; with a scaler none where a gradient is infinite."""
        if self.scaler is None:
            self.optimizer.step()
            return
        self.scaler.step(self.optimizer)
        self.scaler.update()


def train_step(way: Way) -> Tensor:
    """One training step on all micro-batches; the loss before it, on the device."""
    way.optimizer.zero_grad(set_to_none=True)
    with way.attending():
        loss = _accumulate(way) if len(way.micro_batches) > 1 else _whole(way)
    way.update()
    return loss


def _whole(way: Way) -> Tensor:
    (batch,) = way.micro_batches
    loss = way.trainee.loss(*batch)
    way.backward(loss)
    return loss.detach()


def _accumulate(way: Way) -> Tensor:
    n = len(way.micro_batches)
    losses: list[Tensor] = []
    for x, y in way.micro_batches:
        loss = way.trainee.loss(x, y) / n
        way.backward(loss)
        losses.append(loss.detach())
    return torch.stack(losses).sum()
