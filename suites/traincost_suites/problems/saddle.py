"""A saddle: a deep linear net, started small, near the point where every gradient vanishes.

    f = ||W_L ... W_1 - T||^2 / ||T||^2

The product is linear in what it can express, not in how it is reached: at W = 0 the gradient is 0
and so are the first L - 1 derivatives, and a small start spends its first steps on the plateau
around it, f = 1 (A. Saxe, J. McClelland, S. Ganguli, arXiv 1312.6120). T has singular values from
1 down to 1/10, learned one after the other: a staircase. The start is drawn from the seed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from traincost.training import Budget, Evaluation, Target
from traincost_suites.problems.problem import Objective, Problem

SIDE = 16
DEPTH = 4
GAIN = 0.4
"""Of the start, against the gain that would keep a vector's length: the product's is its power."""


class DeepLinear(nn.Module):
    """The net; the forward pass is its distance from the target."""

    goal: Tensor  # (SIDE, SIDE)

    def __init__(self, seed: int) -> None:
        super().__init__()
        fixed, drawn = (torch.Generator().manual_seed(s) for s in (0, seed))
        left, right = (
            torch.linalg.qr(torch.randn(SIDE, SIDE, generator=fixed)).Q for _ in range(2)
        )
        self.register_buffer("goal", (left * torch.linspace(1.0, 0.1, SIDE)) @ right.T)
        self.weights = nn.ParameterList(
            GAIN / SIDE**0.5 * torch.randn(SIDE, SIDE, generator=drawn) for _ in range(DEPTH)
        )

    def forward(self) -> Tensor:  # ()
        """The distance at these weights."""
        product: Tensor = self.weights[0]
        for weight in self.weights[1:]:
            product = weight @ product
        off: Tensor = (product - self.goal).square().sum() / self.goal.square().sum()
        return off


def _start(seed: int, device: str) -> Objective:
    model = DeepLinear(seed).to(device)

    def evaluate() -> Evaluation:
        with torch.no_grad():
            return {"loss_heldout": float(model())}

    return Objective(model, model, evaluate, samples=1)


SADDLE = Problem(_start, Target("loss_heldout", 0.01), Budget(steps=1000, evaluate_every=10))
