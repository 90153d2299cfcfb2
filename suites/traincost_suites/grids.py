"""Which cases each profile measures: the axes of the suites, as data.

A grid is a tuple of products; a product crosses its axes with its platforms, and stands in its
profile and every larger one (quick, standard, full). `quick` suits two CPU cores: a row costs its
first step, a warm-up, 20 rounds or more and a dozen untimed steps, so a step there is about 100 ms
at most. `standard` adds what one H100 measures in under five minutes a suite. `full` takes hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import pytest

from traincost.data.profile import current_profile

Platform = tuple[str, str]  # (device, dtype)

CPU: Platform = ("cpu", "fp32")
CPU_BF16: Platform = ("cpu", "bf16")
FP32: Platform = ("cuda", "fp32")
TF32: Platform = ("cuda", "tf32")
BF16: Platform = ("cuda", "bf16")
FP16: Platform = ("cuda", "fp16")
PLATFORMS = (CPU, CPU_BF16, FP32, TF32, BF16, FP16)
PROFILE_ORDER = ("quick", "standard", "full")


@dataclass(frozen=True)
class Product:
    """Axes crossed with each other and with platforms, from `profile` on."""

    profile: str
    axes: Mapping[str, tuple[object, ...]]
    platforms: tuple[Platform, ...]
    gate: bool = False  # measured by `traincost ab` by default: useful in 0.25 s


def _names(families: str, sizes: str) -> tuple[str, ...]:
    return tuple(f"{family}-{size}" for family in families.split() for size in sizes.split())


def _models(
    profile: str, families: str, sizes: str, batch: int, *on: Platform, gate: bool = False
) -> Product:
    """Step cost of these models at one batch size."""
    axes = {"model": _names(families, sizes), "batch_size": (batch,)}
    return Product(profile, axes, on, gate)


def _batches(
    profile: str, model: str, sizes: tuple[int, ...], phases: str, *on: Platform, gate: bool = False
) -> Product:
    """Phases of one model over batch sizes."""
    axes = {"model": (model,), "phase": tuple(phases.split()), "batch_size": sizes}
    return Product(profile, axes, on, gate)


def _epochs(
    profile: str, model: str, batch: int, volumes: tuple[int, ...], caches: str, *on: Platform
) -> Product:
    """Epochs over data volumes, with and without loader workers."""
    axes = {
        "model": (model,),
        "batch_size": (batch,),
        "dataset_samples": volumes,
        "workers": (0, 2),
        "cache": tuple(caches.split()),
    }
    return Product(profile, axes, on)


_TEXT, _IMAGES = "gpt lstm", "mlp convnet"

GRIDS: Mapping[str, tuple[Product, ...]] = MappingProxyType(
    {
        # On a CPU 4 sequences of 128 tokens, or 64 digits, a step; on CUDA 32, or 512.
        "parameters": (
            _models("quick", _TEXT, "10k 100k", 4, CPU, gate=True),
            _models("quick", _IMAGES, "10k 100k", 64, CPU, gate=True),
            _models("quick", _TEXT, "1M", 4, CPU),
            _models("quick", _IMAGES, "1M", 64, CPU),
            _models("quick", "mlp", "10M", 64, CPU),
            _models("quick", "gpt", "1M", 4, CPU_BF16),
            _models("quick", _TEXT, "1M", 32, BF16, gate=True),
            _models("quick", _IMAGES, "1M", 512, BF16, gate=True),
            _models("quick", _TEXT, "10M 100M", 32, BF16),
            _models("quick", _IMAGES, "10M 100M", 512, BF16),
            _models("quick", _TEXT, "1M 100M", 32, FP32),
            _models("quick", _IMAGES, "1M 100M", 512, FP32),
            _models("quick", "gpt", "100M", 32, TF32),
            _models("quick", "gpt50k", "100M", 32, BF16),
            _models("standard", "gpt gpt50k", "10M", 4, CPU),
            _models("standard", "lstm", "10M", 4, CPU),
            _models("standard", "convnet", "10M", 64, CPU),
            _models("standard", _TEXT, "10k 100k 1B", 32, BF16),
            _models("standard", _IMAGES, "10k 100k 1B", 512, BF16),
            _models("standard", "gpt", "1B", 32, TF32),
            _models("standard", "mlp", "1B", 512, TF32),
            _models("full", "gpt", "100M", 4, CPU, CPU_BF16),
            _models("full", "gpt", "10k 100k 10M 1B", 32, FP32),
            _models("full", "gpt", "1M 10M", 32, TF32),
            _models("full", "lstm", "1M 10M 100M 1B", 32, TF32),
            _models("full", "mlp", "1M 10M 100M", 512, TF32),
            _models("full", "convnet convnet32", "1M 10M 100M 1B", 512, TF32),
            _models("full", "convnet32", "1M 10M 100M 1B", 512, BF16),
            _models("full", "gpt50k", "1B 7B", 32, BF16),
            _models("full", "gpt", "7B", 32, BF16),
            _models("full", "mlp", "7B", 512, BF16),
        ),
        "batch": (
            _batches("quick", "gpt-100k", (1, 4), "step forward backward", CPU, gate=True),
            _batches("quick", "gpt-100k", (2, 8, 16, 32), "step forward backward", CPU),
            _batches("quick", "gpt-100k", (4,), "optimizer", CPU),
            _batches("quick", "gpt50k-10M", (1,), "step", CPU),
            _batches("quick", "gpt-10M", (1, 16), "step forward backward", BF16, gate=True),
            _batches("quick", "gpt-10M", (4, 64, 256), "step forward backward", BF16),
            _batches("quick", "gpt-10M", (16,), "optimizer", BF16),
            _batches("quick", "gpt-10M", (1, 16, 256), "step", FP32),
            _batches("standard", "gpt-10M", (2, 8, 32, 128), "step", BF16),
            _batches("standard", "convnet-10M", (64, 256, 1024, 4096), "step", BF16),
            _batches("standard", "gpt50k-100M", (1, 8, 64), "step forward backward", BF16),
            _batches("standard", "gpt50k-100M", (8,), "optimizer", BF16),
            _batches("standard", "gpt50k-100M", (8, 64), "step", TF32),
            _batches("full", "gpt-1M", (1, 4, 16, 64), "step forward backward", CPU),
            _batches("full", "gpt50k-100M", (2, 4, 16, 32, 128), "step forward backward", BF16),
            _batches("full", "gpt50k-1B", (1, 4, 16, 64), "step forward backward", BF16),
        ),
        "largest_batch": (
            Product("quick", {"model": ("gpt-10M",)}, (BF16,)),
            Product("standard", {"model": ("gpt50k-100M",)}, (BF16,)),
            Product("full", {"model": ("gpt-1B", "convnet32-100M")}, (BF16, TF32)),
        ),
        "dataset": (
            _epochs("quick", "gpt-10k", 16, (64, 256), "warm cold", CPU),
            _epochs("quick", "gpt-1M", 64, (1024, 4096), "warm cold", BF16),
            _epochs("standard", "gpt-1M", 64, (16384,), "warm cold", BF16),
            _epochs("standard", "gpt-10k", 16, (1024, 4096), "warm cold", CPU),
            _epochs("full", "gpt-1M", 64, (131_072, 1_048_576), "warm cold", BF16),
        ),
        "matmul": (
            Product("quick", {"size": (256,)}, (CPU,), gate=True),
            Product("quick", {"size": (1024, 2048)}, (CPU,)),
            Product("quick", {"size": (1024,)}, (CPU_BF16,)),
            Product("quick", {"size": (4096, 8192)}, (TF32, BF16, FP16)),
            Product("quick", {"size": (4096,)}, (FP32,)),
            Product("standard", {"size": (4096,)}, (CPU, CPU_BF16)),
            Product("standard", {"size": (1024, 2048, 16384)}, (TF32, BF16)),
            Product("standard", {"size": (8192,)}, (FP32,)),
        ),
        # Larger than any last-level cache, of a CPU or a GPU, several times over.
        "copy": (
            Product("quick", {"mebibytes": (256,)}, (CPU,)),
            Product("quick", {"mebibytes": (2048,)}, (FP32,)),
            Product("standard", {"mebibytes": (1024,)}, (CPU,)),
        ),
        "dispatch": (Product("quick", {}, (CPU, FP32), gate=True),),
    }
)

STATIC_SHAPES: Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]] = MappingProxyType(
    {  # (dtype, lengths of a row): 4099 is odd and prime, 131072 in fp32 does not fit an SM
        "quick": (("bf16", (4096, 4099)), ("fp32", (4096, 131_072))),
        "standard": (
            ("bf16", (1000, 1024, 16_384, 16_411, 65_536)),
            ("fp16", (4096,)),  # as bf16 but for the conversions
            ("fp32", (4099, 16_384, 16_411, 32_768, 65_536)),
        ),
        "full": (("fp16", (4099, 16_384, 65_536)), ("fp32", (262_144,))),
    }
)


def static_shapes(profile: str | None = None) -> list[tuple[str, int]]:
    """(dtype, length of a row) of the kernels that are compiled, in this run's profile."""
    rank = PROFILE_ORDER.index(profile or current_profile().name)
    return [
        (dtype, n_cols)
        for name in PROFILE_ORDER[: rank + 1]
        for dtype, lengths in STATIC_SHAPES[name]
        for n_cols in lengths
    ]


def products(name: str, profile: str) -> list[Product]:
    """The products of a grid that stand in a profile.

    Raises:
        ValueError: an unknown grid or profile.
    """
    if name not in GRIDS:
        raise ValueError(f"grid {name!r}: expected one of {', '.join(GRIDS)}")
    if profile not in PROFILE_ORDER:
        raise ValueError(f"profile {profile!r}: expected one of {', '.join(PROFILE_ORDER)}")
    rank = PROFILE_ORDER.index(profile)
    return [p for p in GRIDS[name] if PROFILE_ORDER.index(p.profile) <= rank]


def grid(name: str, profile: str | None = None) -> tuple[list[str], list[object]]:
    """Names and cases for `pytest.mark.parametrize(*grid("batch"))`, in this run's profile."""
    chosen = products(name, profile or current_profile().name)
    names = [*chosen[0].axes, "device", "dtype"]
    cases: list[object] = []
    for p in chosen:
        marks = [pytest.mark.gate] if p.gate else []
        for platform in p.platforms:
            for values in product(*p.axes.values()):
                cases.append(pytest.param(*values, *platform, marks=marks))
    return names, cases
