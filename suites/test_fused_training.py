"""What do fused kernels buy in a whole training step, and does training stay what it was?

A GPT and an LSTM, the same parameters on the same batch: eager, torch.compile, the project's fused
kernels (LayerNorm, MLP block, cross-entropy; gates and cell of the LSTM), and for the LSTM also
`composed`, gates and cell out of elementary ops, step by step, which is the path that a cell of
one's own takes. `step_peak_bytes` shows the activations that are not saved.

The losses of 200 steps with and without fused kernels are compared first: where they part by more
than `LOSS_GAP_REL` at any step the row is `invalid`. `metric_loss_gap_rel` is how far they parted.
"""

from __future__ import annotations

import pytest

from traincost.fixture import TrainCost
from traincost_suites.grids.kernels import fused_cases


@pytest.mark.parametrize(*fused_cases())
def test_train_step(
    train_cost: TrainCost, model: str, impl: str, batch_size: int, device: str, dtype: str
) -> None:
    """A whole training step with AdamW."""
    from traincost_suites.fused_training import fused_work, loss_gap_rel
    from traincost_suites.lacking import ImplUnavailableError

    try:
        work = fused_work(model, impl, batch_size, device, dtype)
        gap_rel = loss_gap_rel(model, impl, batch_size, device, dtype)
    except ImplUnavailableError as lacking:
        pytest.skip(str(lacking))
    train_cost(
        work.step,
        samples=work.samples,
        tokens=work.tokens,
        model=work.model,
        optimizer=work.optimizer,
        axes=work.axes,
        metrics={} if gap_rel is None else {"loss_gap_rel": gap_rel},
    )
