"""Two models that learn real data: a perceptron the digits, a GPT the bytes of Python's library.

Batches are drawn before the training starts, shuffled from the seed, epoch after epoch, and lie on
the device. Held out is every tenth sample (`data.dataset`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import cycle

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from traincost.training import Budget, Evaluation, Target
from traincost_suites.data.source import dataset
from traincost_suites.models import build
from traincost_suites.problems.problem import Objective, Problem

Samples = tuple[Tensor, Tensor]  # (n, ...) and (n,) or (n, seq)


@cache
def samples_of(kind: str, n: int, seq_len: int, *, held_out: bool) -> Samples:
    """The first `n` samples of a kind of data, in host memory."""
    found = dataset(kind, n, seq_len=seq_len, held_out=held_out)
    x, y = zip(*(found[i] for i in range(n)), strict=True)
    return torch.stack(x), torch.stack(y)


def shuffled_batches(samples: Samples, batch_size: int, n_batches: int, seed: int) -> list[Samples]:
    """So many batches, epoch after epoch in an order of its own; an incomplete last one dropped."""
    x, y = samples
    generator = torch.Generator().manual_seed(seed)
    batches: list[Samples] = []
    while len(batches) < n_batches:
        order = torch.randperm(len(x), generator=generator)
        for first in range(0, len(x) - batch_size + 1, batch_size):
            indices = order[first : first + batch_size]
            batches.append((x[indices], y[indices]))
    return batches[:n_batches]


def evaluation_of(model: nn.Module, samples: Samples) -> Callable[[], Evaluation]:
    """Loss and accuracy on the samples, as one batch, in the mode of evaluation."""
    x, y = samples

    def evaluate() -> Evaluation:
        mode = model.training
        model.eval()
        with torch.no_grad():
            logits = model(x).flatten(0, -2).float()
            loss = F.cross_entropy(logits, y.flatten())
            accuracy = (logits.argmax(-1) == y.flatten()).float().mean()
        model.train(mode)
        return {"loss_heldout": float(loss), "accuracy_heldout": float(accuracy)}

    return evaluate


def supervised(
    model: nn.Module, training: list[Samples], held_out: Samples, device: str
) -> Objective:
    """A model that learns batches in turn, from the first again when they are used up."""
    batches = cycle([(x.to(device), y.to(device)) for x, y in training])
    x, y = training[0]

    def loss() -> Tensor:
        x, y = next(batches)
        return F.cross_entropy(model(x).flatten(0, -2).float(), y.flatten())

    return Objective(
        model=model,
        loss=loss,
        evaluate=evaluation_of(model, (held_out[0].to(device), held_out[1].to(device))),
        samples=len(x),
        tokens=y.numel() if y.dim() > 1 else None,
    )


def _start(
    model_name: str, kind: str, sizes: tuple[int, int, int], seq_len: int, seed: int, device: str
) -> Objective:
    n_training, n_held_out, batch_size = sizes
    model = build(model_name, seed=seed, device=device, seq_len=seq_len).train()
    training = samples_of(kind, n_training, seq_len, held_out=False)
    held_out = samples_of(kind, n_held_out, seq_len, held_out=True)
    batches = shuffled_batches(training, batch_size, 1000, seed)
    return supervised(model, batches, held_out, device)


DIGITS = Problem(
    partial(_start, "mlp-10k", "digits", (1618, 179, 64), 0),
    Target("loss_heldout", 0.15),
    Budget(steps=600, evaluate_every=10),
)
TEXT = Problem(
    partial(_start, "gpt-10k", "bytes", (2048, 128, 8), 64),
    Target("loss_heldout", 2.8),
    Budget(steps=250, evaluate_every=10),
)
