"""What do fused activation-and-backward kernels buy over eager, torch.compile, and their peers?

Every op of the catalog, in each implementation (`impl`) and phase, over row lengths and sizes from
launch-bound to a billion elements. Speedups are derived when reading, against each baseline:
`time_median_s` of eager, composed (written out of elementary ops, as reference code is), compile,
aten-fused (torch's own fused op) or liger over that of triton.

`metric_least_bytes` is what any implementation must move: over `time_median_s` it is the effective
bandwidth, and over that of the rows `kernel=copy` the share of what memory can do. A copy of as
many bytes is measured beside, as a card's datasheet bandwidth is never reached.

An op whose outputs or gradients are further from fp64 than twice eager's own error is `invalid`:
its time means nothing, and no speedup is shown. Expect small sizes to be launch-bound, where fusing
saves launches and not bytes, and plain ops, where aten already moves the least, to gain nothing.
"""

from __future__ import annotations

import pytest
import torch

from traincost.fixture import TrainCost
from traincost_suites.grids.kernels import copy_cases, kernel_cases
from traincost_suites.trainee import torch_dtype


@pytest.mark.parametrize(*kernel_cases())
def test_op(
    train_cost: TrainCost,
    kernel: str,
    impl: str,
    phase: str,
    n_rows: int,
    n_cols: int,
    device: str,
    dtype: str,
) -> None:
    """One op in one implementation."""
    from traincost_suites.kernel_work import kernel_work, least_bytes, wrong
    from traincost_suites.lacking import ImplUnavailableError

    try:
        work = kernel_work(kernel, impl, n_rows, n_cols, device, dtype)
    except ImplUnavailableError as lacking:
        pytest.skip(str(lacking))
    faults = wrong(work, n_cols, device, dtype)
    assert not faults, "; ".join(faults)
    metrics = {"least_bytes": least_bytes(work, phase, dtype, n_cols)}
    train_cost(work.phase(phase), samples=n_rows, metrics=metrics)


@pytest.mark.parametrize(*copy_cases())
def test_copy(train_cost: TrainCost, n_rows: int, n_cols: int, device: str, dtype: str) -> None:
    """What memory can do with as many elements: each read once and written once."""
    x = torch.ones(n_rows, n_cols, device=device, dtype=torch_dtype(dtype))
    y = torch.empty_like(x)
    least = 2.0 * x.numel() * x.element_size()
    train_cost(lambda: y.copy_(x), samples=n_rows, phase="op", metrics={"least_bytes": least})
