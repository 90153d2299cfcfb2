"""Numbers that kernels get: a Python float reaches a kernel as fp32, so fp64 takes two of them."""

import math
from ctypes import c_float

import triton
import triton.language as tl

from traincost_kernels.tiling import widen


def two_floats(value: float) -> tuple[float, float]:
    """`value` rounded to fp32, and what that leaves out; their sum in fp64 is good to 48 bits."""
    high = c_float(value).value
    return high, value - high if math.isfinite(high) else 0.0


@triton.jit
def joined(high: tl.tensor, low: tl.tensor, like_ptr: tl.tensor) -> tl.tensor:
    """The number again, in the dtype that what `like_ptr` points to is computed in."""
    return widen(tl.zeros([], like_ptr.dtype.element_ty)) + high + low  # pyright: ignore
