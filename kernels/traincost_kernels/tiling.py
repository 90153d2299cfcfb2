"""How kernels cut their tensors into tiles, and how a tile is loaded and stored.

A mask that is not known to be uniform over 16 bytes makes Triton load and store element by element
(ran on sm_90: 8 `ld.global.b16` where an unmasked tile has one `ld.global.v4.b32`). So a tile that
lies inside the tensor goes unmasked, and only the last one, in a branch of its own, is masked.
"""

import triton
import triton.language as tl
from torch import Tensor

ACCESS_BYTES = 16  # the widest load and store of a thread
THREADS_PER_WARP = 32

# Pointwise kernels: two 16-byte accesses a thread and tensor in flight, so that half of an SM's
# threads already cover the latency of its share of the memory's bandwidth.
POINTWISE_WARPS = 4
POINTWISE_ACCESSES = 2


def ceil_divide(numerator: int, denominator: int) -> int:
    """The quotient, rounded up."""
    return -(-numerator // denominator)


def pointwise_block(x: Tensor) -> int:
    """Elements in a tile of a pointwise kernel: 2,048 of 2 bytes, 1,024 of 4, 512 of 8."""
    per_access = ACCESS_BYTES // x.element_size()
    return POINTWISE_WARPS * THREADS_PER_WARP * POINTWISE_ACCESSES * per_access


@triton.jit
def load_tile(
    ptr: tl.tensor, offsets: tl.tensor, end: tl.tensor, MASKED: tl.constexpr
) -> tl.tensor:
    """Load a tile, widened for computing: 0 at and past `end`."""
    if MASKED:
        return widen(tl.load(ptr + offsets, mask=offsets < end, other=0.0))
    else:
        return widen(tl.load(ptr + offsets))


@triton.jit
def store_tile(
    ptr: tl.tensor, offsets: tl.tensor, x: tl.tensor, end: tl.tensor, MASKED: tl.constexpr
) -> None:
    """Store a tile, rounded once to the dtype of `ptr`; nothing at and past `end`."""
    if MASKED:
        tl.store(ptr + offsets, x, mask=offsets < end)
    else:
        tl.store(ptr + offsets, x)


@triton.jit
def widen(x: tl.tensor) -> tl.tensor:
    """The dtype to compute in: fp64 for fp64, fp32 for the rest."""
    if x.dtype == tl.float64:
        return x
    else:
        return x.to(tl.float32)
