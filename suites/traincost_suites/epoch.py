"""A whole epoch of training through a real `DataLoader`, and how much of it waits for data."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from traincost_suites.data import page_cache
from traincost_suites.data.dataset import ShardDataset
from traincost_suites.data.loader import Batch, make_loader
from traincost_suites.data.source import dataset
from traincost_suites.models import family
from traincost_suites.trainee import Trainee, make_trainee, to_device, train_step
from traincost_suites.work import data_axes, tokens_of

CACHES = ("warm", "cold")


def train_on(trainee: Trainee, batch: Batch) -> Tensor:
    """One step on a batch that comes from the host."""
    x, y = batch
    return train_step(trainee, to_device(x, trainee), y.to(trainee.device, non_blocking=True))


def train_epoch(trainee: Trainee, loader: DataLoader[Batch]) -> Tensor:
    """One step on every batch; the loss of the last, on the device."""
    loss = torch.zeros(())
    for batch in loader:
        loss = train_on(trainee, batch)
    return loss


@dataclass(frozen=True)
class Epoch:
    """An epoch as one step: `step` trains on every batch once."""

    trainee: Trainee
    loader: DataLoader[Batch]
    setup: Callable[[], None] | None  # before every epoch; None where nothing is to be done
    samples: int
    tokens: int | None
    axes: Mapping[str, object]  # of the data: for the row

    @property
    def model(self) -> nn.Module:
        """The model under training."""
        return self.trainee.model

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Its optimizer."""
        return self.trainee.optimizer

    @property
    def step(self) -> Callable[[], Tensor]:
        """One epoch; the loss of its last batch."""
        return partial(train_epoch, self.trainee, self.loader)

    def data_wait_share(self) -> float:
        """Share of one epoch that waits for the loader, the start of its workers included.

        The loss is read after every step, so the device is idle when the next batch is asked for:
        what the loader prepares during a step counts as hidden, what a queue of unfinished steps
        would hide besides does not.
        """
        if self.setup is not None:
            self.setup()
        waited_s = 0.0
        start_s = asked_s = time.perf_counter()
        for batch in self.loader:
            waited_s += time.perf_counter() - asked_s
            train_on(self.trainee, batch).item()
            asked_s = time.perf_counter()
        return waited_s / (asked_s - start_s)


def training_epoch(
    model_name: str,
    batch_size: int,
    device: str,
    dtype: str,
    *,
    dataset_samples: int,
    workers: int = 0,
    cache: str = "warm",
    seq_len: int = 128,
    seed: int = 0,
) -> Epoch:
    """An epoch over `dataset_samples`; a cold one starts its workers and reads from the disk.

    Raises:
        ValueError: an unknown model, dtype or cache, or fewer samples than a batch.
        DataUnavailableError: this machine lacks the data, or keeps files in its page cache.
    """
    if cache not in CACHES:
        raise ValueError(f"cache {cache!r}: expected one of {', '.join(CACHES)}")
    if dataset_samples < batch_size:
        raise ValueError(
            f"dataset_samples {dataset_samples}: expected {batch_size}, a batch, at least"
        )
    kind = family(model_name).data
    samples = dataset(kind, dataset_samples, seq_len=seq_len)
    is_cold = cache == "cold"
    trainee = make_trainee(model_name, device, dtype, seq_len=seq_len, seed=seed)
    loader = make_loader(
        samples,
        batch_size,
        workers=workers,
        persistent=not is_cold,
        pin_memory=device != "cpu",
        seed=seed,
    )
    if is_cold:
        gc.collect()  # an earlier epoch's data set may still map the same shards
        _drop(samples)  # fails here, not in the middle of the rounds
    trained = len(loader) * batch_size
    return Epoch(
        trainee,
        loader,
        setup=partial(_drop, samples) if is_cold else None,
        samples=trained,
        tokens=tokens_of(kind, trained, seq_len),
        axes=data_axes(samples, seq_len),
    )


def _drop(samples: ShardDataset) -> None:
    """Nothing of the data set in memory."""
    samples.close()
    page_cache.drop(samples.shards.paths)
