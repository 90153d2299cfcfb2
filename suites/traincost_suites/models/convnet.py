"""A ResNet-style convnet: basic residual blocks with batch norm, three stages.

    h = relu(norm(conv3x3(x)))                                   width w, full resolution
    block: h = relu(norm(conv(relu(norm(conv(h))))) + shortcut(h))
    stages of n_blocks at widths w, 2w, 4w; the second and third halve the resolution
    logits = mean over pixels, then linear

Input: digits, (1, 8, 8), or synthetic images, (3, 32, 32); the parameters hardly differ, the
arithmetic per sample 16-fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ConvnetConfig:
    """Sizes of a convnet: `n_blocks` in each of three stages, `width` channels in the first."""

    width: int
    n_blocks: int
    n_channels: int = 1
    n_classes: int = 10


SIZES: Mapping[str, ConvnetConfig] = MappingProxyType(
    {
        "10k": ConvnetConfig(width=4, n_blocks=2),
        "100k": ConvnetConfig(width=12, n_blocks=2),
        "1M": ConvnetConfig(width=40, n_blocks=2),
        "10M": ConvnetConfig(width=96, n_blocks=3),
        "100M": ConvnetConfig(width=304, n_blocks=3),
        "1B": ConvnetConfig(width=960, n_blocks=3),
    }
)


def _conv(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps or halves the resolution, then batch norm (whose bias serves both)."""
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(n_out),
    )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; 1 x 1 where width or resolution changes."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(n_in, n_out, 3, stride)
        self.second = _conv(n_out, n_out, 3)
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else _conv(n_in, n_out, 1, stride)

    def forward(
        self,
        h: Tensor,  # (batch, n_in, height, width)
    ) -> Tensor:  # (batch, n_out, height / stride, width / stride)
        """The block's output."""
        return F.relu(self.second(F.relu(self.first(h))) + self.shortcut(h))


class Convnet(nn.Module):
    """Stem, three stages, mean over pixels, linear head; torch's default initialisation."""

    def __init__(self, config: ConvnetConfig) -> None:
        super().__init__()
        self.stem = _conv(config.n_channels, config.width, 3)
        blocks: list[nn.Module] = []
        n_in = config.width
        for stage in range(3):
            for i in range(config.n_blocks):
                n_out = config.width * 2**stage
                blocks.append(BasicBlock(n_in, n_out, stride=2 if stage and i == 0 else 1))
                n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(n_in, config.n_classes)

    def forward(
        self,
        x: Tensor,  # (batch, channels, height, width)
    ) -> Tensor:  # (batch, n_classes)
        """Logits of the classes."""
        h = self.blocks(F.relu(self.stem(x)))  # (batch, 4w, height / 4, width / 4)
        logits: Tensor = self.head(h.mean((2, 3)))
        return logits
