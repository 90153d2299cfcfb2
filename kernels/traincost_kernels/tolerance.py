"""How far a kernel may be off: the one table.

A tensor is right when its worst error against fp64 is at most FACTOR times the worst error of eager
in the same dtype, plus FLOOR. Twice eager's, since another order of the same roundings can double a
worst case; the floor is for where eager is exact by luck.

Triton's interpreter truncates on a store to bf16 where a GPU rounds to nearest, so one unit in the
last place of the right value is allowed there on top, and another one for each further store on the
way from input to output, as of the MLP block's activation.
"""

import math
import os

import torch
from torch import Tensor

FACTOR = 2.0
FLOOR = {torch.bfloat16: 1e-6, torch.float16: 1e-6, torch.float32: 1e-6, torch.float64: 1e-12}
BF16_SIGNIFICAND_BITS = 8


def allowed_error(
    right: Tensor,  # fp64
    eager_worst: float,
    dtype: torch.dtype,
    stores: int,
) -> Tensor:  # fp64, the shape of right
    """The error that each element may have after that many stores from input to output."""
    allowed = torch.full_like(right, FACTOR * eager_worst + FLOOR[dtype])
    if dtype == torch.bfloat16 and os.environ.get("TRITON_INTERPRET") == "1":
        _, exponent = torch.frexp(right)
        allowed += stores * torch.ldexp(torch.ones_like(right), exponent - BF16_SIGNIFICAND_BITS)
    return allowed


def worst_error(value: Tensor, right: Tensor) -> float:
    """The largest difference among the finite elements, 0 where there is none."""
    finite = right.isfinite() & value.isfinite()
    difference = (value.double() - right)[finite].abs()
    return difference.max().item() if difference.numel() else 0.0


def faults(value: Tensor, eager: Tensor, right: Tensor, stores: int = 1) -> list[str]:
    """Why `value` is wrong, empty if it is right; infinities and NaN stand where eager's do."""
    if value.shape != eager.shape or value.dtype != eager.dtype:
        expected = f"{tuple(eager.shape)} of {eager.dtype}"
        return [f"is {tuple(value.shape)} of {value.dtype}, expected {expected}"]
    value, eager, right = value.cpu(), eager.cpu(), right.cpu()
    special = ~eager.isfinite() | ~value.isfinite()
    if not torch.equal(value[special].nan_to_num(nan=0.5), eager[special].nan_to_num(nan=0.5)):
        return [f"has {value[special].tolist()} where eager has {eager[special].tolist()}"]
    eager_worst = worst_error(eager, right)
    allowed = allowed_error(right, eager_worst, value.dtype, stores)
    wrong = ~((value.double() - right).abs() <= allowed) & ~special
    if wrong.any():
        excess = ((value.double() - right).abs() - allowed).masked_fill(~wrong, -math.inf)
        where = int(excess.argmax())
        return [
            f"is {value.flatten()[where].item():.9g} at {where}, right is "
            f"{right.flatten()[where].item():.9g}, allowed error "
            f"{allowed.flatten()[where].item():.3g} (eager's worst {eager_worst:.3g})"
        ]
    return []
