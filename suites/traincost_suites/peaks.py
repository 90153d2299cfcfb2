"""The operations whose rates bound every training step: matrix product, copy, a tiny operation."""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor

from traincost_suites.trainee import torch_dtype

OPS = 1000  # tiny operations a step: enough that reading the clock does not count
_TRIALS = 20


def square_matrices(size: int, device: str, dtype: str) -> tuple[Tensor, Tensor, Tensor]:
    """Two seeded normal matrices (size, size), and room for their product.

    Random, since a GPU multiplies zeros at lower power and a higher clock.
    """
    generator = torch.Generator(device).manual_seed(0)
    a, b = (
        torch.randn(size, size, generator=generator, device=device).to(torch_dtype(dtype))
        for _ in range(2)
    )
    return a, b, torch.empty_like(a)


def copy_buffers(n_bytes: int, device: str, dtype: str) -> tuple[Tensor, Tensor]:
    """Two vectors of `n_bytes` each, every page of them touched."""
    stored = torch_dtype(dtype)
    x = torch.ones(n_bytes // stored.itemsize, dtype=stored, device=device)
    return x, torch.zeros_like(x)


def dispatch(
    x: Tensor,  # (1,)
) -> None:
    """`OPS` operations that do next to nothing."""
    for _ in range(OPS):
        x.add_(1.0)


def dispatch_overhead_s(
    x: Tensor,  # (1,)
) -> float:
    """Time of one such operation: the median of some trials, each waited for to its end."""
    trials_s: list[float] = []
    for _ in range(_TRIALS):
        x.sum().item()  # reading a value waits for all work before it
        begun_s = time.perf_counter()
        dispatch(x)
        x.sum().item()
        trials_s.append((time.perf_counter() - begun_s) / OPS)
    return statistics.median(trials_s)
