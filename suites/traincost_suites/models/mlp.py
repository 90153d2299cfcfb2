"""A multi-layer perceptron: the plainest model whose cost is matrix products and nothing else.

    h_0 = x,  h_i = relu(h_{i-1} W_i + b_i),  logits = h_depth W_out + b_out

Its input is one of the digits, 8 x 8 pixels, flattened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn


@dataclass(frozen=True)
class MlpConfig:
    """Sizes of an MLP: `depth` hidden layers of `width` units."""

    width: int
    depth: int
    n_inputs: int = 64
    n_classes: int = 10


SIZES: Mapping[str, MlpConfig] = MappingProxyType(
    {
        "10k": MlpConfig(width=64, depth=2),
        "100k": MlpConfig(width=288, depth=2),
        "1M": MlpConfig(width=576, depth=4),
        "10M": MlpConfig(width=1536, depth=5),
        "100M": MlpConfig(width=4096, depth=7),
        "1B": MlpConfig(width=8192, depth=16),
        "7B": MlpConfig(width=16384, depth=27),
    }
)


class Mlp(nn.Module):
    """Linear layers with ReLU between them; torch's default initialisation."""

    def __init__(self, config: MlpConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = config.n_inputs
        for _ in range(config.depth):
            layers += [nn.Linear(n_in, config.width), nn.ReLU()]
            n_in = config.width
        self.layers = nn.Sequential(*layers, nn.Linear(n_in, config.n_classes))

    def forward(
        self,
        x: Tensor,  # (batch, ...), n_inputs in all but the first dimension
    ) -> Tensor:  # (batch, n_classes)
        """Logits of the classes."""
        logits: Tensor = self.layers(x.flatten(1))
        return logits
