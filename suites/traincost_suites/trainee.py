"""A model in training: on its device, in its precision, with its optimizer, and one step of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from traincost_suites.models import build

AUTOCAST = "autocast-"
DTYPES = MappingProxyType(
    {
        "fp32": torch.float32,
        "tf32": torch.float32,  # a precision of the products, which the plugin switches
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
    }
)
OPTIMIZERS = ("adamw", "sgd")


def torch_dtype(dtype: str) -> torch.dtype:
    """The dtype of parameters and activations under the axis value `dtype`."""
    found = DTYPES.get(dtype)
    if found is None:
        raise ValueError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
    return found


def eager_loss(
    logits: Tensor,  # (rows, classes)
    target: Tensor,  # (rows,)
) -> Tensor:  # ()
    """Cross-entropy in fp32, whatever the logits' dtype."""
    return F.cross_entropy(logits.float(), target)


@dataclass(frozen=True)
class Trainee:
    """A model, its optimizer and the precision they run in: what a step on any batch needs."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    device: str
    autocast: torch.dtype | None
    loss_of: Callable[[Tensor, Tensor], Tensor] = eager_loss  # (logits, target), both flattened

    def precision(self) -> AbstractContextManager[object]:
        """The context in which the forward pass runs."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.device, self.autocast)

    def loss(
        self,
        x: Tensor,  # (batch, ...)
        y: Tensor,  # (batch,) or (batch, seq)
        model: nn.Module | None = None,
    ) -> Tensor:  # ()
        """Forward pass and cross-entropy."""
        with self.precision():
            logits = (model or self.model)(x)
        return self.loss_of(logits.flatten(0, -2), y.flatten())


def train_step(trainee: Trainee, x: Tensor, y: Tensor) -> Tensor:
    """One training step on a batch; the loss before it, on the device."""
    trainee.optimizer.zero_grad(set_to_none=True)
    loss = trainee.loss(x, y)
    loss.backward()  # type: ignore[no-untyped-call]
    trainee.optimizer.step()
    return loss.detach()


def make_trainee(
    model_name: str,
    device: str,
    dtype: str,
    *,
    seq_len: int = 128,
    optimizer: str = "adamw",
    seed: int = 0,
) -> Trainee:
    """The model on its device in its dtype, in training mode, and its optimizer."""
    autocast = torch_dtype(dtype.removeprefix(AUTOCAST)) if dtype.startswith(AUTOCAST) else None
    stored = torch.float32 if autocast else torch_dtype(dtype)
    model = build(model_name, seed=seed, device=device, seq_len=seq_len).to(stored).train()
    return Trainee(model, _make_optimizer(optimizer, model, stored), device, autocast)


def _make_optimizer(name: str, model: nn.Module, stored: torch.dtype) -> torch.optim.Optimizer:
    if name == "adamw":
        # The usual 1e-8 is 0 in fp16, and a row of the embedding without gradient would become 0/0.
        eps = 1e-4 if stored == torch.float16 else 1e-8
        return torch.optim.AdamW(model.parameters(), lr=3e-4, eps=eps)
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=0.01)
    raise ValueError(f"optimizer {name!r}: expected one of {', '.join(OPTIMIZERS)}")


def to_device(
    x: Tensor,  # (batch, ...)
    trainee: Trainee,
) -> Tensor:  # (batch, ...)
    """An input on the trainee's device, in its dtype if it is floating point."""
    stored = next(trainee.model.parameters()).dtype if x.is_floating_point() else None
    return x.to(trainee.device, stored, non_blocking=True)
