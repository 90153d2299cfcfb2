"""What a grid is made of: axes crossed with each other and with platforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from traincost.data.profile import current_profile

PROFILE_ORDER = ("quick", "standard", "full")
Platform = tuple[str, str]  # (device, dtype)

CPU: Platform = ("cpu", "fp32")
CPU_BF16: Platform = ("cpu", "bf16")
FP32: Platform = ("cuda", "fp32")
TF32: Platform = ("cuda", "tf32")
BF16: Platform = ("cuda", "bf16")
FP16: Platform = ("cuda", "fp16")
CPU_AUTOCAST_BF16: Platform = ("cpu", "autocast-bf16")
CPU_AUTOCAST_FP16: Platform = ("cpu", "autocast-fp16")
AUTOCAST_BF16: Platform = ("cuda", "autocast-bf16")
AUTOCAST_FP16: Platform = ("cuda", "autocast-fp16")
AUTOCAST = (CPU_AUTOCAST_BF16, CPU_AUTOCAST_FP16, AUTOCAST_BF16, AUTOCAST_FP16)
PLATFORMS = (CPU, CPU_BF16, FP32, TF32, BF16, FP16, *AUTOCAST)


@dataclass(frozen=True)
class Product:
    """Axes crossed with each other and with platforms, from `profile` on."""

    profile: str
    axes: Mapping[str, tuple[object, ...]]
    platforms: tuple[Platform, ...]
    gate: bool = False  # measured by `traincost ab` by default: useful in 0.25 s


Grid = tuple[Product, ...]


def stands_in(first: str, profile: str | None = None) -> bool:
    """Whether what is measured from the profile `first` on is so in `profile`, or in this run's."""
    return PROFILE_ORDER.index(first) <= PROFILE_ORDER.index(profile or current_profile().name)
