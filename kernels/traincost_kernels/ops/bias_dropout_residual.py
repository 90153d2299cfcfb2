"""Bias, dropout and residual addition at the end of a Transformer block's branch.

    y         = residual + keep (x + bias) / (1 - p)      keep is 0 with probability p, else 1
    dx        = keep dy / (1 - p)
    dbias     = sum of dx over the rows
    dresidual = dy

Shapes: x, residual, y and their gradients (..., n_cols); bias, dbias (n_cols,). dtypes: bf16, fp16,
fp32, fp64, all tensors the same, computed in fp32 (fp64 for fp64), rounded once at the store.

The mask is neither stored nor saved: forward and backward make it from the seed, the shape and the
position by Philox 4x32-10, and it is the same in every dtype. One Philox call gives four 32-bit
words; they go to the same column of four super-rows (see `superrows`), so that nothing is shuffled
between threads. At one call an element the forward would be bound by integer arithmetic on an H100,
at four elements a call by memory.

Bytes an element in 2-byte dtypes: forward 6 (x, residual, y), backward 4 (dy, dx; dresidual is dy
itself), and on top partial sums of dbias as in `bias_gelu`. `F.dropout(x + bias, p) + residual`
moves 15 and 7. Strided input is copied first.

p is compiled into the kernel; each new p compiles a new one.

Source: Srivastava et al., JMLR 15 (2014); the fusion as in Megatron-LM; Philox from Salmon et al.,
SC11.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.checks import (
    require_between,
    require_flag,
    require_floating,
    require_same_shape,
    require_seed,
    require_vector,
)
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import Launch, bytes_of, run
from traincost_kernels.superrows import (
    SuperRows,
    cut,
    first_column,
    load_vector,
    partial_sums,
    sum_launches,
    super_rows_with,
)
from traincost_kernels.tiling import (
    ACCESS_BYTES,
    BY_16,
    BY_ELEMENT,
    THREADS_PER_WARP,
    load_tile,
    store_tile,
    zeros_tile,
)

BLOCK = 1024  # for every dtype, since the mask depends on it
WORDS = tl.constexpr(4)  # of a Philox call, and super-rows that share one


@triton.jit
def kept_bits(
    seed_ptr: tl.tensor | None,
    seed: tl.tensor,
    position: tl.tensor,
    THRESHOLD: tl.constexpr,
    BLOCK: tl.constexpr,
) -> tl.tensor:
    """Bit k of a column: whether it is kept in the k-th of the four super-rows of a step.

    `position` is where the first column would be if a step were one super-row; the counter goes on
    from there. One integer instead of four words saves registers, and so does a counter of which
    all parts change from step to step (ran on sm_90 in bf16: 77 instead of 119), since the compiler
    keeps what doesn't change.
    """
    counter = position + tl.arange(0, BLOCK)  # int64
    low, high = counter.to(tl.uint32), (counter >> 32).to(tl.uint32)
    key = seed if seed_ptr is None else tl.load(seed_ptr)
    words = tl.philox(key, low, high, low * 0, low * 0)
    bits = (words[0] >= THRESHOLD).to(tl.int32)
    for k in tl.static_range(1, WORDS):
        bits |= (words[k] >= THRESHOLD).to(tl.int32) << k
    return bits


@triton.jit
def drop(
    x: tl.tensor, bits: tl.tensor, K: tl.constexpr, THRESHOLD: tl.constexpr, SCALE: tl.constexpr
) -> tl.tensor:
    """X scaled where bit K is set, else times 0, which keeps NaN as in eager."""
    if THRESHOLD == 0:
        return x
    else:
        return tl.where((bits >> K) & 1 == 1, x * SCALE, x * 0.0)


@triton.jit
def _forward_tile(
    x_ptr: tl.tensor,
    residual_ptr: tl.tensor,
    y_ptr: tl.tensor,
    start: tl.tensor,
    bias: tl.tensor,
    bits: tl.tensor,
    n_valid: tl.tensor,
    K: tl.constexpr,
    THRESHOLD: tl.constexpr,
    SCALE: tl.constexpr,
    BLOCK: tl.constexpr,
    MASK: tl.constexpr,
) -> None:
    offsets = tl.arange(0, BLOCK)
    x = load_tile(x_ptr + start, offsets, n_valid, MASK) + bias
    residual = load_tile(residual_ptr + start, offsets, n_valid, MASK)
    y = residual + drop(x, bits, K, THRESHOLD, SCALE)
    store_tile(y_ptr + start, offsets, y, n_valid, MASK)


@triton.jit(do_not_specialize=["seed"])
def bias_dropout_residual_forward(
    x_ptr: tl.tensor,  # (n_rows, n_cols)
    bias_ptr: tl.tensor,  # (n_cols,) or None
    residual_ptr: tl.tensor,  # (n_rows, n_cols)
    y_ptr: tl.tensor,  # (n_rows, n_cols)
    seed_ptr: tl.tensor,  # (1,) int64, or None: then it is `seed`
    seed: tl.tensor,
    n_elements: tl.tensor,
    n_cols: tl.tensor,
    period: tl.tensor,
    n_groups: tl.tensor,
    THRESHOLD: tl.constexpr,
    SCALE: tl.constexpr,
    COLS_DIVISOR: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """A block of columns of every n_groups-th four super-rows a program."""
    first = first_column(n_groups, BLOCK)
    if bias_ptr is None:
        bias = zeros_tile(x_ptr, BLOCK)
    else:
        bias = load_vector(bias_ptr, first, n_cols, COLS_DIVISOR, BLOCK)
    n_block = tl.minimum(period - first, BLOCK).to(tl.int32)
    period64 = period.to(tl.int64)
    n_super_rows = super_rows_with(first, n_elements, period)
    for step in range(tl.program_id(0) % n_groups, tl.cdiv(n_super_rows, WORDS), n_groups):
        bits = kept_bits(seed_ptr, seed, step * period64 + first, THRESHOLD, BLOCK)
        for k in tl.static_range(WORDS):
            start = (step * WORDS + k) * period64 + first
            n_left = tl.minimum(n_elements - start, BLOCK).to(tl.int32)
            if n_left >= n_block:
                _forward_tile(
                    x_ptr, residual_ptr, y_ptr, start, bias, bits, n_block,
                    k, THRESHOLD, SCALE, BLOCK, BY_16,
                )  # fmt: skip
            else:
                _forward_tile(
                    x_ptr, residual_ptr, y_ptr, start, bias, bits, n_left,
                    k, THRESHOLD, SCALE, BLOCK, BY_ELEMENT,
                )  # fmt: skip


@triton.jit
def _backward_tile(
    dy_ptr: tl.tensor,
    dx_ptr: tl.tensor,
    start: tl.tensor,
    bits: tl.tensor,
    n_valid: tl.tensor,
    K: tl.constexpr,
    THRESHOLD: tl.constexpr,
    SCALE: tl.constexpr,
    BLOCK: tl.constexpr,
    MASK: tl.constexpr,
) -> tl.tensor:
    offsets = tl.arange(0, BLOCK)
    dx = drop(load_tile(dy_ptr + start, offsets, n_valid, MASK), bits, K, THRESHOLD, SCALE)
    store_tile(dx_ptr + start, offsets, dx, n_valid, MASK)
    return dx  # 0 where nothing was loaded


@triton.jit(do_not_specialize=["seed"])
def bias_dropout_residual_backward(
    dy_ptr: tl.tensor,  # (n_rows, n_cols)
    dx_ptr: tl.tensor,  # (n_rows, n_cols)
    partials_ptr: tl.tensor,  # (n_groups, period), or None if there is no bias
    seed_ptr: tl.tensor,  # (1,) int64, or None: then it is `seed`
    seed: tl.tensor,
    n_elements: tl.tensor,
    n_cols: tl.tensor,
    period: tl.tensor,
    n_groups: tl.tensor,
    THRESHOLD: tl.constexpr,
    SCALE: tl.constexpr,
    COLS_DIVISOR: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """As in the forward, and a program's sums of dx become its part of the partial sums."""
    first = first_column(n_groups, BLOCK)
    n_block = tl.minimum(period - first, BLOCK).to(tl.int32)
    group = tl.program_id(0) % n_groups
    total = zeros_tile(dy_ptr, BLOCK)
    period64 = period.to(tl.int64)
    n_super_rows = super_rows_with(first, n_elements, period)
    for step in range(group, tl.cdiv(n_super_rows, WORDS), n_groups):
        bits = kept_bits(seed_ptr, seed, step * period64 + first, THRESHOLD, BLOCK)
        for k in tl.static_range(WORDS):
            start = (step * WORDS + k) * period64 + first
            n_left = tl.minimum(n_elements - start, BLOCK).to(tl.int32)
            if n_left >= n_block:
                total += _backward_tile(
                    dy_ptr, dx_ptr, start, bits, n_block, k, THRESHOLD, SCALE, BLOCK, BY_16
                )
            else:
                total += _backward_tile(
                    dy_ptr, dx_ptr, start, bits, n_left, k, THRESHOLD, SCALE, BLOCK, BY_ELEMENT
                )
    if partials_ptr is not None:
        start = group.to(tl.int64) * period + first
        store_tile(partials_ptr + start, tl.arange(0, BLOCK), total, n_block, BY_16)


