"""Grids of the suites that measure a step's cost: parameters, batch, dataset, machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from traincost_suites.grids.axes import (
    BF16,
    CPU,
    CPU_BF16,
    FP16,
    FP32,
    TF32,
    Grid,
    Platform,
    Product,
)


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

COST: Mapping[str, Grid] = MappingProxyType(
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
            _models("standard", "gpt", "40k 160k 640k 2.5M", 4, CPU),  # steps of 4, to forecast by
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
