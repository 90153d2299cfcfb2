"""A GPT: decoder-only transformer, pre-norm, learned positions, causal attention through SDPA.

    h = embed(tokens) + position
    h = h + attention(norm(h)),  h = h + mlp(norm(h))      n_layers times
    logits = norm(h) embed^T

The head is tied to the embedding: with a vocabulary of 50,304 two tables would be most of a small
model. Linear layers have no bias. Parameters, with width d, L layers, vocabulary V, T positions:

    N = 12 L d^2 + (V + T) d + (2 L + 1) 2 d
        4 d^2 attention, 8 d^2 MLP     a norm has weight and bias
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BYTES = 256
"""Vocabulary of the byte-level corpus."""

PADDED_GPT2 = 50_304
"""GPT-2's vocabulary rounded up to a multiple of 128: head and loss weigh as in real training."""


@dataclass(frozen=True)
class GptConfig:
    """Sizes of a GPT; `seq_len` is the longest sequence it has positions for."""

    n_layers: int
    width: int
    vocabulary: int = BYTES
    seq_len: int = 128

    @property
    def n_heads(self) -> int:
        """Heads of 128, 64, 32 or 16: what attention kernels are written for, as width allows."""
        head = next(
            h for h, least in ((128, 2048), (64, 256), (32, 128), (16, 0)) if self.width >= least
        )
        return self.width // head

    @property
    def n_params(self) -> int:
        """The closed form above."""
        d, n_layers = self.width, self.n_layers
        return (
            12 * n_layers * d * d
            + (self.vocabulary + self.seq_len) * d
            + (2 * n_layers + 1) * 2 * d
        )


SIZES: Mapping[str, GptConfig] = MappingProxyType(
    {
        "10k": GptConfig(n_layers=1, width=16),
        "40k": GptConfig(n_layers=2, width=32),
        "100k": GptConfig(n_layers=3, width=48),
        "160k": GptConfig(n_layers=3, width=64),
        "640k": GptConfig(n_layers=4, width=112),
        "1M": GptConfig(n_layers=5, width=128),
        "2.5M": GptConfig(n_layers=6, width=192),
        "10M": GptConfig(n_layers=8, width=320),
        "100M": GptConfig(n_layers=14, width=768),
        "1B": GptConfig(n_layers=20, width=2048),
        "7B": GptConfig(n_layers=35, width=4096),
    }
)

_WIDTH_PER_LAYER = 64  # GPT-2's


def derived(n_params: int, vocabulary: int) -> GptConfig:
    """The config nearest to `n_params` whose width and depth are in a usual proportion."""
    candidates: list[GptConfig] = []
    # Multiples of the head's width, see `n_heads`.
    widths = (
        *range(16, 128, 16),
        *range(128, 256, 32),
        *range(256, 2048, 64),
        *range(2048, 8193, 128),
    )
    for width in widths:
        rest = n_params - vocabulary * width
        n_layers = max(1, round(rest / (12 * width * width)))
        candidates.append(GptConfig(n_layers, width, vocabulary))

    def badness(c: GptConfig) -> float:
        size = abs(math.log(c.n_params / n_params))
        return size + 0.2 * abs(math.log(c.width / c.n_layers / _WIDTH_PER_LAYER))

    return min(candidates, key=badness)


class Block(nn.Module):
    """Attention and MLP, each on a normalised copy of the residual stream."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        d = config.width
        self.n_heads = config.n_heads
        self.norm_attention = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.attention_out = nn.Linear(d, d, bias=False)
        self.norm_mlp = nn.LayerNorm(d)
        self.mlp_in = nn.Linear(d, 4 * d, bias=False)
        self.mlp_out = nn.Linear(4 * d, d, bias=False)

    def forward(
        self,
        h: Tensor,  # (batch, seq, width)
    ) -> Tensor:  # (batch, seq, width)
        """The residual stream after this layer."""
        batch, seq, d = h.shape
        qkv = self.qkv(self.norm_attention(h))  # (batch, seq, 3 * width)
        qkv = qkv.view(batch, seq, 3, self.n_heads, d // self.n_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, seq, head width)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.attention_out(mixed.transpose(1, 2).reshape(batch, seq, d))
        return h + self.feed_forward(h)

    def feed_forward(
        self,
        h: Tensor,  # (batch, seq, width)
    ) -> Tensor:  # (batch, seq, width)
        """The MLP's update of the residual stream."""
        update: Tensor = self.mlp_out(F.gelu(self.mlp_in(self.norm_mlp(h))))
        return update


class Gpt(nn.Module):
    """The language model; initialised as GPT-2: normal 0.02, residual outputs over sqrt(2 L)."""

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Embedding(config.seq_len, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(config.width)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                is_residual = name.endswith("_out.weight")
                std = 0.02 / math.sqrt(2 * config.n_layers) if is_residual else 0.02
                nn.init.normal_(parameter, std=std)

    def forward(
        self,
        tokens: Tensor,  # (batch, seq) int64
    ) -> Tensor:  # (batch, seq, vocabulary)
        """Logits of the next token at each position."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        h = self.embed(tokens) + self.position(positions)
        for block in self.blocks:
            h = block(h)
        return F.linear(self.norm(h), self.embed.weight)
