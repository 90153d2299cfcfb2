"""What does a training step cost as a model grows?

Every family is trained at one batch size, over nominal sizes a decade apart, so each row has the
same samples or tokens per step and `time_median_s` over `n_params` is the scaling curve. While it
is flat the step is overhead: look at `aten_ops` and `launches`. Where it rises as n^1,
`model_flops` grows with it and `mfu` says how much of the machine is used; where it rises and `mfu`
falls, look at `bandwidth_utilization` (an optimizer step moves every parameter whatever the batch).
`loss_first` and `loss_last` show that a real model learns real data here. `live_before_bytes` are
the parameters and AdamW's two moments; `step_peak_bytes` what a step needs above that.

Batch sizes differ between CPU and CUDA: compare those within a device.
"""

from __future__ import annotations

import pytest

from traincost.fixture import TrainCost
from traincost_suites.available import available
from traincost_suites.grids import grid
from traincost_suites.work import training_step


@pytest.mark.parametrize(*grid("parameters"))
def test_train_step(
    train_cost: TrainCost, model: str, batch_size: int, device: str, dtype: str
) -> None:
    """A whole training step with AdamW."""
    work = available(training_step, model, batch_size, device, dtype)
    train_cost(
        work.step,
        samples=work.samples,
        tokens=work.tokens,
        model=work.model,
        optimizer=work.optimizer,
        axes=work.axes,
    )
