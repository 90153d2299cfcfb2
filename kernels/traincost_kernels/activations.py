"""Activations with their slopes, as jit functions of fp32 or fp64; what isn't used costs nothing.

    relu²       max(x, 0)²              2 max(x, 0)
    silu        x s(x)                  s(x) (1 + x (1 - s(x)))   s the sigmoid
    gelu        x Φ(x)                  Φ(x) + x φ(x)             Φ, φ of the standard normal
    gelu_tanh   x (1 + tanh u) / 2      see below                 u = √(2/π) (x + 0.044715 x³)

(1 + tanh u) / 2 is s(2u), which does not cancel for large negative u and needs no tanh (Triton's
interpreter has none). With v = 2u the slope is s(v) + x v' s(v) (1 - s(v)).

The two GELUs differ by up to 4.7e-4, so they have names of their own (Hendrycks and Gimpel, arXiv
1606.08415).
"""

import math

import triton
import triton.language as tl

SQRT_HALF = tl.constexpr(math.sqrt(0.5))
NORMAL_DENSITY_AT_0 = tl.constexpr(1.0 / math.sqrt(2.0 * math.pi))
TWO_SQRT_2_OVER_PI = tl.constexpr(2.0 * math.sqrt(2.0 / math.pi))
CUBIC = tl.constexpr(0.044715)
# A constant stands to the right of a tensor: the interpreter cannot multiply the other way round.


@triton.jit
def sigmoid_and_rest(x: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """s(x) = 1 / (1 + e⁻ˣ) and 1 - s(x), neither by a difference, which would cancel near 0."""
    small = tl.exp(-tl.abs(x))
    large = 1.0 / (1.0 + small)
    small = small * large
    return tl.where(x < 0, small, large), tl.where(x < 0, large, small)


@triton.jit
def tanh_and_slope(x: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """tanh(x) and 1 - tanh(x)², the second not by a difference, which would cancel far from 0."""
    small = tl.exp(tl.abs(x) * -2.0)
    share = 1.0 / (1.0 + small)
    size = (1.0 - small) * share
    return tl.where(x < 0, -size, size), small * share * share * 4.0


@triton.jit
def relu_squared_and_slope(x: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """max(x, 0)², NaN where x is, and its derivative."""
    positive = tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL)
    return positive * positive, 2.0 * positive


@triton.jit
def silu_and_slope(x: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """SiLU, also called swish, and its derivative."""
    gate = sigmoid_and_rest(x)
    return x * gate[0], gate[0] * (1.0 + x * gate[1])


@triton.jit
def gelu_and_slope(x: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """GELU by the error function, and its derivative."""
    below = 0.5 * (1.0 + tl.erf(x * SQRT_HALF))
    density = tl.exp(-0.5 * x * x) * NORMAL_DENSITY_AT_0
    return x * below, below + x * density


@triton.jit
def gelu_tanh_and_slope(x: tl.tensor) -> tuple[tl.tensor, tl.tensor]:
    """GELU by its tanh approximation, and the derivative of that."""
    square = x * x
    gate = sigmoid_and_rest(x * TWO_SQRT_2_OVER_PI * (square * CUBIC + 1.0))
    inner_slope = (square * (3.0 * CUBIC) + 1.0) * TWO_SQRT_2_OVER_PI
    return x * gate[0], gate[0] + x * inner_slope * gate[0] * gate[1]
