"""Whether a way learns what the plain step learns: their losses over the same steps.

Compared are the losses of `STEPS` steps from one start on one batch with those of the eager fp32
step on the same device. A way that is further off than `LOSS_GAP_REL` buys its speed with another
result.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from traincost.snapshot import Snapshot
from traincost_suites.efficiency.way import Way, train_step
from traincost_suites.efficiency.ways import way_of
from traincost_suites.work import training_step

STEPS = 20
PLAIN = ("eager", "fp32")
LOSS_GAP_REL = {"fp32": 2e-3, "autocast-bf16": 3e-2, "autocast-fp16": 5e-3}
"""Of the loss, at any step. Measured on a CPU: sums in another order part the losses of a GPT by
2e-7, those of a convnet, whose loss falls to a fifth meanwhile, by 2.3e-4; bf16 by 3e-5 and 9e-3;
fp16 a GPT's by 5e-6. A convnet whose batch norm sees quarters of the batch is 3.6e-2 off.
"""


def losses_of(way: Way, start: Snapshot | None = None, steps: int = STEPS) -> Tensor:
    """The losses of the first steps, on the CPU, in fp64."""
    if start is not None:
        start.restore()
    return torch.stack([train_step(way) for _ in range(steps)]).double().cpu()


@cache
def plain_losses(model: str, batch_size: int, device: str) -> Tensor:
    """Those of the eager fp32 step, computed once a process."""
    impl, dtype = PLAIN
    return losses_of(way_of(impl, training_step(model, batch_size, device, dtype), dtype))


def loss_gap_rel(ours: Tensor, plain: Tensor, dtype: str) -> float:
    """The largest difference of two courses of losses, as a share of the plain one.

    Raises:
        AssertionError: it is more than is allowed under `dtype`, or a loss is no number.
    """
    gap_rel = float(((ours - plain).abs() / plain).max())
    allowed = LOSS_GAP_REL[dtype]
    assert gap_rel <= allowed, (
        f"losses part by {gap_rel:.2%} within {len(ours)} steps, over {allowed:.2%}"
    )
    return gap_rel
