"""Catalog entries of SwiGLU and GeGLU."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.entry import Inputs, KernelEntry, Outputs, accesses, normal
from traincost_kernels.launch import Launch
from traincost_kernels.ops.gated import backward_launches, forward_launches, geglu, swiglu


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    shape = (n_rows, n_cols)
    return {
        "gate": normal(shape, dtype, device, seed=0),
        "up": normal(shape, dtype, device, seed=1),
    }


def _eager_swiglu(gate: Tensor, up: Tensor) -> Tensor:
    return F.silu(gate) * up


def _eager_geglu(gate: Tensor, up: Tensor, approximate: str) -> Tensor:
    return F.gelu(gate, approximate=approximate) * up


def _launches(kind: str, inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    gate, up = inputs["gate"], inputs["up"]
    y, dy, dgate, dup = (torch.empty_like(gate) for _ in range(4))
    return {
        "forward": forward_launches(kind, gate, up, y),
        "backward": backward_launches(kind, gate, up, dy, dgate, dup),
    }


def _entry(
    kind: str, fused: Callable[..., Outputs], eager: Callable[..., Outputs], liger: str | None
) -> KernelEntry:
    return KernelEntry(
        name=kind,
        inputs=_inputs,
        fused=fused,
        eager=eager,
        liger=liger,
        launches=partial(_launches, kind),
        bytes_per_element_forward=accesses(3),
        bytes_per_element_backward=accesses(5),
        differentiable=("gate", "up"),
    )


SWIGLU = _entry("swiglu", swiglu, _eager_swiglu, "liger_kernel.ops.swiglu.LigerSiLUMulFunction")
GEGLU = _entry("geglu", geglu, partial(_eager_geglu, approximate="none"), None)
GEGLU_TANH = _entry(
    "geglu_tanh",
    partial(geglu, approximate="tanh"),
    partial(_eager_geglu, approximate="tanh"),
    "liger_kernel.ops.geglu.LigerGELUMulFunction",  # which is the tanh approximation
)
