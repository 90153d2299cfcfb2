"""Catalog entries of cross-entropy, functional and in place."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.entry import Inputs, KernelEntry, accesses, normal
from traincost_kernels.launch import Launch
from traincost_kernels.losses import (
    LossOptions,
    backward_launches,
    forward_launches,
    in_place_launches,
    scale_launches,
)
from traincost_kernels.ops.cross_entropy import cross_entropy
from traincost_kernels.ops.cross_entropy_in_place import cross_entropy_
from traincost_kernels.row_tiling import accumulator_dtype

LIGER = "liger_kernel.ops.cross_entropy.LigerCrossEntropyFunction"


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    """No row is ignored: those are not read, so that they would cost nothing."""
    logits = normal((n_rows, n_cols), dtype, device, seed=0)
    if device == "meta":
        return {"logits": logits, "target": torch.empty(n_rows, dtype=torch.int64, device=device)}
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(0, max(n_cols, 1), (n_rows,), generator=generator)
    return {"logits": logits, "target": target.to(device)}


def _eager(logits: Tensor, target: Tensor) -> Tensor:
    """With the upcast that keeps the loss of half-precision logits exact."""
    return F.cross_entropy(logits.to(accumulator_dtype(logits)), target)


def _in_place(logits: Tensor, target: Tensor) -> Tensor:
    """The copy stands for the product that made the logits, which nothing else needs."""
    return cross_entropy_(logits.clone(), target)


def _rows(inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    logits, target = inputs["logits"], inputs["target"]
    dtype = accumulator_dtype(logits)
    row, number = torch.empty_like(target, dtype=dtype), logits.new_empty((), dtype=dtype)
    return logits, target, row, number, torch.empty_like(number)


def _launches(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    logits, target, row, loss, count = _rows(inputs)
    top, log_sum, options = torch.empty_like(row), torch.empty_like(row), LossOptions()
    dloss, dlogits = torch.empty_like(loss), torch.empty_like(logits)
    backward = backward_launches(logits, target, top, log_sum, dloss, count, dlogits, options)
    return {
        "forward": forward_launches(logits, target, row, top, log_sum, loss, count, options),
        "backward": backward,
    }


def _launches_in_place(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    logits, target, row, loss, count = _rows(inputs)
    return {
        "forward": in_place_launches(logits, target, row, loss, count, LossOptions()),
        "backward": scale_launches(
            logits, torch.empty_like(loss), target, LossOptions().ignore_index
        ),
    }


CROSS_ENTROPY = KernelEntry(
    name="cross_entropy",
    inputs=_inputs,
    fused=cross_entropy,
    eager=_eager,
    liger=LIGER,
    launches=_launches,
    bytes_per_element_forward=accesses(1),
    bytes_per_element_backward=accesses(2),
    differentiable=("logits",),
)

CROSS_ENTROPY_IN_PLACE = KernelEntry(
    name="cross_entropy_",
    inputs=_inputs,
    fused=_in_place,
    eager=_eager,
    liger=LIGER,
    launches=_launches_in_place,
    bytes_per_element_forward=accesses(3),
    bytes_per_element_backward=accesses(2),  # none where the gradient of the loss is 1
    differentiable=("logits",),
)
