"""FLOPs of the ops, for `torch.utils.flop_counter` and for all who ask its registry.

The convention is 2mnk: a product of an (m, k) by a (k, n) matrix is 2mnk FLOPs, and everything that
isn't a matrix product (activations, norms, softmax, losses) is free. Without an entry the counter
takes an op for free silently, and one that multiplies matrices would vanish.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import register_flop_formula


def _free(*_: Any, **__: Any) -> int:
    return 0


def register_flops(op: str, formula: Callable[..., int] = _free) -> None:
    """Give `traincost::<op>` its FLOP formula, which gets shapes in the place of tensors."""
    register_flop_formula(getattr(torch.ops.traincost, op))(formula)
