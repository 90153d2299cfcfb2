"""Grid of the suite of parallel training: strategies over world sizes.

Batches are those of all ranks together. One rank with batch B and n ranks with B are strong
scaling, n ranks with nB weak scaling, so that one row of n ranks has both efficiencies where one
rank is measured at B and at nB.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from traincost_suites.grids.axes import BF16, CPU, FP32, TF32, Grid, Platform, Product


def _scaled(
    profile: str, model: str, batch: int, ranks: int, strategies: str, *on: Platform
) -> Product:
    """These strategies on so many ranks, and a batch of all of them."""
    axes = {
        "strategy": tuple(strategies.split()),
        "model": (model,),
        "batch_size": (batch,),
        "world_size": (ranks,),
    }
    return Product(profile, axes, on)


def _scaling(
    profile: str, model: str, share: int, sizes: tuple[int, ...], strategies: str, *on: Platform
) -> Iterator[Product]:
    """One rank at every batch, then the strategies on each world size with `share` samples each."""
    for ranks in (1, *sizes):
        yield _scaled(profile, model, share * ranks, 1, "single", *on)
    for ranks in sizes:
        yield _scaled(profile, model, share * ranks, ranks, strategies, *on)


_DDP = "ddp ddp-small-buckets ddp-view ddp-bf16"
_ALL = f"{_DDP} zero1 fsdp fsdp-keep fsdp-bf16 tensor"

PARALLEL: Mapping[str, Grid] = MappingProxyType(
    {
        "parallel": (
            *_scaling("quick", "gpt-100k", 4, (2,), "ddp ddp-bf16 zero1 fsdp tensor", CPU),
            *_scaling("quick", "gpt-10M", 32, (2,), "ddp ddp-bf16 zero1 fsdp tensor", TF32),
            *_scaling("standard", "gpt-1M", 4, (2, 4), _ALL, CPU),
            *_scaling("standard", "gpt-100M", 32, (2, 4, 8), _ALL, TF32),
            *_scaling("standard", "gpt-100M", 32, (2, 4, 8), "ddp zero1 fsdp", BF16),
            *_scaling("full", "gpt-10M", 8, (2, 4, 8), _ALL, CPU),
            *_scaling("full", "gpt-1B", 32, (2, 4, 8, 16, 32, 64), "ddp zero1 fsdp", BF16),
            *_scaling("full", "gpt-1B", 32, (8, 16, 32, 64), "fsdp fsdp-keep fsdp-bf16", FP32),
        ),
    }
)
