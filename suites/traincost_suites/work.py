"""One training step of a named model on a real batch, and its phases, ready to be timed.

Everything is built here, outside the timed region: the model on its device, the optimizer, the
batch resident on the device. A step is zero_grad, forward, loss, backward, optimizer step; it
returns the loss as a tensor, since reading its value would make the host wait.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from traincost_suites.data.dataset import ShardDataset, TokenDataset
from traincost_suites.data.source import VOCABULARY, dataset
from traincost_suites.models import family
from traincost_suites.trainee import Trainee, make_trainee, to_device, train_step

PHASES = MappingProxyType(
    {
        "step": "step",
        "forward": "forward",
        "backward": "backward",
        "optimizer": "optimizer_step",
    }
)


def forward_pass(trainee: Trainee, x: Tensor, y: Tensor) -> Tensor:
    """Forward pass and loss, with the graph that a backward pass would need."""
    return trainee.loss(x, y).detach()


@dataclass(frozen=True)
class Work:
    """A step on one resident batch, and its phases apart, as callables without arguments.

    `backward` and `optimizer_step` build what they need when they are read: read them untimed.
    """

    trainee: Trainee
    x: Tensor
    y: Tensor
    samples: int
    tokens: int | None  # None for data that has none
    axes: Mapping[str, object]  # of the data: for the row

    @property
    def model(self) -> nn.Module:
        """The model under training."""
        return self.trainee.model

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Its optimizer."""
        return self.trainee.optimizer

    @property
    def step(self) -> Callable[[], Tensor]:
        """A whole training step; the loss."""
        return partial(train_step, self.trainee, self.x, self.y)

    @property
    def forward(self) -> Callable[[], Tensor]:
        """Forward pass and loss."""
        return partial(forward_pass, self.trainee, self.x, self.y)

    @cached_property
    def backward(self) -> Callable[[], None]:
        """A backward pass on a retained graph; no gradient is accumulated.

        The graph hangs on a copy of the model: putting the model's own state back between the
        passes of a measurement would invalidate it.
        """
        twin = copy.deepcopy(self.model)
        parameters = [p for p in twin.parameters() if p.requires_grad]
        loss = self.trainee.loss(self.x, self.y, twin)

        def backward() -> None:
            torch.autograd.grad(loss, parameters, retain_graph=True)

        return backward

    @cached_property
    def optimizer_step(self) -> Callable[[], None]:
        """An optimizer step on the gradients of one backward pass, kept from step to step."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(self.trainee.loss(self.x, self.y), parameters)
        optimizer = self.optimizer

        def optimizer_step() -> None:
            if parameters[0].grad is None:  # dropped when the model's state was put back
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
            optimizer.step()

        return optimizer_step

    def phase(self, name: str) -> Callable[[], Tensor | None]:
        """The callable of a phase: `step`, `forward`, `backward` or `optimizer`.

        Raises:
            ValueError: another name.
        """
        if name not in PHASES:
            raise ValueError(f"phase {name!r}: expected one of {', '.join(PHASES)}")
        found: Callable[[], Tensor | None] = getattr(self, PHASES[name])
        return found


def training_step(
    model_name: str,
    batch_size: int,
    device: str = "cpu",
    dtype: str = "fp32",
    *,
    seq_len: int = 128,
    optimizer: str = "adamw",
    seed: int = 0,
) -> Work:
    """A training step of `model_name` on the first `batch_size` samples of its data.

    Raises:
        ValueError: an unknown model, dtype or optimizer.
        DataUnavailableError: this machine lacks the model's data.
    """
    kind = family(model_name).data
    samples = dataset(kind, batch_size, seq_len=seq_len)
    batch: tuple[Tensor, Tensor] = default_collate([samples[i] for i in range(batch_size)])
    trainee = make_trainee(
        model_name, device, dtype, seq_len=seq_len, optimizer=optimizer, seed=seed
    )
    return Work(
        trainee,
        to_device(batch[0], trainee),
        batch[1].to(device),
        samples=batch_size,
        tokens=tokens_of(kind, batch_size, seq_len),
        axes=data_axes(samples, seq_len),
    )


def tokens_of(kind: str, n_samples: int, seq_len: int) -> int | None:
    """Tokens of so many samples; None for data that has none."""
    return n_samples * seq_len if kind in VOCABULARY else None


def data_axes(samples: ShardDataset, seq_len: int) -> Mapping[str, object]:
    """What a row says of its data: where it is from, its hash, and the length of a sequence."""
    axes: dict[str, object] = {
        "data": samples.shards.name.partition("-")[0],
        "data_sha256": samples.shards.sha256[:16],
    }
    return axes | ({"seq_len": seq_len} if isinstance(samples, TokenDataset) else {})


def run_step(model_name: str, batch_size: int, *, device: str, dtype: str) -> None:
    """Build a training step and take two: the second has the optimizer's state beside the rest."""
    work = training_step(model_name, batch_size, device, dtype)
    work.step()
    work.step().item()  # an error of the device surfaces here at the latest
