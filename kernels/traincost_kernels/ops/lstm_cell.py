"""The pointwise half of an LSTM cell, after the matrix products.

    i, f, o = s(gates_i), s(gates_f), s(gates_o)        s the sigmoid
    g       = tanh(gates_g)
    c_next  = f c + i g
    h       = o tanh(c_next)

and backwards, with t = tanh(c_next) and dc' = dc_next + dh o (1 - t²),

    dgates_i = dc' g i (1 - i)      dgates_g = dc' i (1 - g²)
    dgates_f = dc' c f (1 - f)      dgates_o = dh t o (1 - o)
    dc       = dc' f

Shapes: gates, dgates (batch, 4 hidden), the gates in torch's order i, f, g, o; c, c_next, h, dc and
the gradients (batch, hidden). dtypes: bf16, fp16, fp32, fp64, all tensors the same, computed in
fp32 (fp64 for fp64), rounded once at the store.

Bytes a hidden unit in 2-byte dtypes: forward 14 (gates 8, c, c_next, h), backward 24 (gates 8, c,
dh, dc_next, dgates 8, dc). The composed cell moves 44 and 82. Saved are the inputs, gates before
their activations, and the activations are computed again: no bytes beyond the least. Strided input
is copied first.

A gate of a row starts at a multiple of `hidden` elements, so accesses are as wide as the largest
power of two that divides hidden allows: 16 bytes from 8 elements of 2 bytes, or 4 of 4. Otherwise
the four gates of an element can't all be aligned at once.

Source: Hochreiter and Schmidhuber (1997), as in `torch.nn.LSTMCell`; aten has the same fusion for
CUDA, `_thnn_fused_lstm_cell`, which stores the activated gates as well.
"""

from math import gcd
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.activations import sigmoid_and_rest, tanh_and_slope
from traincost_kernels.checks import require_floating, require_like, require_rank, require_shape
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import Kernel, Launch, bytes_of, run
from traincost_kernels.tiling import POINTWISE_WARPS, ceil_divide, pointwise_block, widen

ALIGNMENT = 16  # elements, which is 16 bytes or more in every dtype
NARROWEST = 128  # columns of a tile, if there are so many
WASTE = 1 / 8  # of the lanes of a row's last tile, at most, where that can be had


@triton.jit
def _load(ptr: tl.tensor, offsets: tl.tensor, inside: tl.tensor) -> tl.tensor:
    return widen(tl.load(ptr + offsets, mask=inside, other=0.0))


