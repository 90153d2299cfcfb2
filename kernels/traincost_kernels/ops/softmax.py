"""Softmax over the last dimension, of a scaled and masked input.

    s  = scale · x where the mask is True, else -inf
    y  = softmax(s)
    dx = scale · y (dy - Σ dy y), 0 where masked

Shapes: x (..., n_cols); mask bool, (n_cols,) or more dimensions that broadcast to those of x; its
last is n_cols. dtypes: bf16, fp16, fp32, fp64; computed in fp32 (fp64 for fp64), rounded once at
the store. A row that is masked whole gives NaN. Saves y, and the mask for rows of NaN.

Bytes an element in 2-byte dtypes: forward 4 (x, y), backward 6 (y, dy, dx), and a byte for each
element of the mask in the forward. Rows of more than 16,384 columns in fp32 are read twice. Eager
moves 12 and 10 with a factor and a mask, 4 and 6 without. Strided tensors are copied first; a mask
that is to serve many rows should have size 1 there and not be expanded.

Source: Milakov and Gimelshein, arXiv 1805.02867 (the running maximum of looped rows).
"""

from typing import Any

import torch
from torch import Tensor

from traincost_kernels.checks import require_between, require_floating
from traincost_kernels.derivative import refuse_transforms, register_derivative
from traincost_kernels.errors import KernelInputError
from traincost_kernels.flops import register_flops
from traincost_kernels.launch import Kernel, Launch, bytes_of, run
from traincost_kernels.row_tiling import accumulator_dtype, looped_rows, whole_rows
from traincost_kernels.scalar import two_floats
from traincost_kernels.softmax_kernels import (
    softmax_backward_kernel,
    softmax_backward_looped_kernel,
    softmax_forward_kernel,
    softmax_forward_looped_kernel,
)

SHORT_TILE = 2048
SHORT_WARPS = 8
MAX_WHOLE_BYTES = 64 * 1024  # of accumulators; longer rows are looped over
STAGES = 2
LOOPED_SHARE = 2  # whole tiles spill 8 to 24 bytes in some dtypes and targets
MASK_AXES = 3  # that a kernel tells apart; a mask for more leading dimensions is expanded first


def forward_launches(
    x: Tensor,  # (..., n_cols)
    mask: Tensor | None,  # broadcasts to x
    y: Tensor,  # as x
    scale: float,
) -> tuple[Launch, ...]:
    """Launches that fill y."""
    kernels = softmax_forward_kernel, softmax_forward_looped_kernel
    tensors = (x, None if mask is None else mask.view(torch.uint8), y)
    return (_launch(kernels, x, mask, tensors, scale, read=(x,), masked=True),)


def backward_launches(
    y: Tensor,  # (..., n_cols)
    mask: Tensor | None,  # broadcasts to y
    dy: Tensor,  # as y
    dx: Tensor,  # as y
    scale: float,
) -> tuple[Launch, ...]:
    """Launches that fill dx."""
    kernels = softmax_backward_kernel, softmax_backward_looped_kernel
    tensors = (y, None if mask is None else mask.view(torch.uint8), dy, dx)
    return (_launch(kernels, y, mask, tensors, scale, read=(y, dy), masked=False),)


def is_looped(n_cols: int, dtype: torch.dtype) -> bool:
    """Whether rows of this length are read twice."""
    like = torch.empty((1, n_cols), dtype=dtype, device="meta")
    return (
        whole_rows(like, SHORT_TILE, SHORT_WARPS).block * accumulator_dtype(like).itemsize
        > MAX_WHOLE_BYTES
    )


def _launch(
    kernels: tuple[Kernel, Kernel],
    x: Tensor,
    mask: Tensor | None,
    tensors: tuple[Tensor | None, ...],
    scale: float,
    *,
    read: tuple[Tensor, ...],
    masked: bool,
) -> Launch:
    whole, looped = whole_rows(x, SHORT_TILE, SHORT_WARPS), looped_rows(x, LOOPED_SHARE)
    is_long = is_looped(whole.n_cols, x.dtype)
    tiling = looped if is_long else whole
    sizes = (tiling.n_cols,) if is_long else (tiling.n_rows, tiling.n_cols)
    times = 2 if is_long else 1
    constants = {"STAGES": STAGES} if is_long else {"ROWS": tiling.rows}
    return Launch(
        kernel=kernels[int(is_long)],
        grid=(tiling.n_tiles,),
        arguments=(*tensors, *sizes, *_mask_steps(x, mask), *two_floats(scale)),
        constants={**tiling.addressing, **constants},
        num_warps=tiling.num_warps,
        bytes_read=times * bytes_of(*read) + (times * bytes_of(mask) if masked else 0),
        bytes_written=bytes_of(x),
    )