def _cut(x: Tensor, *, backward: bool) -> SuperRows:
    """By the shape alone, since the mask depends on it: with and without a bias it is the same."""
    n_cols = x.shape[-1] if x.dim() else 1
    return cut(x.numel(), n_cols, BLOCK, backward=backward, at_once=WORDS.value)


def _constants(rows: SuperRows, p: float) -> dict[str, object]:
    return {
        "THRESHOLD": min(round(p * 2**32), 2**32 - 1),
        "SCALE": 0.0 if p == 1 else 1 / (1 - p),
        **rows.constants,
    }


def _warps(x: Tensor) -> int:
    return BLOCK * x.element_size() // (THREADS_PER_WARP * ACCESS_BYTES)


def _seed_arguments(seed: int | Tensor) -> tuple[Tensor | None, int]:
    """seed_ptr and seed."""
    return (seed, 0) if isinstance(seed, Tensor) else (None, seed)


def forward_launches(
    x: Tensor, bias: Tensor | None, residual: Tensor, y: Tensor, p: float, seed: int | Tensor
) -> tuple[Launch, ...]:
    """Launches that fill y."""
    rows = _cut(x, backward=False)
    launch = Launch(
        kernel=bias_dropout_residual_forward,
        grid=rows.grid,
        arguments=(x, bias, residual, y, *_seed_arguments(seed), *rows.arguments),
        constants=_constants(rows, p),
        num_warps=_warps(x),
        bytes_read=bytes_of(x, bias, residual, _seed_arguments(seed)[0]),
        bytes_written=bytes_of(y),
    )
    return (launch,)


