"""What is left of a gradient on its way back, and which units let none through.

Ratios are computed on a copy of the model in double precision: in single, a gradient that has lost
40 decades is 0, and how far it vanished could no longer be told.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from traincost_suites.models.deep import DeepNet, swiglu
from traincost_suites.models.recurrent import Recurrent, State, cut, windows

DEAD_BELOW = 1e-3
"""A unit is dead whose slope is below this on every sample; a leaky ReLU's is 0.01 at least."""


def depth_ratio(
    model: DeepNet,
    x: Tensor,  # (batch, ...)
    y: Tensor,  # (batch,)
) -> float:
    """Norm of the gradient at the first layer's weights over that at the head's; NaN if it is 0/0.

    In the mode of training: a BatchNorm takes the statistics of this batch.
    """
    twin = copy.deepcopy(model).double().train()
    loss = F.cross_entropy(twin(x.double()), y)
    first = next(twin.layers[0].parameters())  # its weights
    of_first, of_head = torch.autograd.grad(loss, (first, twin.head.weight))
    return _ratio(of_first, of_head)


def time_ratio(
    model: Recurrent,
    tokens: Tensor,  # (batch, seq)
    targets: Tensor,  # (batch, seq)
    window: int | None,
) -> float:
    """Norm of the gradient of the last step's loss at the first step's input over the last's.

    Exactly 0 where the window of truncated backpropagation lies between the two.
    """
    twin = copy.deepcopy(model).double()
    x = twin.embed(tokens).detach().requires_grad_()
    state: State = None
    *before, last = windows(x, window)
    for part in before:
        _, state = twin.unroll(part, cut(state))
    logits, _ = twin.unroll(last, cut(state))
    loss = F.cross_entropy(logits[:, -1], targets[:, -1])
    (of_inputs,) = torch.autograd.grad(loss, x)
    return _ratio(of_inputs[:, 0], of_inputs[:, -1])


def _ratio(first: Tensor, last: Tensor) -> float:
    return float(first.norm() / last.norm())


def dead_unit_share(
    model: DeepNet,
    x: Tensor,  # (batch, ...)
) -> float:
    """Share of all hidden units through whose activation no gradient passes, on any sample.

    In the mode of training, as the ratio is: a BatchNorm takes the statistics of this batch. Those
    that it gathers for evaluation are not there yet at the start.
    """
    twin = copy.deepcopy(model).train()
    slopes: list[Tensor] = []

    def note(_norm: nn.Module, _inputs: object, before: Tensor) -> None:
        slopes.append(_slopes(twin, before.detach()))

    for norm in twin.norms:
        norm.register_forward_hook(note)
    with torch.no_grad():
        twin(x)
    return float((torch.stack(slopes) < DEAD_BELOW).double().mean())


def _slopes(
    model: DeepNet,
    before: Tensor,  # (batch, width), twice as wide under SwiGLU
) -> Tensor:  # (width,)
    """The steepest slope of each unit over the batch, in any of its inputs."""
    with torch.enable_grad():
        z = before.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model.activation(z).sum(), z)
    steepest: Tensor = slope.abs().amax(0)
    if model.activation is swiglu:
        steepest = steepest.view(2, -1).amax(0)
    return steepest
