"""Energy from a power sensor: the second source, that the energy counter is compared with.

The instantaneous power (NVML field 186) is not the power of an instant. It is updated every 20 to
100 ms and is the mean over the end of that time only: on an A100 or H100, over 25 ms of each
100 ms, so three quarters of the time are never seen. That share, the coverage, is stated with the
number. A reading with the same timestamp as the one before is the same reading.

    energy = mean of the readings that average over time inside the window · length of the window
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from traincost.instruments.edges import Refusal

FEWEST = 2
DISAGREEMENT = 0.10
"""Two sources further apart than this make a note."""

# Part of a GPU's name to the seconds of power that one reading averages ("Part-time Power
# Measurements", arXiv 2312.02741, table 1: by architecture; the update periods are observed here).
_AVERAGING_S = (
    (r"A100|A30\b|H100|H200|H800|A800|GH200", 0.025),
    (r"V100|TITAN V", 0.010),
    (r"\bT4\b|RTX|GTX 16|A10\b|A10G|A40\b|A2\b|A16\b|L4\b|L40", 0.100),
)


@dataclass(frozen=True)
class PowerReading:
    """Power of a sensor, and when: its own stamp (to tell readings apart), and our clock."""

    stamp_us: int
    after_s: float  # an older reading was still shown
    seen_s: float
    power_w: float


@dataclass(frozen=True)
class IntegratedPower:
    """Energy of a window by its sensor."""

    energy_j: float
    mean_w: float
    readings: int
    update_s: float
    coverage: float | None  # share of the time that readings average; None for an unknown sensor

    @property
    def covered(self) -> str:
        """The coverage in words."""
        share = "an unknown share" if self.coverage is None else f"{self.coverage:.0%}"
        return f"the sensor averages {share} of the time"


def averaging_s(gpu_name: str | None) -> float | None:
    """Seconds that one reading of this GPU's sensor averages, where that was measured."""
    for pattern, seconds in _AVERAGING_S:
        if gpu_name is not None and re.search(pattern, gpu_name):
            return seconds
    return None


def distinct(readings: Iterable[PowerReading]) -> list[PowerReading]:
    """Each reading once, as it was first seen."""
    kept: list[PowerReading] = []
    for reading in readings:
        if not kept or reading.stamp_us != kept[-1].stamp_us:
            kept.append(reading)
    return kept


def integrate(
    readings: Sequence[PowerReading],
    windows: Sequence[tuple[float, float]],
    averaging_s: float | None = None,
) -> IntegratedPower | Refusal:
    """Energy of these windows (start and end on the readings' clock), together.

    Args:
        readings: Of one sensor, in order.
        windows: Repetitions of the same work; their readings are pooled.
        averaging_s: What one reading averages; if unknown, the time from update to update.
    """
    own = distinct(readings)
    if len(own) < FEWEST:
        return Refusal(f"the power sensor gave {len(own)} readings")
    update_s = median(b.seen_s - a.seen_s for a, b in pairwise(own))
    tail_s = update_s if averaging_s is None else averaging_s
    inside = [
        r.power_w
        for r in own
        if any(start_s <= r.after_s - tail_s and r.seen_s <= end_s for start_s, end_s in windows)
    ]
    if len(inside) < FEWEST:
        return Refusal(
            f"window too short: {len(inside)} readings of the power sensor lie inside, which is "
            f"updated every {update_s:.3g} s"
        )
    mean_w = fmean(inside)
    length_s = sum(end_s - start_s for start_s, end_s in windows)
    coverage = None if averaging_s is None else min(1.0, averaging_s / update_s)
    return IntegratedPower(mean_w * length_s, mean_w, len(inside), update_s, coverage)


def disagreement(counter_j: float, sensor: IntegratedPower) -> str | None:
    """What to note where the two sources are too far apart."""
    if abs(sensor.energy_j - counter_j) <= DISAGREEMENT * counter_j:
        return None
    return (
        f"the counter says {counter_j:.4g} J, integrated power {sensor.energy_j:.4g} J "
        f"({sensor.readings} readings, {sensor.covered})"
    )
