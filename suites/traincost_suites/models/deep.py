"""A deep perceptron whose difficulty is its depth, and what is done about it, one thing at a time.

    h_0 = x,  h_i = f(norm(W_i h_{i-1} + b_i)),  logits = W_out h_depth + b_out

With `residual`, h_i = h_{i-1} + f(W_i h_{i-1} + b_i) from the second layer on. Without an
initialisation asked for, weights are at torch's default: variance 1/(3 n), a third of what keeps a
vector's length, so that each layer takes something from the signal forward and from the gradient
backward. SwiGLU's layers have two products, W_i of twice the width: f(a, b) = silu(a) b
(N. Shazeer, arXiv 2002.05202).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 64  # that of the digits, 8 x 8 pixels
N_CLASSES = 10


def swiglu(
    x: Tensor,  # (rows, 2 * width)
) -> Tensor:  # (rows, width)
    """One half through SiLU, as a gate of the other."""
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": F.relu,
        "leaky-relu": F.leaky_relu,  # slope 0.01 below 0
        "gelu": F.gelu,
        "silu": F.silu,
        "swiglu": swiglu,
    }
)
NORMS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {"batch-norm": nn.BatchNorm1d, "layer-norm": nn.LayerNorm, "rms-norm": nn.RMSNorm}
)
INITIALISATIONS: Mapping[str, Callable[[Tensor], object]] = MappingProxyType(
    {  # variance 2/(n_in + n_out) and 2/n_in
        "xavier": nn.init.xavier_normal_,
        "he": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    }
)
CLIPPING = "clipping"  # no part of a model: `problems.gradients`
REMEDIES = ("none", *INITIALISATIONS, *NORMS, "residual", CLIPPING)


class DeepNet(nn.Module):
    """`depth` hidden layers of one width under one activation, and the head."""

    def __init__(self, activation: str, depth: int, remedy: str) -> None:
        """A net at its start, drawn from torch's global generator.

        Raises:
            ValueError: an unknown activation or remedy.
        """
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation {activation!r}: expected one of {', '.join(ACTIVATIONS)}")
        if remedy not in REMEDIES:
            raise ValueError(f"remedy {remedy!r}: expected one of {', '.join(REMEDIES)}")
        self.activation = ACTIVATIONS[activation]
        self.is_residual = remedy == "residual"
        width = 2 * WIDTH if activation == "swiglu" else WIDTH
        self.layers = nn.ModuleList(nn.Linear(WIDTH, width) for _ in range(depth))
        norm = NORMS.get(remedy)
        self.norms = nn.ModuleList(
            nn.Identity() if norm is None else norm(width) for _ in range(depth)
        )
        self.head = nn.Linear(WIDTH, N_CLASSES)
        if remedy in INITIALISATIONS:
            self._initialise(INITIALISATIONS[remedy])

    @torch.no_grad()
    def _initialise(self, draw: Callable[[Tensor], object]) -> None:
        """Draw all matrices anew; biases at 0."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                draw(parameter)
            else:
                parameter.zero_()

    def forward(
        self,
        x: Tensor,  # (batch, ...), WIDTH in all but the first dimension
    ) -> Tensor:  # (batch, N_CLASSES)
        """Logits of the classes."""
        h = x.flatten(1)
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            update = self.activation(norm(layer(h)))
            h = h + update if self.is_residual and i > 0 else update
        logits: Tensor = self.head(h)
        return logits
