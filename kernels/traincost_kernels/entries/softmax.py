"""Catalog entries of softmax, plain (a control: nothing to gain) and with a factor and a mask."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.entry import Inputs, KernelEntry, normal
from traincost_kernels.launch import Launch
from traincost_kernels.ops.softmax import (
    backward_launches,
    forward_launches,
    is_looped,
    softmax,
)

SCALE = 64**-0.5 * 1.1  # no power of two


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    return {"x": normal((n_rows, n_cols), dtype, device, seed=0)}


def _inputs_masked(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    """One mask for all rows, as that of keys which are padding; three of four columns stay."""
    if device == "meta":
        mask = torch.empty(n_cols, dtype=torch.bool, device=device)
    else:
        mask = (torch.arange(n_cols) % 4 != 1).to(device)
    return {**_inputs(n_rows, n_cols, dtype, device), "mask": mask}


def _eager(x: Tensor) -> Tensor:
    return F.softmax(x, -1)


def _eager_masked(x: Tensor, mask: Tensor) -> Tensor:
    return F.softmax((x * SCALE).masked_fill(~mask, -torch.inf), -1)


def _fused_masked(x: Tensor, mask: Tensor) -> Tensor:
    return softmax(x, scale=SCALE, mask=mask)


def _launches(scale: float, inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    x, mask = inputs["x"], inputs.get("mask")
    y, dy, dx = (torch.zeros_like(x) for _ in range(3))  # a row of NaN would read the mask
    return {
        "forward": forward_launches(x, mask, y, scale),
        "backward": backward_launches(y, mask, dy, dx, scale),
    }


def _bytes(once: int, twice: int, dtype: torch.dtype, n_cols: int) -> float:
    return float((twice if is_looped(n_cols, dtype) else once) * dtype.itemsize)


SOFTMAX = KernelEntry(
    name="softmax",
    inputs=_inputs,
    fused=softmax,
    eager=_eager,  # which is aten's fused op already
    liger="liger_kernel.ops.softmax.LigerSoftmaxFunction",
    launches=partial(_launches, 1.0),
    bytes_per_element_forward=partial(_bytes, 2, 3),
    bytes_per_element_backward=partial(_bytes, 3, 5),
    differentiable=("x",),
)

MASKED_SOFTMAX = KernelEntry(
    name="masked_softmax",
    inputs=_inputs_masked,
    fused=_fused_masked,
    eager=_eager_masked,
    launches=partial(_launches, SCALE),
    bytes_per_element_forward=partial(_bytes, 2, 3),
    bytes_per_element_backward=partial(_bytes, 3, 5),
    differentiable=("x",),
)
