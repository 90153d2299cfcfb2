"""What can this machine do at most?

Its rows are the denominators of `mfu` and `bandwidth_utilization` where no datasheet serves, which
is every CPU; so they are measured first. `matmul`: `flops_per_s` of a square matrix product, by
dtype; the largest over the sizes is the peak. `copy`: `traffic_bytes` is one read and one write of
a tensor that no cache holds, over `time_median_s` it is the bandwidth (a store that first loads its
cache line moves a third more, which nobody asked for and which is not counted). `dispatch`:
`metric_dispatch_overhead_s` is the time of one operation on one element, the floor under any step:
a step of `aten_ops` operations cannot be faster than their product, unless it is compiled.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch

from traincost.fixture import TrainCost
from traincost_suites.grids import grid
from traincost_suites.peaks import copy_buffers, dispatch, dispatch_overhead_s, square_matrices

pytestmark = pytest.mark.cost_first


@pytest.mark.parametrize(*grid("matmul"))
def test_matmul(train_cost: TrainCost, size: int, device: str, dtype: str) -> None:
    """A matrix product, all (size, size)."""
    a, b, c = square_matrices(size, device, dtype)

    def matmul() -> None:
        torch.mm(a, b, out=c)

    train_cost(matmul, samples=1, phase="op")


@pytest.mark.parametrize(*grid("copy"))
def test_copy(train_cost: TrainCost, mebibytes: int, device: str, dtype: str) -> None:
    """One vector into another, of `mebibytes` each."""
    x, y = copy_buffers(mebibytes * 2**20, device, dtype)

    def copy() -> None:
        y.copy_(x)

    train_cost(copy, samples=1, phase="op")


@pytest.mark.parametrize(*grid("dispatch"))
def test_dispatch(train_cost: TrainCost, device: str, dtype: str) -> None:
    """Operations on one element, one after the other."""
    x = torch.zeros(1, device=device)
    train_cost(
        partial(dispatch, x),
        samples=1,
        phase="op",
        metrics={"dispatch_overhead_s": partial(dispatch_overhead_s, x)},
    )
