"""Which batch size is worth its memory, and where in a step does the time go?

`train_step` measures one model over batch sizes by powers of two, and the phases of a step apart.
`samples_per_s` rises with the batch until the machine is saturated: the smallest batch near its
plateau is the one to use. `step_peak_bytes` grows in proportion to the batch; `live_before_bytes`
does not. Phases: `step` is all of a training step; `forward` is the forward pass and loss with its
graph; `backward` is a backward pass on a retained graph (about twice the forward's arithmetic);
`optimizer` is AdamW's step, which no batch size changes. They need not add up: within a step caches
are warm and gradients are made new.

`largest_batch` (CUDA) finds by bisection the largest batch whose step fits in memory,
`metric_largest_batch_samples`, and times the step at three quarters of it, where the allocator does
not yet have to give blocks back and ask again.
"""

from __future__ import annotations

from functools import partial

import pytest

from traincost.fixture import TrainCost
from traincost_suites.available import available
from traincost_suites.grids import grid
from traincost_suites.largest_batch import fits_in_memory, largest_batch, release_accelerator
from traincost_suites.work import run_step, training_step

LIMIT = 2**17  # samples: more would be a search for its own sake


@pytest.mark.parametrize(*grid("batch"))
def test_train_step(
    train_cost: TrainCost, model: str, phase: str, batch_size: int, device: str, dtype: str
) -> None:
    """A training step, or one phase of it."""
    work = available(training_step, model, batch_size, device, dtype)
    train_cost(
        work.phase(phase),
        samples=work.samples,
        tokens=work.tokens,
        model=work.model,
        optimizer=work.optimizer,
        forward=work.forward if phase == "backward" else None,
        axes=work.axes,
    )


@pytest.mark.parametrize(*grid("largest_batch"))
def test_largest_batch(train_cost: TrainCost, model: str, device: str, dtype: str) -> None:
    """The largest batch that fits, and a step at three quarters of it."""
    run = partial(run_step, model, device=device, dtype=dtype)
    found = largest_batch(fits_in_memory(run, release_accelerator), limit=LIMIT)
    if found is None:
        pytest.skip("not even a batch of one sample fits")
    work = available(training_step, model, max(1, found * 3 // 4), device, dtype)
    train_cost(
        work.step,
        samples=work.samples,
        tokens=work.tokens,
        model=work.model,
        optimizer=work.optimizer,
        axes=work.axes,
        metrics={"largest_batch_samples": found, "timed_batch_samples": work.samples},
    )