def backward_launches(
    dy: Tensor, dx: Tensor, dbias: Tensor | None, p: float, seed: int | Tensor
) -> tuple[Launch, ...]:
    """Launches that fill dx, and dbias where there is a bias."""
    rows = _cut(dy, backward=True)
    partials = None if dbias is None else partial_sums(dy, rows)
    first = Launch(
        kernel=bias_dropout_residual_backward,
        grid=rows.grid,
        arguments=(dy, dx, partials, *_seed_arguments(seed), *rows.arguments),
        constants=_constants(rows, p),
        num_warps=_warps(dy),
        bytes_read=bytes_of(dy, _seed_arguments(seed)[0]),
        bytes_written=bytes_of(dx, partials),
    )
    if partials is None or dbias is None:
        return (first,)
    return (first, *sum_launches(rows, partials, dbias))


@torch.library.custom_op("traincost::bias_dropout_residual", mutates_args=())
def _bias_dropout_residual(
    x: Tensor,
    bias: Tensor | None,
    residual: Tensor,
    p: float,
    seed: int,
    seed_tensor: Tensor | None,
) -> Tensor:
    """With `seed_tensor`, `seed` is not looked at."""
    x, residual = x.contiguous(), residual.contiguous()
    bias = None if bias is None else bias.contiguous()
    y = torch.empty_like(x)
    source = seed if seed_tensor is None else seed_tensor
    run("bias_dropout_residual", forward_launches(x, bias, residual, y, p, source))
    return y


