"""Kernel and launchers of bias, dropout and residual addition, forward and backward.

    y     = residual + keep (x + bias) / (1 - p)
    dx    = keep dy / (1 - p)
    dbias = sum of dx over the rows

One kernel: the backward is the forward of dy, without a bias and a residual, that adds up what it
writes. How the mask `keep` is made: see `ops.bias_dropout_residual`.
"""

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.launch import Launch, bytes_of
from traincost_kernels.superrows import (
    SuperRows,
    cut,
    load_vector,
    partial_sums,
    store_partial_sums,
    sum_launches,
    tiles_of_program,
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


def _name(specialization: Any) -> str:
    """That of the direction; an argument that is None is a constant."""
    direction = "backward" if "residual_ptr" in specialization.constants else "forward"
    return f"bias_dropout_residual_{direction}"


@triton.jit
def _tile(
    x_ptr: tl.tensor,
    bias_ptr: tl.tensor,
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
) -> tl.tensor:
    """What is written, in the dtype it is computed in; without bias, 0 where nothing is loaded."""
    offsets = tl.arange(0, BLOCK)
    x = load_tile(x_ptr + start, offsets, n_valid, MASK)
    if bias_ptr is not None:
        x += bias
    if residual_ptr is None:
        y = drop(x, bits, K, THRESHOLD, SCALE)
    else:
        residual = load_tile(residual_ptr + start, offsets, n_valid, MASK)
        y = residual + drop(x, bits, K, THRESHOLD, SCALE)
    store_tile(y_ptr + start, offsets, y, n_valid, MASK)
    return y


@triton.jit(do_not_specialize=["seed"], repr=_name)
def bias_dropout_residual_kernel(
    x_ptr: tl.tensor,  # (n_rows, n_cols); dy in the backward
    bias_ptr: tl.tensor,  # (n_cols,) or None
    residual_ptr: tl.tensor,  # (n_rows, n_cols), or None in the backward
    y_ptr: tl.tensor,  # (n_rows, n_cols); dx in the backward
    partials_ptr: tl.tensor,  # (n_groups, period), or None where there is no dbias
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
    group, first, n_block, n_super_rows = tiles_of_program(n_elements, period, n_groups, BLOCK)  # pyright: ignore
    total = zeros_tile(x_ptr, BLOCK)
    bias = total if bias_ptr is None else load_vector(bias_ptr, first, n_cols, COLS_DIVISOR, BLOCK)
    period64 = period.to(tl.int64)
    for step in range(group, tl.cdiv(n_super_rows, WORDS), n_groups):
        bits = kept_bits(seed_ptr, seed, step * period64 + first, THRESHOLD, BLOCK)
        for k in tl.static_range(WORDS):
            start = (step * WORDS + k) * period64 + first
            n_left = tl.minimum(n_elements - start, BLOCK).to(tl.int32)
            if n_left >= n_block:
                total += _tile(
                    x_ptr, bias_ptr, residual_ptr, y_ptr, start, bias, bits, n_block,
                    k, THRESHOLD, SCALE, BLOCK, BY_16,
                )  # fmt: skip
            else:
                total += _tile(
                    x_ptr, bias_ptr, residual_ptr, y_ptr, start, bias, bits, n_left,
                    k, THRESHOLD, SCALE, BLOCK, BY_ELEMENT,
                )  # fmt: skip
    if partials_ptr is not None:
        store_partial_sums(partials_ptr, group, period, first, total, n_block, BLOCK)


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
        kernel=bias_dropout_residual_kernel,
        grid=rows.grid,
        arguments=(x, bias, residual, y, None, *_seed_arguments(seed), *rows.arguments),
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
        kernel=bias_dropout_residual_kernel,
        grid=rows.grid,
        arguments=(dy, None, None, dx, partials, *_seed_arguments(seed), *rows.arguments),
        constants=_constants(rows, p),
        num_warps=_warps(dy),
        bytes_read=bytes_of(dy, _seed_arguments(seed)[0]),
        bytes_written=bytes_of(dx, partials),
    )
    if partials is None or dbias is None:
        return (first,)
    return (first, *sum_launches(rows, partials, dbias))
