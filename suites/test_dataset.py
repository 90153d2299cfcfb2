"""What does an epoch cost as the data grows, and how much of it waits for data?

A step here is a whole epoch through a real `DataLoader` over memory-mapped shards: real text as far
as the corpus reaches (`axis_data`), synthetic bytes beyond. `time_median_s` is one epoch; per
sample it is flat once `dataset_samples` outweighs what starts with an epoch. `data_wait_share` is
the share of an epoch in which a step waits for its batch, taken in an epoch of its own with the
device idle between steps: near 0 the loader is free, near 1 the model is.

`axis_workers`: 0 loads in the training process, which `data_wait_share` then shows in full.
`axis_cache`: `warm` keeps its workers and finds the data in memory; `cold` drops the shards from
the page cache before every epoch and starts its workers anew, so their start is part of the epoch,
and it is `unavailable` where the kernel keeps the pages. Warm-up and untimed passes are not cold.
"""

from __future__ import annotations

import pytest

from traincost.fixture import TrainCost
from traincost_suites.available import available
from traincost_suites.epoch import training_epoch
from traincost_suites.grids import grid


@pytest.mark.parametrize(*grid("dataset"))
def test_epoch(
    train_cost: TrainCost,
    model: str,
    batch_size: int,
    dataset_samples: int,
    workers: int,
    cache: str,
    device: str,
    dtype: str,
) -> None:
    """An epoch of training."""
    epoch = available(
        training_epoch,
        model,
        batch_size,
        device,
        dtype,
        dataset_samples=dataset_samples,
        workers=workers,
        cache=cache,
    )
    available(  # another process may map the files, and keep a cache warm that should be cold
        train_cost,
        epoch.step,
        samples=epoch.samples,
        tokens=epoch.tokens,
        phase="epoch",
        model=epoch.model,
        optimizer=epoch.optimizer,
        setup=epoch.setup,
        axes=epoch.axes,
        metrics={"data_wait_share": epoch.data_wait_share},
    )
