"""Kernel and launchers of a bias and an activation, forward and backward.

    y     = act(x + bias)
    dx    = act'(x + bias) dy
    dbias = sum of dx over the rows

One kernel: the forward writes y, the backward dx, its part of the sums for dbias, and y again where
the fused MLP block wants it, which saves that block one reading of x.
"""

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.activations import (
    gelu_and_slope,
    gelu_tanh_and_slope,
    relu_squared_and_slope,
)
from traincost_kernels.launch import Kernel, Launch, bytes_of
from traincost_kernels.superrows import (
    ALIGNMENT,
    SuperRows,
    cut,
    load_vector,
    partial_sums,
    store_partial_sums,
    sum_launches,
    tiles_of_program,
)
from traincost_kernels.tiling import (
    BY_16,
    BY_ELEMENT,
    POINTWISE_WARPS,
    kept,
    load_tile,
    pointwise_block,
    store_tile,
    zeros_tile,
)

ACTIVATIONS: dict[str, Kernel] = {
    "gelu": gelu_and_slope,
    "gelu_tanh": gelu_tanh_and_slope,
    "relu_squared": relu_squared_and_slope,
}


def _name(specialization: Any) -> str:
    """As in "bias_gelu_tanh_forward"; an argument that is None is a constant."""
    constants = specialization.constants
    activation = str(constants["ACTIVATION"].__name__).removesuffix("_and_slope")
    is_forward = "dy_ptr" in constants
    return f"bias_{activation}_{'forward' if is_forward else 'backward'}"


@triton.jit
def _tile(
    x_ptr: tl.tensor,
    dy_ptr: tl.tensor,
    dx_ptr: tl.tensor,
    y_ptr: tl.tensor,
    start: tl.tensor,
    bias: tl.tensor,
    n_valid: tl.tensor,
    ACTIVATION: tl.constexpr,
    BLOCK: tl.constexpr,
    MASK: tl.constexpr,
) -> tl.tensor:
    """What the tile adds to the sums for dbias; in the forward, which has none, anything."""
    offsets = tl.arange(0, BLOCK)
    x = load_tile(x_ptr + start, offsets, n_valid, MASK) + bias
    activation = ACTIVATION(x)  # value, slope
    if y_ptr is not None:
        store_tile(y_ptr + start, offsets, activation[0], n_valid, MASK)
    if dy_ptr is None:
        return bias
    else:
        dx = activation[1] * load_tile(dy_ptr + start, offsets, n_valid, MASK)
        store_tile(dx_ptr + start, offsets, dx, n_valid, MASK)
        return tl.where(kept(offsets, n_valid, MASK), dx, 0.0)


@triton.jit(repr=_name)
def bias_activation_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    bias_ptr: tl.tensor,  # (n_cols,) or None
    dy_ptr: tl.tensor,  # (n_rows, n_cols), or None in the forward
    dx_ptr: tl.tensor,  # (n_rows, n_cols), or None in the forward
    y_ptr: tl.tensor,  # (n_rows, n_cols) or None
    partials_ptr: tl.tensor,  # (n_groups, period), or None where there is no dbias
    n_elements: tl.tensor,
    n_cols: tl.tensor,
    period: tl.tensor,
    n_groups: tl.tensor,
    ACTIVATION: tl.constexpr,
    COLS_DIVISOR: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """A block of columns of every n_groups-th super-row a program."""
    group, first, n_block, n_super_rows = tiles_of_program(n_elements, period, n_groups, BLOCK)  # pyright: ignore
    total = zeros_tile(x_ptr, BLOCK)
    bias = total if bias_ptr is None else load_vector(bias_ptr, first, n_cols, COLS_DIVISOR, BLOCK)
    for row in range(group, n_super_rows, n_groups):
        start = row * period.to(tl.int64) + first
        n_left = tl.minimum(n_elements - start, BLOCK).to(tl.int32)
        if n_left >= n_block:
            total += _tile(
                x_ptr, dy_ptr, dx_ptr, y_ptr, start, bias, n_block, ACTIVATION, BLOCK, BY_16
            )
        else:
            total += _tile(
                x_ptr, dy_ptr, dx_ptr, y_ptr, start, bias, n_left, ACTIVATION, BLOCK, BY_ELEMENT
            )
    if partials_ptr is not None:
        store_partial_sums(partials_ptr, group, period, first, total, n_block, BLOCK)


def _cut(x: Tensor, bias: Tensor | None, *, backward: bool) -> SuperRows:
    n_cols = ALIGNMENT if bias is None else bias.numel()  # without a bias there are no columns
    return cut(x.numel(), n_cols, pointwise_block(x, n_inputs=2), backward=backward)


def forward_launches(
    activation: str, x: Tensor, bias: Tensor | None, y: Tensor
) -> tuple[Launch, ...]:
    """Launches that fill y; `activation` is a key of ACTIVATIONS."""
    rows = _cut(x, bias, backward=False)
    launch = Launch(
        kernel=bias_activation_kernel,
        grid=rows.grid,
        arguments=(x, bias, None, None, y, None, *rows.arguments),
        constants={"ACTIVATION": ACTIVATIONS[activation], **rows.constants},
        num_warps=POINTWISE_WARPS,
        bytes_read=bytes_of(x, bias),
        bytes_written=bytes_of(y),
    )
    return (launch,)


def backward_launches(
    activation: str,
    x: Tensor,
    bias: Tensor | None,
    dy: Tensor,
    dx: Tensor,
    dbias: Tensor | None,
    y: Tensor | None = None,
) -> tuple[Launch, ...]:
    """Launches that fill dx, dbias where there is a bias, and y again where it is wanted."""
    rows = _cut(x, bias, backward=True)
    partials = None if dbias is None else partial_sums(x, rows)
    first = Launch(
        kernel=bias_activation_kernel,
        grid=rows.grid,
        arguments=(x, bias, dy, dx, y, partials, *rows.arguments),
        constants={"ACTIVATION": ACTIVATIONS[activation], **rows.constants},
        num_warps=POINTWISE_WARPS,
        bytes_read=bytes_of(x, bias, dy),
        bytes_written=bytes_of(dx, y, partials),
    )
    if partials is None or dbias is None:
        return (first,)
    return (first, *sum_launches(rows, partials, dbias))
