"""The one kernel of all ops that map elements to elements; an op hands in its function.

    y, z = FUNCTION(a, b, c)      with one to three inputs and one or two outputs

all contiguous, of one shape and dtype, read and written once. FUNCTION is a jit function that gets
fp32 (fp64 for fp64) and returns as many tensors as there are outputs. The compiled kernel bears its
name, which is how it shows in a profile.
"""

from collections.abc import Sequence
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

from traincost_kernels.launch import Kernel, Launch, bytes_of
from traincost_kernels.tiling import (
    BY_ELEMENT,
    POINTWISE_WARPS,
    UNMASKED,
    ceil_divide,
    load_tile,
    pointwise_block,
    store_tile,
)


def named_after_function(specialization: Any) -> str:
    """Name of the compiled kernel: that of the jit function in its constexpr FUNCTION."""
    return str(specialization.constants["FUNCTION"].__name__).lstrip("_")


@triton.jit
def _tile(
    a_ptr: tl.tensor,
    b_ptr: tl.tensor,
    c_ptr: tl.tensor,
    y_ptr: tl.tensor,
    z_ptr: tl.tensor,
    start: tl.tensor,
    n_valid: tl.tensor,
    FUNCTION: tl.constexpr,
    BLOCK: tl.constexpr,
    MASK: tl.constexpr,
) -> None:
    offsets = tl.arange(0, BLOCK)
    a = load_tile(a_ptr + start, offsets, n_valid, MASK)
    if b_ptr is None:
        outputs = FUNCTION(a)
    elif c_ptr is None:
        outputs = FUNCTION(a, load_tile(b_ptr + start, offsets, n_valid, MASK))
    else:
        b = load_tile(b_ptr + start, offsets, n_valid, MASK)
        outputs = FUNCTION(a, b, load_tile(c_ptr + start, offsets, n_valid, MASK))
    if z_ptr is None:
        store_tile(y_ptr + start, offsets, outputs, n_valid, MASK)
    else:
        store_tile(y_ptr + start, offsets, outputs[0], n_valid, MASK)
        store_tile(z_ptr + start, offsets, outputs[1], n_valid, MASK)


@triton.jit(repr=named_after_function)
def pointwise_kernel(
    a_ptr: tl.tensor,  # (n_elements,)
    b_ptr: tl.tensor,  # (n_elements,) or None
    c_ptr: tl.tensor,  # (n_elements,) or None
    y_ptr: tl.tensor,  # (n_elements,)
    z_ptr: tl.tensor,  # (n_elements,) or None
    n_elements: tl.tensor,
    FUNCTION: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One tile a program; only the last one can be masked."""
    start = tl.program_id(0).to(tl.int64) * BLOCK
    n_valid = tl.minimum(n_elements - start, BLOCK).to(tl.int32)
    if n_valid == BLOCK:
        _tile(a_ptr, b_ptr, c_ptr, y_ptr, z_ptr, start, n_valid, FUNCTION, BLOCK, UNMASKED)
    else:
        _tile(a_ptr, b_ptr, c_ptr, y_ptr, z_ptr, start, n_valid, FUNCTION, BLOCK, BY_ELEMENT)


def pointwise_launch(
    function: Kernel, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> Launch:
    """The launch that applies `function` to one to three inputs, into one or two outputs."""
    a, b, c, *_ = (*inputs, None, None)
    y, z, *_ = (*outputs, None)
    assert a is not None
    n_elements = a.numel()
    block = pointwise_block(a, len(inputs))
    return Launch(
        kernel=pointwise_kernel,
        grid=(ceil_divide(n_elements, block),),
        arguments=(a, b, c, y, z, n_elements),
        constants={"FUNCTION": function, "BLOCK": block},
        num_warps=POINTWISE_WARPS,
        bytes_read=bytes_of(*inputs),
        bytes_written=bytes_of(*outputs),
    )
