"""Catalog entry of the LSTM cell; an element is a hidden unit, so n_cols is the hidden size."""

from collections.abc import Mapping

import torch
from torch import Tensor

from traincost_kernels.entry import Inputs, KernelEntry, accesses, normal
from traincost_kernels.launch import Launch
from traincost_kernels.ops.lstm_cell import backward_launches, forward_launches, lstm_cell


def _inputs(n_rows: int, n_cols: int, dtype: torch.dtype, device: str) -> Inputs:
    return {
        "gates": normal((n_rows, 4 * n_cols), dtype, device, seed=0),
        "c": normal((n_rows, n_cols), dtype, device, seed=1),
    }


def _eager(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """As recurrent nets are written by hand."""
    i, f, g, o = gates.chunk(4, dim=1)
    c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c_next.tanh(), c_next


def _aten(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """What `torch.nn.LSTMCell` runs on CUDA; it adds a second tensor of gates, here one zero."""
    nothing = gates.new_zeros(()).expand_as(gates)
    h, c_next, _ = torch.ops.aten._thnn_fused_lstm_cell(gates, nothing, c)
    return h, c_next


def _launches(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
    gates, c = inputs["gates"], inputs["c"]
    h, c_next, dh, dc_next, dc = (torch.empty_like(c) for _ in range(5))
    return {
        "forward": forward_launches(gates, c, h, c_next),
        "backward": backward_launches(gates, c, dh, dc_next, torch.empty_like(gates), dc),
    }


ENTRY = KernelEntry(
    name="lstm_cell",
    inputs=_inputs,
    fused=lstm_cell,
    eager=_eager,
    aten_fused=_aten,
    aten_fused_needs_cuda=True,
    launches=_launches,
    bytes_per_element_forward=accesses(7),
    bytes_per_element_backward=accesses(12),
    differentiable=("gates", "c"),
)
