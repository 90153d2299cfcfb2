"""Rates of a step, and what share of the device's peak they are.

flops_per_s = flops / time_median_s        mfu = model_flops / time_median_s / peak_flops_per_s
intensity   = flops / traffic_bytes        hfu = flops       / time_median_s / peak_flops_per_s
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from traincost.machine.peaks import Peak

NO_PEAK = "no peak known for this device and dtype; run suites/test_machine.py"
TOO_LOW_A_PEAK = "above 1: the measured peak is too low; run suites/test_machine.py again"
FROM_CACHE = "the traffic counted is more than memory could move in the time: caches served it"


@dataclass(frozen=True)
class Counts:
    """What one step does; None where it could not be counted."""

    samples: int
    tokens: int | None
    flops: int | None
    model_flops: int | None
    traffic_bytes: int | None


@dataclass(frozen=True)
class Rates:
    """The columns derived from counts, time and peak, and why one of them is empty or doubtful."""

    samples_per_s: float
    tokens_per_s: float | None
    flops_per_s: float | None
    intensity_flop_per_byte: float | None
    mfu: float | None = None
    hfu: float | None = None
    bandwidth_utilization: float | None = None
    peak_flops_per_s: float | None = None
    peak_bytes_per_s: float | None = None
    peak_source: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict[str, str])


def rates(counts: Counts, time_s: float, peak: Peak | None) -> Rates:
    """`time_s` is the median time of a step."""
    notes: dict[str, str] = {}
    flop_rate = peak.flops_per_s if peak else None
    byte_rate = peak.bytes_per_s if peak else None
    mfu = _share(counts.model_flops, time_s, flop_rate)
    moved = _share(counts.traffic_bytes, time_s, byte_rate)
    if flop_rate is None:
        notes["mfu"] = NO_PEAK
    elif mfu is not None and mfu > 1:
        notes["mfu"] = TOO_LOW_A_PEAK
    if byte_rate is None:
        notes["bandwidth_utilization"] = NO_PEAK
    elif moved is not None and moved > 1:
        notes["bandwidth_utilization"] = FROM_CACHE
        moved = None
    return Rates(
        samples_per_s=counts.samples / time_s,
        tokens_per_s=_ratio(counts.tokens, time_s),
        flops_per_s=_ratio(counts.flops, time_s),
        intensity_flop_per_byte=_ratio(counts.flops, counts.traffic_bytes),
        mfu=mfu,
        hfu=_share(counts.flops, time_s, flop_rate),
        bandwidth_utilization=moved,
        peak_flops_per_s=flop_rate,
        peak_bytes_per_s=byte_rate,
        peak_source=peak.source if peak else None,
        notes=notes,
    )


def _ratio(count: int | None, per: float | None) -> float | None:
    return count / per if count is not None and per else None


def _share(count: int | None, time_s: float, peak: float | None) -> float | None:
    return _ratio(count, None if peak is None else time_s * peak)
