"""The lines of a comparison: one case, one quantity, two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traincost.judge.intervals import Ratios, Typical

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Metric:
    """A quantity that is compared; `name` is its column and carries its unit."""

    name: str
    group: str  # what --metric calls it
    title: str
    unit: str
    same: tuple[str, ...] = ()  # columns that must agree for two values to mean the same
    follows_time: bool = False  # the spread between runs that rows record is that of time
    error: str | None = None  # column with the bound of its error, in the same unit


METRICS = (
    Metric("time_median_s", "time", "time per step", "s", follows_time=True),
    Metric("time_over_roofline", "time", "time over the roofline bound", "", follows_time=True),
    Metric("step_peak_bytes", "memory", "memory of a step", "B"),
    Metric("device_peak_bytes", "memory", "memory of the process on the device", "B"),
    Metric("metric_allocated_peak_bytes", "memory", "allocated memory", "B"),
    Metric("gpu_energy_j", "energy", "GPU energy per step", "J", error="gpu_energy_error_j"),
    Metric("cpu_energy_j", "energy", "CPU energy per step", "J"),
    Metric(
        "intensity_flop_per_byte",
        "intensity",
        "arithmetic intensity",
        "FLOP/B",
        same=("flops_convention", "traffic_source"),
    ),
    Metric("mfu", "mfu", "MFU", "", same=("flops_convention", "peak_source"), follows_time=True),
)
ROOFLINE = "time_over_roofline"
METRIC_GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS))
SPEEDUP = Metric("speedup", "speedup", "speedup", "", follows_time=True)
COSTS = (
    Metric("cost_per_million_samples", "cost", "cost per million samples", "", follows_time=True),
    Metric("cost_per_million_tokens", "cost", "cost per million tokens", "", follows_time=True),
)


@dataclass(frozen=True)
class Line:
    """A quantity of one case on two sides. `ratio` is other / base, in a speedup base / other."""

    case_id: str
    metric: str
    base: str  # names of sides; implementations in a speedup within a side
    other: str | None
    base_value: float | None
    other_value: float | None
    ratio: float | None = None
    low: float | None = None  # ends of the 95% interval
    high: float | None = None
    interval: str | None = None  # what it rests on, or why there is none
    base_runs: int = 0
    other_runs: int = 0
    side: str | None = None  # of a speedup within one side
    impl: str | None = None
    baseline: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Unmatched:
    """A case that is not compared, or not in this quantity, and why."""

    case_id: str
    base: str
    other: str | None
    reason: str
    metric: str | None = None  # None: in none at all


@dataclass(frozen=True)
class Summary:
    """All cases of two sides in one quantity."""

    metric: str
    base: str
    other: str
    n_cases: int
    geometric_mean: float
    lowest: float
    highest: float


def numbers(values: npt.NDArray[np.float64]) -> list[float | None]:
    """NaN as None."""
    return [None if v != v else v for v in values.tolist()]


def interval_sources(
    base: Typical, other: Typical, found: Ratios, *, with_errors: bool
) -> list[str | None]:
    """What each interval rests on; None where there is no ratio either."""
    import numpy as np

    sources: list[str | None] = []
    columns = (
        base.runs,
        other.runs,
        base.log_variance + other.log_variance,
        found.low,
        found.ratio,
    )
    for base_runs, other_runs, variance, low, ratio in zip(
        *(np.asarray(c).tolist() for c in columns), strict=True
    ):
        if ratio != ratio:
            sources.append(None)
        elif low != low:
            sources.append("none: 1 run" if min(base_runs, other_runs) == 1 else "none")
        else:
            alone = (base_runs == 1, other_runs == 1)
            parts = (
                []
                if variance != variance
                else (
                    (["runs"] if not all(alone) else [])
                    + (["run_spread_rel"] if any(alone) else [])
                )
            )
            sources.append(" and ".join([*parts, *(["error bound"] if with_errors else [])]))
    return sources


def summaries(lines: Sequence[Line]) -> list[Summary]:
    """The geometric mean over cases of every metric and pair of sides, in order of appearance."""
    import math

    found: dict[tuple[str, str, str], list[float]] = {}
    for line in lines:
        if line.ratio is not None and line.other is not None:
            found.setdefault((line.metric, line.base, line.other), []).append(line.ratio)
    return [
        Summary(*key, len(r), math.exp(math.fsum(map(math.log, r)) / len(r)), min(r), max(r))
        for key, r in found.items()
    ]
