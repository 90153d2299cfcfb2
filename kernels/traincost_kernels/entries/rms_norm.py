"""Catalog entries of RMSNorm, alone and after the residual sum."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.entry import Inputs, KernelEntry, normal
from traincost_kernels.launch import Launch
from traincost_kernels.norms import least_bytes_backward, least_bytes_forward, row_statistic
from traincost_kernels.ops.rms_norm import backward_launches, forward_launches, rms_norm

EPS = 1e-6


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    return {
        "x": normal((n_rows, n_cols), dtype, device, seed=0),
        "weight": normal((n_cols,), dtype, device, seed=1),
    }


def _inputs_residual(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    residual = normal((n_rows, n_cols), dtype, device, seed=2)
    return {**_inputs(n_rows, n_cols, dtype, device), "residual": residual}


def _fused(x: Tensor, weight: Tensor) -> Tensor:
    return rms_norm(x, weight, eps=EPS)


def _fused_residual(x: Tensor, weight: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    return rms_norm(x, weight, eps=EPS, residual=residual)


def _composed(x: Tensor, weight: Tensor) -> Tensor:
    """As Llama's reference code writes it."""
    wide = x.to(torch.float32) if x.dtype.itemsize == 2 else x
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPS)).to(x.dtype) * weight


def _composed_residual(x: Tensor, weight: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    total = x + residual
    return _composed(total, weight), total


def _eager(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], weight, EPS)


def _eager_residual(x: Tensor, weight: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    total = x + residual
    return _eager(total, weight), total


def _aten_fused(x: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.aten._fused_rms_norm(x, list(x.shape[-1:]), weight, EPS)[0]


def _aten_fused_residual(x: Tensor, weight: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
    total = x + residual
    return _aten_fused(total, weight), total


def _launches(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    x, weight, residual = inputs["x"], inputs["weight"], inputs.get("residual")
    y, dy, dx = (torch.empty_like(x) for _ in range(3))
    total = None if residual is None else torch.empty_like(x)
    dsum = None if residual is None else torch.empty_like(x)
    rstd, dweight = row_statistic(x), torch.empty_like(weight)
    saved = x if total is None else total
    return {
        "forward": forward_launches(x, residual, weight, y, total, rstd, EPS),
        "backward": backward_launches(saved, weight, rstd, dy, dsum, dx, dweight),
    }


def _forward_bytes_residual(dtype: torch.dtype, n_cols: int) -> float:
    return least_bytes_forward(dtype, n_cols) + 2 * dtype.itemsize


def _backward_bytes(dtype: torch.dtype, n_cols: int) -> float:
    return least_bytes_backward(dtype, n_cols, centred=False)


def _backward_bytes_residual(dtype: torch.dtype, n_cols: int) -> float:
    return _backward_bytes(dtype, n_cols) + dtype.itemsize


RMS_NORM = KernelEntry(
    name="rms_norm",
    inputs=_inputs,
    fused=_fused,
    eager=_eager,
    composed=_composed,
    aten_fused=_aten_fused,
    aten_fused_needs_cuda=True,
    liger="liger_kernel.ops.rms_norm.LigerRMSNormFunction",
    launches=_launches,
    bytes_per_element_forward=least_bytes_forward,
    bytes_per_element_backward=_backward_bytes,
    differentiable=("x", "weight"),
)

ADD_RMS_NORM = KernelEntry(
    name="add_rms_norm",
    inputs=_inputs_residual,
    fused=_fused_residual,
    eager=_eager_residual,
    composed=_composed_residual,
    aten_fused=_aten_fused_residual,
    aten_fused_needs_cuda=True,
    liger="liger_kernel.ops.fused_add_rms_norm.LigerFusedAddRMSNormFunction",
    launches=_launches,
    bytes_per_element_forward=_forward_bytes_residual,
    bytes_per_element_backward=_backward_bytes_residual,
    differentiable=("x", "weight", "residual"),
)
