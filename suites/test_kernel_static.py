"""What do the fused kernels cost before they run, and what do Liger's of the same ops?

A row is what the compiler makes of one kernel, phase, dtype, row length (`axis_n_cols`) and target
(`arch`); nothing is run, no GPU is needed, and the numbers are the same in every run, so any change
is a change of the code or of the compiler. Compare rows of equal `triton` only.

To read: `spill_bytes` above 0 is traffic that no formula has. `load_width_bytes` and
`store_width_bytes` are those of the accesses through which most bytes go: 16 is what aligned 2-byte
data allows, and an odd row length (4099) that keeps 16 has its tail apart
(`metric_load_full_width_share` is the share of bytes that go 16 bytes at a time). Of a phase with
several launches, registers and occupancy are those of the kernel that is worst off.
`bytes_per_element` against `least_bytes_per_element` is the traffic against the floor: the
launchers' declaration, checked against a count of every unmasked byte in triton's interpreter over
a few rows; the case is `invalid` where they differ. Liger declares nothing: its rows have the count
of its Triton kernels, extended to as many rows. `metric_requested_bytes_per_element` also counts
what one program reads after another, which the L2 cache serves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from traincost.static_cost import StaticCost
from traincost_suites.static_kernels import columns, cost_or_skip, start, static_grid

if TYPE_CHECKING:
    from traincost_kernels.static.run import StaticRun

AXES, CASES = static_grid()


@pytest.fixture(scope="module")
def static_run(request: pytest.FixtureRequest) -> Iterator[StaticRun]:
    """Compiles what this session will ask for, on every core, in processes of its own."""
    ours = (i for i in request.session.items if "static_run" in getattr(i, "fixturenames", ()))
    with start(ours) as run:
        yield run


@pytest.mark.parametrize(AXES, CASES)
def test_compiled(
    static_cost: StaticCost,
    static_run: StaticRun,
    kernel: str,
    impl: str,
    phase: str,
    dtype: str,
    n_cols: int,
    arch: str,
) -> None:
    """The kernels of one phase, compiled for one target."""
    params = dict(kernel=kernel, impl=impl, phase=phase, dtype=dtype, n_cols=n_cols, arch=arch)
    cost = cost_or_skip(static_run, params)
    static_cost(**columns(cost))
    assert cost.miscounted is None, cost.miscounted
