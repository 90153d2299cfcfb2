"""A ravine: an ill-conditioned quadratic, the surface on which plain gradient descent zigzags.

    f(W) = 1/2 e^T H e,   e = vec(W - W*),   H = Q diag(h) Q^T

W is a matrix, so that every optimizer applies. The curvatures h lie evenly in their logarithm from
1/CONDITION to 1, and Q is a random rotation: a diagonal preconditioner, Adam's, does not simply
undo H. The start is drawn from the seed and scaled to f = 1; W* and Q are the same for all seeds.
Gradient descent is stable below a rate of 2 (over the largest curvature, 1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from traincost.training import Budget, Evaluation, Target
from traincost_suites.problems.problem import Objective, Problem

SIDE = 16
CONDITION = 1000.0


class Quadratic(nn.Module):
    """The surface, with its point as the parameter; the forward pass is its height."""

    hessian: Tensor  # (SIDE^2, SIDE^2)
    minimum: Tensor  # (SIDE, SIDE)

    def __init__(self, seed: int) -> None:
        super().__init__()
        fixed = torch.Generator().manual_seed(0)
        n = SIDE * SIDE
        rotation, _ = torch.linalg.qr(
            torch.randn(n, n, generator=fixed, dtype=torch.float64), mode="reduced"
        )
        curvatures = torch.logspace(0, -1, n, base=CONDITION, dtype=torch.float64)
        self.register_buffer("hessian", ((rotation * curvatures) @ rotation.T).float())
        self.register_buffer("minimum", torch.randn(SIDE, SIDE, generator=fixed))
        offset = torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
        self.point = nn.Parameter(self.minimum + offset)
        with torch.no_grad():
            self.point.copy_(self.minimum + offset / self.forward().sqrt())

    def forward(self) -> Tensor:  # ()
        """The height at the point."""
        e = (self.point - self.minimum).flatten()
        return 0.5 * e.dot(self.hessian @ e)


def _start(seed: int, device: str) -> Objective:
    model = Quadratic(seed).to(device)

    def evaluate() -> Evaluation:
        with torch.no_grad():
            return {"loss_heldout": float(model())}

    return Objective(model, model, evaluate, samples=1)


QUADRATIC = Problem(_start, Target("loss_heldout", 1e-4), Budget(steps=1000, evaluate_every=10))
