"""A real `DataLoader` over a shard dataset, the same batches in every process and every epoch.

The order is drawn from the seed alone, anew at the start of each epoch: the loss after k epochs
must not depend on how many epochs a machine had time for before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from traincost_suites.data.dataset import ShardDataset

Batch = tuple[Tensor, Tensor]


class SeededShuffle(Sampler[int]):
    """One permutation, the same for every epoch."""

    def __init__(self, n_samples: int, seed: int) -> None:
        self._n_samples = n_samples
        self._seed = seed

    def __len__(self) -> int:
        return self._n_samples

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed)
        yield from torch.randperm(self._n_samples, generator=generator).tolist()


def unpin_worker(worker: int) -> None:
    """Let a worker run on every CPU: the measuring process is pinned, and it would inherit that."""
    from traincost.machine.processor import unpin

    unpin()


def make_loader(
    dataset: ShardDataset,
    batch_size: int,
    *,
    workers: int = 0,
    persistent: bool = False,
    pin_memory: bool = False,
    seed: int = 0,
) -> DataLoader[Batch]:
    """Batches of `batch_size` in seeded order, an incomplete last one dropped.

    Workers are forked where the system forks: one that starts anew imports torch first, seconds
    that say nothing about loading data. `persistent` keeps them from epoch to epoch.
    """
    forks = workers > 0 and sys.platform == "linux"
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=SeededShuffle(len(dataset), seed),
        num_workers=workers,
        drop_last=True,
        pin_memory=pin_memory,
        worker_init_fn=unpin_worker if workers else None,
        multiprocessing_context="fork" if forks else None,
        persistent_workers=persistent and workers > 0,
        generator=torch.Generator().manual_seed(seed),  # else it draws from the global one
    )
