"""Catalog entry of the MLP block; an element is one of the hidden layer, n_cols its width.

Launches and bytes are those of bias and activation; the matrix products between them are torch's.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels.bias_activation import backward_launches, forward_launches
from traincost_kernels.entry import Inputs, KernelEntry, accesses, normal
from traincost_kernels.launch import Launch
from traincost_kernels.ops.fused_mlp import fused_mlp

EXPANSION = 4  # of the hidden layer over the input


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    n_in = max(1, n_cols // EXPANSION)
    return {
        "x": normal((n_rows, n_in), dtype, device, seed=0),
        "w1": normal((n_cols, n_in), dtype, device, seed=1) / n_in**0.5,
        "b1": normal((n_cols,), dtype, device, seed=2),
        "w2": normal((n_in, n_cols), dtype, device, seed=3) / max(1, n_cols) ** 0.5,
        "b2": normal((n_in,), dtype, device, seed=4),
    }


def _eager(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return F.linear(F.gelu(F.linear(x, w1, b1), approximate="tanh"), w2, b2)


def _launches(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    x, w1, b1 = inputs["x"], inputs["w1"], inputs["b1"]
    pre, a, da = (x.new_empty((x.shape[0], w1.shape[0])) for _ in range(3))
    db1 = torch.empty_like(b1)
    return {
        "forward": forward_launches("gelu_tanh", pre, b1, a),
        "backward": backward_launches("gelu_tanh", pre, b1, da, da, db1, a),
    }


ENTRY = KernelEntry(
    name="fused_mlp",
    inputs=_inputs,
    fused=fused_mlp,
    eager=_eager,
    launches=_launches,
    bytes_per_element_forward=accesses(2),
    bytes_per_element_backward=accesses(4),
    differentiable=("x", "w1", "b1", "w2", "b2"),
)
