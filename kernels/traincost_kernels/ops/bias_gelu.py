"""Bias and activation: GELU, by the error function or its tanh approximation.

    y     = act(x + bias)
    dx    = act'(x + bias) dy
    dbias = sum of dx over the rows

Shapes: x, y, dx, dy (..., n_cols); bias, dbias (n_cols,). dtypes: bf16, fp16, fp32, fp64, all
tensors the same, computed in fp32 (fp64 for fp64), rounded once at the store: x + bias isn't
rounded in between as it is in eager.

Bytes an element in 2-byte dtypes: forward 4 (x, y), backward 6 (x, dy, dx), and on top partial sums
of dbias in fp32, written and read again. A program adds up 4 super-rows (see `superrows`) or more,
so these are 2 bytes an element at few rows (2.00 at 1,024 rows of 1,024 columns, and more below 64
rows or so, where super-rows are few) and less from 8 million elements or so (1.00 at 4,096 rows of
4,096, 0.25 at 16,384). `F.gelu(x + bias)` moves 8 and 8 (gradient of the bias not counted). A
strided x or dy is copied first.

The launchers know other activations as well, which the fused MLP block uses, and can store the
activation along with the gradient, which saves that block one reading of x.

Source: Hendrycks and Gimpel, arXiv 1606.08415; the fusion as in Megatron-LM's `bias_gelu`.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.activations import (
    gelu_and_slope,
    gelu_tanh_and_slope,
    relu_squared_and_slope,
)
from traincost_kernels.checks import require_choice, require_floating, require_vector
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import Kernel, Launch, bytes_of, run
from traincost_kernels.superrows import (
    ALIGNMENT,
    SuperRows,
    cut,
    first_column,
    load_vector,
    partial_sums,
    sum_launches,
    super_rows_with,
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


def _activation_name(specialization: Any) -> str:
    return str(specialization.constants["ACTIVATION"].__name__).removesuffix("_and_slope")


def _forward_name(specialization: Any) -> str:
    return f"bias_{_activation_name(specialization)}_forward"


def _backward_name(specialization: Any) -> str:
    return f"bias_{_activation_name(specialization)}_backward"


@triton.jit
def _forward_tile(
    x_ptr: tl.tensor,
    y_ptr: tl.tensor,
    start: tl.tensor,
    bias: tl.tensor,
    n_valid: tl.tensor,
    ACTIVATION: tl.constexpr,
    BLOCK: tl.constexpr,
    MASK: tl.constexpr,
) -> None:
    offsets = tl.arange(0, BLOCK)
    x = load_tile(x_ptr + start, offsets, n_valid, MASK) + bias
    store_tile(y_ptr + start, offsets, ACTIVATION(x)[0], n_valid, MASK)


@triton.jit(repr=_forward_name)
def bias_activation_forward(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    bias_ptr: tl.tensor,  # (n_cols,) or None
    y_ptr: tl.tensor,  # (n_rows, n_cols)
    n_elements: tl.tensor,
    n_cols: tl.tensor,
    period: tl.tensor,
    n_groups: tl.tensor,
    ACTIVATION: tl.constexpr,
    COLS_DIVISOR: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """A block of columns of every n_groups-th super-row a program."""
    first = first_column(n_groups, BLOCK)
    if bias_ptr is None:
        bias = zeros_tile(x_ptr, BLOCK)
    else:
        bias = load_vector(bias_ptr, first, n_cols, COLS_DIVISOR, BLOCK)
    n_block = tl.minimum(period - first, BLOCK).to(tl.int32)
    n_super_rows = super_rows_with(first, n_elements, period)
    for row in range(tl.program_id(0) % n_groups, n_super_rows, n_groups):
        start = row * period.to(tl.int64) + first
        n_left = tl.minimum(n_elements - start, BLOCK).to(tl.int32)
        if n_left >= n_block:
            _forward_tile(x_ptr, y_ptr, start, bias, n_block, ACTIVATION, BLOCK, BY_16)
        else:
            _forward_tile(x_ptr, y_ptr, start, bias, n_left, ACTIVATION, BLOCK, BY_ELEMENT)


@triton.jit
def _backward_tile(
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
    offsets = tl.arange(0, BLOCK)
    x = load_tile(x_ptr + start, offsets, n_valid, MASK) + bias
    activation = ACTIVATION(x)  # value, slope
    dx = activation[1] * load_tile(dy_ptr + start, offsets, n_valid, MASK)
    store_tile(dx_ptr + start, offsets, dx, n_valid, MASK)
    if y_ptr is not None:
        store_tile(y_ptr + start, offsets, activation[0], n_valid, MASK)
    return tl.where(kept(offsets, n_valid, MASK), dx, 0.0)


@triton.jit(repr=_backward_name)
def bias_activation_backward(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    bias_ptr: tl.tensor,  # (n_cols,) or None
    dy_ptr: tl.tensor,  # (n_rows, n_cols)
    dx_ptr: tl.tensor,  # (n_rows, n_cols)
    y_ptr: tl.tensor,  # (n_rows, n_cols) or None
    partials_ptr: tl.tensor,  # (n_groups, period), or None if there is no bias
    n_elements: tl.tensor,
    n_cols: tl.tensor,
    period: tl.tensor,
    n_groups: tl.tensor,
    ACTIVATION: tl.constexpr,
    COLS_DIVISOR: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """As in the forward, and a program's sums of dx become its part of the partial sums."""
    first = first_column(n_groups, BLOCK)
    total = zeros_tile(x_ptr, BLOCK)
    bias = total if bias_ptr is None else load_vector(bias_ptr, first, n_cols, COLS_DIVISOR, BLOCK)
    n_block = tl.minimum(period - first, BLOCK).to(tl.int32)
    group = tl.program_id(0) % n_groups
    n_super_rows = super_rows_with(first, n_elements, period)
    for row in range(group, n_super_rows, n_groups):
        start = row * period.to(tl.int64) + first
        n_left = tl.minimum(n_elements - start, BLOCK).to(tl.int32)
        if n_left >= n_block:
            total += _backward_tile(
                x_ptr, dy_ptr, dx_ptr, y_ptr, start, bias, n_block, ACTIVATION, BLOCK, BY_16
            )
        else:
            total += _backward_tile(
                x_ptr, dy_ptr, dx_ptr, y_ptr, start, bias, n_left, ACTIVATION, BLOCK, BY_ELEMENT
            )
    if partials_ptr is not None:
        start = group.to(tl.int64) * period + first
        store_tile(partials_ptr + start, tl.arange(0, BLOCK), total, n_block, BY_16)


