"""Grids of the suite of ways to make a training step cheaper."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from traincost_suites.grids.axes import (
    AUTOCAST_BF16,
    AUTOCAST_FP16,
    CPU,
    CPU_AUTOCAST_BF16,
    CPU_AUTOCAST_FP16,
    FP32,
    Grid,
    Platform,
    Product,
)


def _ways(profile: str, model: str, batch: int, impls: str, *on: Platform) -> Product:
    """A model's step in these ways."""
    axes = {"model": (model,), "batch_size": (batch,), "impl": tuple(impls.split())}
    return Product(profile, axes, on)


_SMALL, _LARGE, _IMAGES = "gpt-100k", "gpt-1M", "convnet-100k"
_WITHIN_FP32 = "eager checkpoint accumulate-4 fused-adamw sdpa-math"
_GPU, _GPU_IMAGES = "gpt-100M", "convnet-10M"
_GPU_FP32 = f"{_WITHIN_FP32} sdpa-efficient cuda-graph compile triton"
_GPU_BF16 = f"{_WITHIN_FP32} sdpa-efficient sdpa-flash compile stack"

EFFICIENCY: Mapping[str, Grid] = MappingProxyType(
    {
        "efficiency": (
            _ways("quick", _SMALL, 4, f"{_WITHIN_FP32} triton", CPU),
            _ways("quick", _SMALL, 4, "eager", CPU_AUTOCAST_BF16),
            _ways("quick", _IMAGES, 64, "eager channels-last", CPU),
            _ways("quick", "gpt-10M", 32, "eager checkpoint fused-adamw cuda-graph triton", FP32),
            _ways("quick", "gpt-10M", 32, "eager stack", AUTOCAST_BF16),
            _ways("standard", _SMALL, 4, "compile", CPU),
            _ways("standard", _SMALL, 4, "eager", CPU_AUTOCAST_FP16),
            _ways("standard", _LARGE, 4, f"{_WITHIN_FP32} compile", CPU),
            _ways("standard", _LARGE, 4, "eager compile fused-adamw stack", CPU_AUTOCAST_BF16),
            _ways("standard", _IMAGES, 64, "eager channels-last", CPU_AUTOCAST_BF16),
            _ways("standard", _GPU, 32, _GPU_FP32, FP32),
            _ways("standard", _GPU, 32, f"{_GPU_BF16} sdpa-cudnn", AUTOCAST_BF16),
            _ways("standard", _GPU, 32, "eager stack", AUTOCAST_FP16),
            _ways("standard", _GPU_IMAGES, 512, "eager channels-last compile", FP32, AUTOCAST_BF16),
            _ways("full", "gpt50k-100M", 32, _GPU_FP32, FP32),
            _ways("full", "gpt50k-100M", 32, _GPU_BF16, AUTOCAST_BF16),
            _ways("full", "gpt-1B", 32, _GPU_BF16, AUTOCAST_BF16),
        )
    }
)
