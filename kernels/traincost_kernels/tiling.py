"""How kernels cut their tensors into tiles, and how a tile is loaded and stored.

A mask that is not known to be uniform over 16 bytes makes Triton load and store element by element
(ran on sm_90: 8 `ld.global.b16` where an unmasked tile has one `ld.global.v4.b32`). So a tile that
lies inside the tensor goes unmasked, or masked by 16 elements at a time where its end is known to
be a multiple of that, and only the last one, in a branch of its own, is masked by element. The
branches must differ in more than the number of elements kept, or the compiler makes one of them,
with a choice of the number (ran).
"""

import triton
import triton.language as tl
from torch import Tensor

ACCESS_BYTES = 16  # the widest load and store of a thread
THREADS_PER_WARP = 32

# Pointwise kernels: each thread has at least 32 bytes of loads in flight, two accesses of its only
# input or one of each of several. Half of an SM's threads then have 32 KiB in flight, and an
# H100's memory needs 18 KiB an SM (3.35 TB/s over 132 SMs times about 700 ns). More accesses a
# thread cost registers (GeGLU's backward: 96 with two, which leaves a third of the threads).
POINTWISE_WARPS = 4
POINTWISE_BYTES_IN_FLIGHT = 32


def ceil_divide(numerator: int, denominator: int) -> int:
    """The quotient, rounded up."""
    return -(-numerator // denominator)


def pointwise_block(x: Tensor, n_inputs: int) -> int:
    """Elements in a tile: 2,048 of 2 bytes with one input, 1,024 with more; 4 bytes: half."""
    accesses = max(1, POINTWISE_BYTES_IN_FLIGHT // (ACCESS_BYTES * n_inputs))
    return POINTWISE_WARPS * THREADS_PER_WARP * accesses * (ACCESS_BYTES // x.element_size())


# The constexpr MASK of a tile: the number of elements that are kept or left out together.
UNMASKED = tl.constexpr(0)
BY_ELEMENT = tl.constexpr(1)
BY_16 = tl.constexpr(16)


@triton.jit
def load_tile(
    ptr: tl.tensor, offsets: tl.tensor, n_valid: tl.tensor, MASK: tl.constexpr
) -> tl.tensor:
    """Load a tile, widened for computing; 0 from `n_valid` on, which MASK divides."""
    if MASK == UNMASKED:
        return widen(tl.load(ptr + offsets))
    else:
        return widen(tl.load(ptr + offsets, mask=kept(offsets, n_valid, MASK), other=0.0))


@triton.jit
def store_tile(
    ptr: tl.tensor, offsets: tl.tensor, x: tl.tensor, n_valid: tl.tensor, MASK: tl.constexpr
) -> None:
    """Store a tile, rounded once to the dtype of `ptr`; nothing from `n_valid` on."""
    if MASK == UNMASKED:
        tl.store(ptr + offsets, x)
    else:
        tl.store(ptr + offsets, x, mask=kept(offsets, n_valid, MASK))


@triton.jit
def kept(offsets: tl.tensor, n_valid: tl.tensor, MASK: tl.constexpr) -> tl.tensor:
    """Which offsets are below `n_valid`, a multiple of MASK."""
    if MASK == BY_16:
        return offsets // 16 < n_valid // 16
    else:
        return offsets < n_valid


@triton.jit
def zeros_tile(ptr: tl.tensor, BLOCK: tl.constexpr) -> tl.tensor:
    """Zeros in the dtype that a tile of `ptr` is widened to."""
    return widen(tl.zeros((BLOCK,), dtype=ptr.dtype.element_ty))  # pyright: ignore


@triton.jit
def widen(x: tl.tensor) -> tl.tensor:
    """The dtype to compute in: fp64 for fp64, fp32 for the rest."""
    if x.dtype == tl.float64:
        return x
    else:
        return x.to(tl.float32)