def _cut(x: Tensor, bias: Tensor | None, *, backward: bool) -> SuperRows:
    n_cols = ALIGNMENT if bias is None else bias.numel()  # without a bias there are no columns
    return cut(x.numel(), n_cols, pointwise_block(x, n_inputs=2), backward=backward)


def forward_launches(
    activation: str, x: Tensor, bias: Tensor | None, y: Tensor
) -> tuple[Launch, ...]:
    """Launches that fill y; `activation` is a key of ACTIVATIONS."""
    rows = _cut(x, bias, backward=False)
    launch = Launch(
        kernel=bias_activation_forward,
        grid=rows.grid,
        arguments=(x, bias, y, *rows.arguments),
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
        kernel=bias_activation_backward,
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


@torch.library.custom_op("traincost::bias_activation", mutates_args=())
def _bias_activation(activation: str, x: Tensor, bias: Tensor | None) -> Tensor:
    x, bias = x.contiguous(), None if bias is None else bias.contiguous()
    y = torch.empty_like(x)
    run("bias_gelu", forward_launches(activation, x, bias, y))
    return y


@torch.library.custom_op("traincost::bias_activation_backward", mutates_args=())
def _bias_activation_backward(
    activation: str, x: Tensor, bias: Tensor | None, dy: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients dx and dbias, the second empty where there is no bias."""
    x, dy = x.contiguous(), dy.contiguous()
    dx = torch.empty_like(x)
    if bias is None:
        run("bias_gelu", backward_launches(activation, x, None, dy, dx, None))
        return dx, x.new_empty(0)
    bias = bias.contiguous()
    dbias = torch.empty_like(bias)
    run("bias_gelu", backward_launches(activation, x, bias, dy, dx, dbias))
    return dx, dbias


@_bias_activation.register_fake
def _(activation: str, x: Tensor, bias: Tensor | None) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_bias_activation_backward.register_fake
def _(activation: str, x: Tensor, bias: Tensor | None, dy: Tensor) -> tuple[Tensor, Tensor]:
    dx = torch.empty_like(x, memory_format=torch.contiguous_format)
    return dx, x.new_empty(0 if bias is None else bias.shape)


def _save(ctx: Any, inputs: tuple[str, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.activation, x, bias = inputs
    ctx.save_for_backward(x, bias)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[None, Tensor, Tensor | None]:
    x, bias = ctx.saved_tensors
    dx, dbias = _bias_activation_backward(ctx.activation, x, bias, dy)
    return None, dx, None if bias is None else dbias


register_derivative("bias_gelu", _bias_activation, _differentiate, _save, _bias_activation_backward)
register_flops("bias_activation")
register_flops("bias_activation_backward")


def bias_gelu(
    x: Tensor,  # (..., n_cols)
    bias: Tensor | None = None,  # (n_cols,)
    *,
    approximate: str = "none",
) -> Tensor:  # (..., n_cols)
    """GELU of x + bias; saves x and bias for the backward.

    Args:
        x: the output of a matrix product, say.
        bias: added to every row; None adds nothing.
        approximate: "none" for GELU by the error function, "tanh" for its approximation, as in
            `torch.nn.functional.gelu`.

    Raises:
        KernelInputError: x or bias is no floating-point tensor, bias is not as long as the last
            dimension of x or differs from x in dtype or device, or `approximate` is another word.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    require_floating("bias_gelu", "x", x)
    if bias is not None:
        require_vector("bias_gelu", "bias", bias, x)
    require_choice("bias_gelu", "approximate", approximate, ("none", "tanh"))
    refuse_transforms("bias_gelu", x, bias)
    activation = "gelu_tanh" if approximate == "tanh" else "gelu"
    return _bias_activation(activation, x.contiguous(), bias)