@torch.library.custom_op("traincost::bias_dropout_residual_backward", mutates_args=())
def _bias_dropout_residual_backward(
    dy: Tensor, has_bias: bool, p: float, seed: int, seed_tensor: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The gradients dx and dbias, the second empty where there is no bias."""
    dy = dy.contiguous()
    dx = torch.empty_like(dy)
    dbias = dy.new_empty(dy.shape[-1:] if has_bias else 0)
    source = seed if seed_tensor is None else seed_tensor
    launches = backward_launches(dy, dx, dbias if has_bias else None, p, source)
    run("bias_dropout_residual", launches)
    return dx, dbias


@_bias_dropout_residual.register_fake
def _(
    x: Tensor,
    bias: Tensor | None,
    residual: Tensor,
    p: float,
    seed: int,
    seed_tensor: Tensor | None,
) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_bias_dropout_residual_backward.register_fake
def _(
    dy: Tensor, has_bias: bool, p: float, seed: int, seed_tensor: Tensor | None
) -> tuple[Tensor, Tensor]:
    dx = torch.empty_like(dy, memory_format=torch.contiguous_format)
    return dx, dy.new_empty(dy.shape[-1:] if has_bias else 0)


def _save(
    ctx: Any,
    inputs: tuple[Tensor, Tensor | None, Tensor, float, int, Tensor | None],
    output: Tensor,
) -> None:
    _, bias, _, ctx.p, ctx.seed, seed_tensor = inputs
    ctx.has_bias = bias is not None
    ctx.save_for_backward(seed_tensor)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None, None, None]:
    (seed_tensor,) = ctx.saved_tensors
    dx, dbias = _bias_dropout_residual_backward(dy, ctx.has_bias, ctx.p, ctx.seed, seed_tensor)
    return dx, dbias if ctx.has_bias else None, dy, None, None, None


register_derivative(
    "bias_dropout_residual",
    _bias_dropout_residual,
    _differentiate,
    _save,
    _bias_dropout_residual_backward,
)
register_flops("bias_dropout_residual")
register_flops("bias_dropout_residual_backward")


def bias_dropout_residual(
    x: Tensor,  # (..., n_cols)
    bias: Tensor | None,  # (n_cols,)
    residual: Tensor,  # (..., n_cols)
    *,
    p: float,
    seed: int | Tensor,
    training: bool = True,
) -> Tensor:  # (..., n_cols)
    """Residual + dropout(x + bias, p); saves nothing but the seed.

    Args:
        x: the output of a branch's last matrix product.
        bias: added to every row; None adds nothing.
        residual: the residual stream.
        p: the probability that an element of x + bias is dropped.
        seed: of the mask. Equal seeds give equal masks on equal shapes, so every call of a step
            needs its own. A tensor (int64, one element, on x's device) is read by the kernel, so
            that a captured CUDA graph can be given another; it must not change before the backward.
        training: False drops nothing.

    Raises:
        KernelInputError: x is no floating-point tensor, bias or residual does not fit it in shape,
            dtype or device, p is not from 0 to 1, or seed is neither an integer nor such a tensor.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    op = "bias_dropout_residual"
    require_floating(op, "x", x)
    if bias is not None:
        require_vector(op, "bias", bias, x)
    require_same_shape(op, "residual", residual, "x", x)
    require_between(op, "p", p, 0.0, 1.0)
    require_seed(op, "seed", seed, x)
    require_flag(op, "training", training)
    refuse_transforms("bias_dropout_residual", x, bias, residual)
    number, tensor = (0, seed) if isinstance(seed, Tensor) else (seed, None)
    dropped = float(p) if training else 0.0
    return _bias_dropout_residual(
        x.contiguous(), bias, residual.contiguous(), dropped, number, tensor
    )
