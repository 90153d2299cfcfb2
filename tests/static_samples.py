"""Kernels with known faults, as a catalog: what the static cost has to find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.entries.relu_squared import ENTRY
from traincost_kernels.entry import Inputs, KernelEntry
from traincost_kernels.launch import Kernel, Launch, bytes_of


@triton.jit
def masked_copy(x_ptr: tl.tensor, y_ptr: tl.tensor, n: tl.tensor, BLOCK: tl.constexpr) -> None:
    """Every tile masked by element."""
    offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + offsets, tl.load(x_ptr + offsets, mask=offsets < n), mask=offsets < n)


@triton.jit
def reads_twice(x_ptr: tl.tensor, y_ptr: tl.tensor, n: tl.tensor, BLOCK: tl.constexpr) -> None:
    """The second read is one too many."""
    offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    again = tl.load(
        x_ptr + offsets,
        mask=offsets < n,
        cache_modifier=".cg",
    )
    tl.store(y_ptr + offsets, tl.load(x_ptr + offsets, mask=offsets < n) + again, mask=offsets < n)


@triton.jit
def adds_atomically(x_ptr: tl.tensor, y_ptr: tl.tensor, n: tl.tensor, BLOCK: tl.constexpr) -> None:
    """One number, from all programs."""
    offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offsets, mask=offsets < n, other=0.0).to(tl.float32)
    tl.atomic_add(y_ptr, tl.sum(x).to(y_ptr.dtype.element_ty))


@triton.jit
def softmax_in_one_pass(
    x_ptr: tl.tensor, y_ptr: tl.tensor, n: tl.tensor, BLOCK: tl.constexpr
) -> None:
    """A row in the registers of one block; a long one does not fit."""
    cols = tl.arange(0, BLOCK)
    start = tl.program_id(0).to(tl.int64) * n
    x = tl.load(x_ptr + start + cols, mask=cols < n, other=-float("inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x))
    tl.store(y_ptr + start + cols, e / tl.sum(e), mask=cols < n)


@triton.jit
def scales_by_weight(
    x_ptr: tl.tensor, weight_ptr: tl.tensor, y_ptr: tl.tensor, n: tl.tensor, BLOCK: tl.constexpr
) -> None:
    """Every program reads the weight, and moves one row."""
    cols = tl.arange(0, BLOCK)
    start = tl.program_id(0).to(tl.int64) * n
    weight = tl.load(weight_ptr + cols, mask=cols < n)
    tl.store(
        y_ptr + start + cols, tl.load(x_ptr + start + cols, mask=cols < n) * weight, mask=cols < n
    )


def _flat(kernel: Kernel, x: Tensor, y: Tensor, block: int = 1024) -> Launch:
    return Launch(
        kernel=kernel,
        grid=(-(-x.numel() // block),),
        arguments=(x, y, x.numel()),
        constants={"BLOCK": block},
        num_warps=4,
        bytes_read=bytes_of(x),
        bytes_written=bytes_of(y),
    )


def _rows(kernel: Kernel, x: Tensor, y: Tensor, *vectors: Tensor) -> Launch:
    n_rows, n_cols = x.shape
    return Launch(
        kernel=kernel,
        grid=(n_rows,),
        arguments=(x, *vectors, y, n_cols),
        constants={"BLOCK": triton.next_power_of_2(n_cols)},
        num_warps=32 if n_cols > 32_768 else 4,
        bytes_read=bytes_of(x, *vectors),
        bytes_written=bytes_of(y),
    )


def _entry(name: str, launch: Callable[[Tensor], Launch]) -> KernelEntry:
    def launches(inputs: Inputs) -> Mapping[str, tuple[Launch, ...]]:
        return {"forward": (launch(inputs["x"]),), "backward": ()}

    return replace(ENTRY, name=name, launches=launches)


CATALOG = (
    _entry("masked_copy", lambda x: _flat(masked_copy, x, torch.empty_like(x))),
    _entry("reads_twice", lambda x: _flat(reads_twice, x, torch.empty_like(x))),
    _entry("adds_atomically", lambda x: _flat(adds_atomically, x, x.new_empty(1))),
    _entry("softmax", lambda x: _rows(softmax_in_one_pass, x, torch.empty_like(x))),
    _entry(
        "scales_by_weight",
        lambda x: _rows(scales_by_weight, x, torch.empty_like(x), x.new_empty(x.shape[1])),
    ),
    replace(ENTRY, name="tail_apart"),
)
