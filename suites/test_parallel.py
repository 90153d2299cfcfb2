"""What do several devices save, and what does their talking cost?

`train_step` takes one training step on `world_size` ranks by each strategy of
`traincost_suites/parallel/strategies.py`. `batch_size` is that of all ranks together, and
`time_median_s` that of the slowest rank. `metric_strong_scaling_efficiency` and
`metric_weak_scaling_efficiency` are against one rank's rows of the same run (1 is ideal). The other
columns say why it is less: `metric_comm_payload_bytes` of `metric_comm_calls` collectives a step,
`metric_comm_bus_bytes` as a ring sends them, `metric_comm_time_s` when each is run alone, which is
`metric_comm_step_share` of the step (what overlaps with computing is in it), and
`metric_rank_time_spread_rel`, how far the ranks' own times lie apart. `live_before_bytes` and
`step_peak_bytes` are of the rank that needs most: what ZeRO, FSDP and tensor parallelism are for.
`gpu_energy_j` is the sum over devices.

`pytest suites/test_parallel.py` starts its ranks on this machine, one device or one CPU core each.
On several hosts: `torchrun ... -m traincost.parallel suites/test_parallel.py`, on each of them.
"""

from __future__ import annotations

import pytest

from traincost.parallel.fixture import ParallelCost
from traincost_suites.grids import grid

MAKE = "traincost_suites.parallel.step:parallel_step"


@pytest.mark.parametrize(*grid("parallel"))
def test_train_step(
    parallel_cost: ParallelCost,
    strategy: str,
    model: str,
    batch_size: int,
    world_size: int,
    device: str,
    dtype: str,
) -> None:
    """A training step of all ranks, with AdamW."""
    parallel_cost(MAKE, strategy_name=strategy, model=model, batch_size=batch_size, dtype=dtype)
