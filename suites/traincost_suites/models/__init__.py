"""Models by name: family and nominal size, such as `gpt-1M`.

Families: `mlp`, `convnet` (digits), `convnet32` (32 x 32 synthetic images), `gpt`, `lstm` (bytes),
`gpt50k` (a vocabulary of 50,304). A nominal size is met within 25%. The GPTs take any size,
`gpt-8M`; the others take those of their table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import nn

from traincost_suites.models import convnet, gpt, lstm, mlp

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9}


@dataclass(frozen=True)
class Family:
    """Models that differ only in size: what they eat, and how one is made."""

    data: str  # a key of `data.source`
    sizes: tuple[str, ...]  # the nominal sizes of its table
    make: Callable[[str, int], nn.Module]  # (nominal size, seq_len)


def n_nominal(size: str) -> int:
    """`"8M"` -> 8_000_000."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMB]?)", size)
    if match is None or float(match[1]) == 0:
        raise ValueError(f"size {size!r}: expected a number and k, M or B, such as '10M'")
    return round(float(match[1]) * _UNITS[match[2]])


def _make_gpt(vocabulary: int) -> Callable[[str, int], nn.Module]:
    def make(size: str, seq_len: int) -> nn.Module:
        config = gpt.SIZES.get(size) if vocabulary == gpt.BYTES else None
        config = config or gpt.derived(n_nominal(size), vocabulary)
        return gpt.Gpt(replace(config, seq_len=seq_len))

    return make


def _make_convnet(n_channels: int) -> Callable[[str, int], nn.Module]:
    def make(size: str, seq_len: int) -> nn.Module:
        return convnet.Convnet(replace(convnet.SIZES[size], n_channels=n_channels))

    return make


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "mlp": Family("digits", tuple(mlp.SIZES), lambda size, _: mlp.Mlp(mlp.SIZES[size])),
        "convnet": Family("digits", tuple(convnet.SIZES), _make_convnet(1)),
        "convnet32": Family("images", tuple(convnet.SIZES), _make_convnet(3)),
        "gpt": Family("bytes", tuple(gpt.SIZES), _make_gpt(gpt.BYTES)),
        "gpt50k": Family("byte-pairs", ("10M", "100M", "1B", "7B"), _make_gpt(gpt.PADDED_GPT2)),
        "lstm": Family("bytes", tuple(lstm.SIZES), lambda size, _: lstm.Lstm(lstm.SIZES[size])),
    }
)
_ANY_SIZE = ("gpt", "gpt50k")


def family(name: str) -> Family:
    """The family of a model's name.

    Raises:
        ValueError: of an unknown family, or a size that it does not have.
    """
    head, _, size = name.partition("-")
    found = FAMILIES.get(head)
    if found is None or not size:
        raise ValueError(
            f"model {name!r}: expected '<family>-<size>' with a family of "
            f"{', '.join(sorted(FAMILIES))}, such as 'gpt-1M'"
        )
    if head not in _ANY_SIZE and size not in found.sizes:
        raise ValueError(f"model {name!r}: expected a size of {', '.join(found.sizes)}")
    if head == "gpt50k" and n_nominal(size) < n_nominal(found.sizes[0]):
        raise ValueError(f"model {name!r}: expected {found.sizes[0]} or more, its embedding's size")
    return found


def build(name: str, *, seed: int = 0, device: str = "cpu", seq_len: int = 128) -> nn.Module:
    """The named model in fp32, made on `device` directly, the same weights for the same seed there.

    It seeds torch's global generator; nothing after it draws from that (no model has dropout).
    """
    found = family(name)
    torch.manual_seed(seed)
    with torch.device(device):
        return found.make(name.partition("-")[2], seq_len)


def count_parameters(model: nn.Module) -> int:
    """Trainable parameters, a shared one counted once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
