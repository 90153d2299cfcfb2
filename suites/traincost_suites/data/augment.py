"""Augmentation: new samples out of old ones, on the device, within the step that learns them.

A digit is turned by up to 9 degrees, scaled by up to a twentieth and shifted by up to half a pixel,
each on its own; of a text, every twentieth byte, drawn at random, is another. Random numbers are
torch's global ones.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

TURNED, SCALED, SHIFTED = 0.15, 0.05, 0.5  # at most: radians, a share, pixels
REPLACED = 0.05


def moved(
    x: Tensor,  # (batch, 1, height, width)
) -> Tensor:  # (batch, 1, height, width)
    """Each image turned, scaled and shifted a little, between the pixels by bilinear weights."""
    n, _, height, width = x.shape
    turn, scale, right, down = (2 * torch.rand(4, n, device=x.device) - 1).view(4, n, 1, 1)
    turn, scale = TURNED * turn, 1 + SCALED * scale
    across, along = scale * turn.cos(), scale * turn.sin()
    v, u = _centres(height, x).view(1, -1, 1), _centres(width, x).view(1, 1, -1)
    grid = torch.stack(
        (
            across * u - along * v + SHIFTED * 2 / width * right,
            along * u + across * v + SHIFTED * 2 / height * down,
        ),
        dim=-1,
    )
    return F.grid_sample(x, grid, align_corners=False)


def _centres(n: int, like: Tensor) -> Tensor:  # (n,)
    """Where the pixels' centres lie between -1 and 1."""
    return (2 * torch.arange(n, device=like.device, dtype=like.dtype) + 1) / n - 1


def replaced(
    tokens: Tensor,  # (batch, seq) int64 bytes
) -> Tensor:  # (batch, seq)
    """Some bytes drawn anew."""
    drawn = torch.randint_like(tokens, 0, 256)
    return torch.where(torch.rand(tokens.shape, device=tokens.device) < REPLACED, drawn, tokens)


_BY_KIND: dict[str, Callable[[Tensor], Tensor]] = {"digits": moved, "bytes": replaced}


def augmented(kind: str) -> Callable[[Tensor], Tensor]:
    """The augmentation of this kind of data.

    Raises:
        ValueError: there is none.
    """
    if kind not in _BY_KIND:
        raise ValueError(f"augmentation of {kind!r}: expected one of {', '.join(_BY_KIND)}")
    return _BY_KIND[kind]