@triton.jit
def tile_offsets(
    batch: tl.tensor, hidden: tl.tensor, ROWS: tl.constexpr, COLS: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Of this program's tile: offsets in (batch, hidden), those of gate i, and which are inside."""
    n_blocks = tl.cdiv(hidden, COLS)
    row = (tl.program_id(0) // n_blocks) * ROWS + tl.arange(0, ROWS)[:, None]
    col = (tl.program_id(0) % n_blocks) * COLS + tl.arange(0, COLS)[None, :]
    first = row.to(tl.int64) * hidden
    return first + col, first * 4 + col, (row < batch) & (col < hidden)


@triton.jit
def lstm_cell_forward(
    gates_ptr: tl.tensor,  # (batch, 4 hidden)
    c_ptr: tl.tensor,  # (batch, hidden)
    h_ptr: tl.tensor,  # (batch, hidden)
    c_next_ptr: tl.tensor,  # (batch, hidden)
    batch: tl.tensor,
    hidden_units: tl.tensor,  # hidden / DIVISOR
    DIVISOR: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
) -> None:
    """A tile of ROWS of the batch by COLS hidden units a program."""
    hidden = hidden_units * DIVISOR  # so that the compiler knows what divides it
    tile = tile_offsets(batch, hidden, ROWS, COLS)
    offsets, gate, inside = tile[0], tile[1], tile[2]
    i = sigmoid_and_rest(_load(gates_ptr, gate, inside))[0]
    f = sigmoid_and_rest(_load(gates_ptr, gate + hidden, inside))[0]
    g = tanh_and_slope(_load(gates_ptr, gate + 2 * hidden, inside))[0]
    o = sigmoid_and_rest(_load(gates_ptr, gate + 3 * hidden, inside))[0]
    c_next = f * _load(c_ptr, offsets, inside) + i * g
    tl.store(c_next_ptr + offsets, c_next, mask=inside)
    tl.store(h_ptr + offsets, o * tanh_and_slope(c_next)[0], mask=inside)


@triton.jit
def lstm_cell_backward(
    gates_ptr: tl.tensor,  # (batch, 4 hidden)
    c_ptr: tl.tensor,  # (batch, hidden)
    dh_ptr: tl.tensor,  # (batch, hidden)
    dc_next_ptr: tl.tensor,  # (batch, hidden)
    dgates_ptr: tl.tensor,  # (batch, 4 hidden)
    dc_ptr: tl.tensor,  # (batch, hidden)
    batch: tl.tensor,
    hidden_units: tl.tensor,  # hidden / DIVISOR
    DIVISOR: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
) -> None:
    """As in the forward, whose activations are computed again."""
    hidden = hidden_units * DIVISOR
    tile = tile_offsets(batch, hidden, ROWS, COLS)
    offsets, gate, inside = tile[0], tile[1], tile[2]
    i = sigmoid_and_rest(_load(gates_ptr, gate, inside))  # value, 1 - value
    f = sigmoid_and_rest(_load(gates_ptr, gate + hidden, inside))
    g = tanh_and_slope(_load(gates_ptr, gate + 2 * hidden, inside))  # value, slope
    o = sigmoid_and_rest(_load(gates_ptr, gate + 3 * hidden, inside))
    c = _load(c_ptr, offsets, inside)
    dh = _load(dh_ptr, offsets, inside)
    t = tanh_and_slope(f[0] * c + i[0] * g[0])
    dc_next = _load(dc_next_ptr, offsets, inside) + dh * o[0] * t[1]
    tl.store(dgates_ptr + gate, dc_next * g[0] * i[0] * i[1], mask=inside)
    tl.store(dgates_ptr + gate + hidden, dc_next * c * f[0] * f[1], mask=inside)
    tl.store(dgates_ptr + gate + 2 * hidden, dc_next * i[0] * g[1], mask=inside)
    tl.store(dgates_ptr + gate + 3 * hidden, dh * t[0] * o[0] * o[1], mask=inside)
    tl.store(dc_ptr + offsets, dc_next * f[0], mask=inside)


def tile_shape(hidden: int, block: int) -> tuple[int, int]:
    """(rows, columns), powers of two that make `block`; wide, unless much of it would be empty."""
    cols = block
    while cols // 2 >= max(hidden, 1):
        cols //= 2
    while cols > NARROWEST and ceil_divide(hidden, cols) * cols > (1 + WASTE) * hidden:
        cols //= 2
    return block // cols, cols


def _launch(
    kernel: Kernel, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], c: Tensor
) -> Launch:
    batch, hidden = c.shape
    divisor = gcd(hidden, ALIGNMENT)
    rows, cols = tile_shape(hidden, pointwise_block(c, len(inputs)))
    return Launch(
        kernel=kernel,
        grid=(ceil_divide(batch, rows) * ceil_divide(hidden, cols),),
        arguments=(*inputs, *outputs, batch, hidden // divisor),
        constants={"DIVISOR": divisor, "ROWS": rows, "COLS": cols},
        num_warps=POINTWISE_WARPS,
        bytes_read=bytes_of(*inputs),
        bytes_written=bytes_of(*outputs),
    )


def forward_launches(gates: Tensor, c: Tensor, h: Tensor, c_next: Tensor) -> tuple[Launch, ...]:
    """Launches that fill h and c_next."""
    return (_launch(lstm_cell_forward, (gates, c), (h, c_next), c),)


def backward_launches(
    gates: Tensor, c: Tensor, dh: Tensor, dc_next: Tensor, dgates: Tensor, dc: Tensor
) -> tuple[Launch, ...]:
    """Launches that fill dgates and dc."""
    return (_launch(lstm_cell_backward, (gates, c, dh, dc_next), (dgates, dc), c),)


@torch.library.custom_op("traincost::lstm_cell", mutates_args=())
def _lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    gates, c = gates.contiguous(), c.contiguous()
    h, c_next = torch.empty_like(c), torch.empty_like(c)
    run("lstm_cell", forward_launches(gates, c, h, c_next))
    return h, c_next


@torch.library.custom_op("traincost::lstm_cell_backward", mutates_args=())
def _lstm_cell_backward(
    gates: Tensor, c: Tensor, dh: Tensor, dc_next: Tensor
) -> tuple[Tensor, Tensor]:
    gates, c, dh, dc_next = (value.contiguous() for value in (gates, c, dh, dc_next))
    dgates, dc = torch.empty_like(gates), torch.empty_like(c)
    run("lstm_cell", backward_launches(gates, c, dh, dc_next, dgates, dc))
    return dgates, dc


@_lstm_cell.register_fake
def _(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    h = torch.empty_like(c, memory_format=torch.contiguous_format)
    return h, torch.empty_like(h)


@_lstm_cell_backward.register_fake
def _(gates: Tensor, c: Tensor, dh: Tensor, dc_next: Tensor) -> tuple[Tensor, Tensor]:
    dgates = torch.empty_like(gates, memory_format=torch.contiguous_format)
    return dgates, torch.empty_like(c, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, dh: Tensor, dc_next: Tensor) -> tuple[Tensor, Tensor]:
    gates, c = ctx.saved_tensors
    dgates, dc = _lstm_cell_backward(gates, c, dh, dc_next)
    return dgates, dc


register_derivative("lstm_cell", _lstm_cell, _differentiate, _save, _lstm_cell_backward)
register_flops("lstm_cell")
register_flops("lstm_cell_backward")


def lstm_cell(
    gates: Tensor,  # (batch, 4 hidden)
    c: Tensor,  # (batch, hidden)
) -> tuple[Tensor, Tensor]:  # (batch, hidden) each
    """The hidden state h and cell state of the next step; saves gates and c for the backward.

    Args:
        gates: before their activations, input, forget, cell and output gate side by side, as the
            matrix products of `torch.nn.LSTMCell` make them, biases added.
        c: the cell state before.

    Raises:
        KernelInputError: gates or c is no floating-point tensor of two dimensions, they differ in
            dtype or device, or gates is not four times as wide as c.
        NoDeviceError: they are on the CPU and Triton's interpreter is off.
    """
    require_floating("lstm_cell", "gates", gates)
    require_like("lstm_cell", "c", c, "gates", gates)
    require_rank("lstm_cell", "c", c, 2, "(batch, hidden)")
    batch, hidden = c.shape
    reason = "(batch, 4 hidden) for c of (batch, hidden)"
    require_shape("lstm_cell", "gates", gates, (batch, 4 * hidden), reason)
    refuse_transforms("lstm_cell", gates, c)
    h, c_next = _lstm_cell(gates.contiguous(), c.contiguous())
    return h, c_next
