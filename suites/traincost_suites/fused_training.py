"""Training steps with and without fused kernels, and how far their losses part."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from traincost_suites.lacking import ImplUnavailableError
from traincost_suites.models.fused import fuse, fused_loss, unroll
from traincost_suites.trainee import train_step
from traincost_suites.work import Work, training_step

STEPS = 200
LOSS_GAP_REL = {"fp32": 2e-3, "bf16": 2e-2}
"""Of the loss, at any of 200 steps. Roundings differ by one unit in the last place at each op, and
training amplifies them: two runs of eager bf16 with sums in another order part as far."""


def fused_work(model: str, impl: str, batch_size: int, device: str, dtype: str) -> Work:
    """A training step in an implementation: `eager`, `composed`, `compile` or `triton`.

    Raises:
        ImplUnavailableError: not on this device.
    """
    if impl == "triton" and device == "cpu":
        raise ImplUnavailableError("Triton's kernels are timed on a GPU only")
    work = training_step(model, batch_size, device, dtype)
    if impl == "composed":
        unroll(work.model)
    if impl == "triton":
        fuse(work.model)
        return replace(work, trainee=replace(work.trainee, loss_of=fused_loss))
    if impl == "compile":
        work.model.compile()
    return work


def loss_gap_rel(
    model: str, impl: str, batch_size: int, device: str, dtype: str, steps: int = STEPS
) -> float | None:
    """The largest difference of the losses of so many steps from eager's, as a share of them.

    None for eager itself, and on a CPU, where 200 steps are most of a case's time. AssertionError
    if it is more than `LOSS_GAP_REL`.
    """
    if impl == "eager" or device == "cpu":
        return None
    ours = losses_of(fused_work(model, impl, batch_size, device, dtype), steps)
    eager = _eager_losses(model, batch_size, device, dtype, steps)
    gap_rel = float(((ours - eager).abs() / eager).max())
    allowed = LOSS_GAP_REL[dtype]
    assert gap_rel <= allowed, (
        f"losses part by {gap_rel:.2%} within {steps} steps, over {allowed:.2%}"
    )
    return gap_rel


@cache
def _eager_losses(model: str, batch_size: int, device: str, dtype: str, steps: int) -> torch.Tensor:
    return losses_of(fused_work(model, "eager", batch_size, device, dtype), steps)


def losses_of(work: Work, steps: int) -> torch.Tensor:
    """The losses of the first steps, on the CPU."""
    losses = [train_step(work.trainee, work.x, work.y) for _ in range(steps)]
    return torch.stack(losses).double().cpu()
