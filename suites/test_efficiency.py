"""What does each way of making a training step cheaper save, and what is its price?

The same step in each way (`impl`; `traincost_suites.efficiency.ways` says what each does) and in
each precision (`dtype`; fp16 autocast with a gradient scaler), alone; `impl=stack` under bf16
autocast is the usual stack together. Rows of one `model` and `dtype` have one workload: `traincost
compare` shows their speedups over `impl=eager`. What a precision or the stack buys is the time of
the row `impl=eager`, `dtype=fp32` over theirs; by the schema they are other work.

`time_median_s` is the saving or the price in time, `step_peak_bytes` that in activations,
`live_before_bytes` that in parameters and optimizer state, `aten_ops` and `launches` that in
overhead; energy, where it is measured, follows time. `flops` above those of eager are recomputed:
checkpointing pays them for its memory. `model_flops` stays. `time_first_step_s` is the price that
is paid once: of a compiled way that is the compilation, its caches emptied before, and of what
`torch.compile` runs the eager program is counted.

`metric_loss_gap_rel` is how far the losses of 20 steps part from those of the eager fp32 step; by
more than `same_loss.LOSS_GAP_REL` the row is `invalid`, since speed with another result is none.
On a CPU read it for memory, FLOPs and counts: autocast and compilation pay where there are tensor
cores and launches to save, and fp16 has no fast products there at all.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import pytest

from traincost.fixture import TrainCost
from traincost.snapshot import take_snapshot
from traincost_suites.available import available
from traincost_suites.efficiency.cold import cold_compiler
from traincost_suites.efficiency.same_loss import PLAIN, loss_gap_rel, losses_of, plain_losses
from traincost_suites.efficiency.way import train_step
from traincost_suites.efficiency.ways import COMPILED, way_of
from traincost_suites.grids import grid
from traincost_suites.lacking import ImplUnavailableError
from traincost_suites.work import training_step


@pytest.mark.parametrize(*grid("efficiency"))
def test_train_step(
    train_cost: TrainCost, model: str, impl: str, batch_size: int, device: str, dtype: str
) -> None:
    """A training step with AdamW in one way."""
    work = available(training_step, model, batch_size, device, dtype)
    try:
        way = way_of(impl, work, dtype)
    except ImplUnavailableError as lacking:
        pytest.skip(str(lacking))
    start = take_snapshot(way.model, way.optimizer)

    def gap_rel() -> float:
        plain = plain_losses(model, batch_size, device)
        return loss_gap_rel(losses_of(way, start), plain, dtype)

    with cold_compiler() if impl in COMPILED else nullcontext():
        train_cost(
            partial(train_step, way),
            samples=work.samples,
            tokens=work.tokens,
            model=way.model,
            optimizer=way.optimizer,
            axes=work.axes,
            metrics={} if (impl, dtype) == PLAIN else {"loss_gap_rel": gap_rel},
        )
