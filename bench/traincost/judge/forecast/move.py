"""A forecast on another measured machine, through what both can do at most.

    time there = time here * bound there / bound here * c

A bound is the roofline's: max(FLOPs / peak FLOP/s, compulsory bytes / peak bytes/s), of peaks that
were measured. c is 1 if both machines use the same part of their peaks. Where both measured the
same steps, c is the median of what these say, and its spread goes into the interval; else the
interval is a factor of 2 wide each way, which is what machines differ by in how well they are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError
from traincost.judge.forecast.plan import Moved
from traincost.judge.forecast.points import Kind, Point
from traincost.judge.forecast.step import Size, StepModel
from traincost.judge.roofline import MEASURE, Measured, bounds_s
from traincost.machine.peaks import rate_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNKNOWN_LOG_SD = math.log(2) / 1.645
_LEAST_SHARED = 2


def move(
    kind: Kind,
    here: Measured,
    there: Measured,
    points: Sequence[Point],
    others: Mapping[Kind, Sequence[Point]],
    name: str,
) -> Moved:
    """How steps of a kind move to the machine called `name`, whose peaks and kinds are given.

    Raises:
        BadInputError: a peak is unknown; it says how to measure it.
    """
    rate = rate_name(kind.dtype, kind.matmul_precision)
    for machine, peaks in (("FILE", here), ("--on", there)):
        if peaks.bytes_per_s is None or (rate or "") not in peaks.flops_per_s:
            raise BadInputError(
                f"{machine}: no measured peaks of {rate or kind.dtype} and of memory; expected "
                f"rows of {MEASURE}, measured there"
            )

    def ratio(flops: float, moved_bytes: float) -> float:
        return _bound(rate, there, flops, moved_bytes) / _bound(rate, here, flops, moved_bytes)

    shared = [
        math.log(theirs.time_s / ours.time_s / ratio(ours.flops, ours.compulsory_bytes or 0))
        for ours in points
        for theirs in _same(kind, ours, others)
    ]
    enough = len(shared) >= _LEAST_SHARED
    c = median(shared) if enough else 0.0
    spread = median(abs(s - c) for s in shared) * 1.4826 if enough else _UNKNOWN_LOG_SD

    def factor(model: StepModel, size: Size) -> float:
        flops = float(model.amounts(size)[1])
        return ratio(flops, model.moved_bytes(size) or 0.0) * math.exp(c)

    how = (
        f"{len(shared)} steps that both measured"
        if enough
        else "their rooflines alone, right within a factor of 2"
    )
    return Moved(name, factor, spread, f"moved to {name} by {how}")


def _same(kind: Kind, point: Point, others: Mapping[Kind, Sequence[Point]]) -> list[Point]:
    """The same step over there, whatever the device."""
    return [
        p
        for other, points in others.items()
        if (other.family, other.phase, other.impl, other.dtype, other.seq_len)
        == (kind.family, kind.phase, kind.impl, kind.dtype, kind.seq_len)
        for p in points
        if (p.n_params, p.batch_size) == (point.n_params, point.batch_size)
    ]


def _bound(rate: str | None, peaks: Measured, flops: float, moved_bytes: float) -> float:
    import numpy as np

    bound = bounds_s(
        [rate], np.array([0]), np.array([flops]), np.array([float(moved_bytes)]), [peaks]
    )
    return float(bound[0])
