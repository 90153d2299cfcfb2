"""An LSTM language model: embedding, `nn.LSTM`, head tied to the embedding.

    h_t, c_t = lstm(embed(token_t), h_{t-1}, c_{t-1}),  logits_t = h_t embed^T

Its steps in time depend on each other, so its cost is latency where a GPT's is arithmetic.
Parameters, with width d, L layers, vocabulary V:  N = V d + L (8 d^2 + 8 d).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class LstmConfig:
    """Sizes of an LSTM language model; embedding and hidden state have the same width."""

    width: int
    n_layers: int
    vocabulary: int = 256


SIZES: Mapping[str, LstmConfig] = MappingProxyType(
    {
        "10k": LstmConfig(width=24, n_layers=1),
        "100k": LstmConfig(width=72, n_layers=2),
        "1M": LstmConfig(width=240, n_layers=2),
        "10M": LstmConfig(width=768, n_layers=2),
        "100M": LstmConfig(width=2048, n_layers=3),
        "1B": LstmConfig(width=5632, n_layers=4),
    }
)


class Lstm(nn.Module):
    """The language model; torch's default initialisation but for the embedding (normal 0.02)."""

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.lstm = nn.LSTM(config.width, config.width, config.n_layers, batch_first=True)

    def forward(
        self,
        tokens: Tensor,  # (batch, seq) int64
    ) -> Tensor:  # (batch, seq, vocabulary)
        """Logits of the next token at each position."""
        h, _ = self.lstm(self.embed(tokens))  # (batch, seq, width)
        return F.linear(h, self.embed.weight)