def _mask_steps(x: Tensor, mask: Tensor | None) -> tuple[int, int, int, int, int]:
    """Middle and inner leading size of x, and by how many rows of the mask each of three steps."""
    sizes = (1,) * MASK_AXES + x.shape[:-1]
    of_mask = () if mask is None else mask.shape[:-1]
    kept = (1,) * (len(sizes) - len(of_mask)) + tuple(of_mask)
    steps: list[int] = []
    rows = 1
    for size in reversed(kept[-MASK_AXES:]):
        steps.insert(0, 0 if size == 1 else rows)
        rows *= size
    return max(sizes[-2], 1), max(sizes[-1], 1), steps[0], steps[1], steps[2]


@torch.library.custom_op("traincost::softmax", mutates_args=())
def _softmax(x: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    x = x.contiguous()
    y = torch.empty_like(x)
    run("softmax", forward_launches(x, None if mask is None else mask.contiguous(), y, scale))
    return y


@torch.library.custom_op("traincost::softmax_backward", mutates_args=())
def _softmax_backward(y: Tensor, mask: Tensor | None, dy: Tensor, scale: float) -> Tensor:
    y, dy = y.contiguous(), dy.contiguous()
    dx = torch.empty_like(y)
    mask = None if mask is None else mask.contiguous()
    run("softmax", backward_launches(y, mask, dy, dx, scale))
    return dx


@_softmax.register_fake
def _(x: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_softmax_backward.register_fake
def _(y: Tensor, mask: Tensor | None, dy: Tensor, scale: float) -> Tensor:
    return torch.empty_like(y, memory_format=torch.contiguous_format)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor | None, float], output: Tensor) -> None:
    _, mask, ctx.scale = inputs
    ctx.save_for_backward(output, mask)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
    y, mask = ctx.saved_tensors
    return _softmax_backward(y, mask, dy, ctx.scale), None, None


register_derivative("softmax", _softmax, _differentiate, _save, _softmax_backward)
register_flops("softmax")
register_flops("softmax_backward")


def softmax(
    x: Tensor,  # (..., n_cols)
    *,
    scale: float = 1.0,
    mask: Tensor | None = None,  # (n_cols,), …, or the shape of x, bool
) -> Tensor:  # as x
    """Softmax of scale · x over the last dimension, among what the mask keeps.

    Args:
        x: logits.
        scale: a factor of x.
        mask: True for what takes part; it broadcasts over the leading dimensions of x. None for
            everything. A row in which nothing takes part is NaN, with gradient 0.

    Raises:
        KernelInputError: x is no floating-point tensor, scale is not finite, or the mask is not
            bool, on another device, or does not broadcast.
        NoDeviceError: x is on the CPU and Triton's interpreter is off.
    """
    require_floating("softmax", "x", x)
    largest = 3.4e38  # of fp32
    require_between("softmax", "scale", scale, -largest, largest)
    refuse_transforms("softmax", x)
    if mask is not None:
        _require_mask(x, mask)
        if x.dim() > MASK_AXES + 1:
            mask = mask.expand(x.shape).reshape(-1, x.shape[-1])
            return _softmax(x.reshape(mask.shape), mask.contiguous(), float(scale)).view(x.shape)
        mask = mask.contiguous()
    return _softmax(x.contiguous(), mask, float(scale))


def _require_mask(x: Tensor, mask: Tensor) -> None:
    if not isinstance(mask, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise KernelInputError(f"softmax: mask is {type(mask).__name__}, expected a tensor")
    if mask.dtype != torch.bool:
        raise KernelInputError(f"softmax: mask has dtype {mask.dtype}, expected torch.bool")
    if mask.device != x.device:
        raise KernelInputError(
            f"softmax: mask is on {mask.device}, expected {x.device}, where x is"
        )
    leading = zip(reversed(mask.shape[:-1]), reversed(x.shape[:-1]), strict=False)
    fits = 0 < mask.dim() <= x.dim() and mask.shape[-1] == x.shape[-1]
    if not (fits and all(size in (1, of_x) for size, of_x in leading)):
        raise KernelInputError(
            f"softmax: mask has shape {tuple(mask.shape)}, expected one that broadcasts over the "
            f"leading dimensions of x, {tuple(x.shape)}, and has its last"
        )
