"""Checks of arguments, before any launch.

Each error names the op, the argument, its value and what was expected, as in
"rms_norm: weight has shape (7,), expected (8,), the last dimension of x".
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from traincost_kernels.errors import KernelInputError

FLOATING = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def require_floating(op: str, name: str, value: object) -> None:
    """`value` is a tensor of one of the dtypes that the kernels are written for."""
    if not isinstance(value, Tensor):
        raise KernelInputError(f"{op}: {name} is {type(value).__name__}, expected a tensor")
    if value.dtype not in FLOATING:
        expected = ", ".join(str(dtype) for dtype in FLOATING)
        raise KernelInputError(f"{op}: {name} has dtype {value.dtype}, expected one of {expected}")


def require_rank(op: str, name: str, value: Tensor, rank: int, axes: str) -> None:
    """`value` has `rank` dimensions, named by `axes` as in "(batch, hidden)"."""
    if value.dim() != rank:
        raise KernelInputError(
            f"{op}: {name} has shape {tuple(value.shape)}, expected {rank} dimensions {axes}"
        )


def require_shape(op: str, name: str, value: Tensor, shape: Sequence[int], reason: str) -> None:
    """`value` has exactly this shape, which `reason` explains."""
    if tuple(value.shape) != tuple(shape):
        raise KernelInputError(
            f"{op}: {name} has shape {tuple(value.shape)}, expected {tuple(shape)}, {reason}"
        )


def require_like(op: str, name: str, value: object, other_name: str, other: Tensor) -> None:
    """`value` is a tensor of the dtype and on the device of `other`."""
    require_floating(op, name, value)
    assert isinstance(value, Tensor)
    if value.dtype != other.dtype:
        raise KernelInputError(
            f"{op}: {name} has dtype {value.dtype}, expected {other.dtype}, that of {other_name}"
        )
    if value.device != other.device:
        raise KernelInputError(
            f"{op}: {name} is on {value.device}, expected {other.device}, where {other_name} is"
        )


def require_same_shape(op: str, name: str, value: object, other_name: str, other: Tensor) -> None:
    """`value` is a tensor of the dtype, device and shape of `other`."""
    require_like(op, name, value, other_name, other)
    assert isinstance(value, Tensor)
    require_shape(op, name, value, other.shape, f"the shape of {other_name}")


def require_vector(op: str, name: str, value: object, x: Tensor) -> None:
    """`value` runs along the last dimension of x, in its dtype and on its device."""
    require_like(op, name, value, "x", x)
    assert isinstance(value, Tensor)
    if x.dim() == 0:
        raise KernelInputError(f"{op}: x has shape (), expected a last dimension, that of {name}")
    require_shape(op, name, value, x.shape[-1:], "the last dimension of x")


def require_choice(op: str, name: str, value: object, choices: Collection[str]) -> None:
    """`value` is one of the words in `choices`."""
    if not isinstance(value, str) or value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise KernelInputError(f"{op}: {name} is {value!r}, expected one of {expected}")


def require_flag(op: str, name: str, value: object) -> None:
    """`value` is True or False."""
    if not isinstance(value, bool):
        raise KernelInputError(f"{op}: {name} is {value!r}, expected True or False")


def require_whole(op: str, name: str, value: object) -> None:
    """`value` is an integer that fits 64 bits with sign."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise KernelInputError(f"{op}: {name} is {type(value).__name__}, expected an integer")
    if not -(2**63) <= value < 2**63:
        raise KernelInputError(f"{op}: {name} is {value}, expected from -2**63 to 2**63 - 1")


def require_seed(op: str, name: str, value: object, x: Tensor) -> None:
    """`value` is an integer of 64 bits, or one in a tensor where x is."""
    if not isinstance(value, Tensor):
        require_whole(op, name, value)
    elif value.dtype != torch.int64 or value.numel() != 1 or value.device != x.device:
        raise KernelInputError(
            f"{op}: {name} is {value.numel()} elements of {value.dtype} on {value.device}, "
            f"expected 1 of torch.int64 on {x.device}, where x is"
        )


def require_between(op: str, name: str, value: object, low: float, high: float) -> None:
    """`value` is a number in the closed range from `low` to `high`; NaN is not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise KernelInputError(f"{op}: {name} is {type(value).__name__}, expected a number")
    if not low <= value <= high:
        raise KernelInputError(f"{op}: {name} is {value}, expected from {low} to {high}")
