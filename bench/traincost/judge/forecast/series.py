"""One axis of one model: a batch sweep of a phase, or epochs over growing volumes.

    time = fixed + a * x

What is fixed is an epoch's start, or a phase's launches; the rest is in proportion to the samples.
Such a series can be forecast by itself; what forecasts of the whole step need is more, see `step`.
With neither part below 0, more samples take no less time, and at most as many times as there are
more of them: that bounds what three or four points leave open. Where the law's interval is as wide
as that, the points tell nothing of what is beyond them, and a forecast is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from traincost.data.record import Record, Status
from traincost.judge.forecast.held import CONFIDENCE, REACH, Held, sizes_with_larger
from traincost.judge.forecast.points import Kind, kind_of
from traincost.judge.scaling import Refusal, Scaling, fit_scaling

BATCH, DATA = "batch, one model", "data, one model"
EXPECTED_DRIFT_REL = 0.10
"""By how much such a law is off a factor of e beyond its data."""
_SLACK = 2.0
"""Standard deviations by which a measured time may be off."""
_NORMAL_90 = 1.645


@dataclass(frozen=True)
class Which:
    """What rows of a series share."""

    axis: str
    model: str
    kind: Kind
    batch_size: int | None  # None where that is the axis

    def __str__(self) -> str:
        batch = "" if self.batch_size is None else f" batch {self.batch_size}"
        return f"{str(self.kind).replace(self.kind.family, self.model, 1)}{batch}"


Series = Mapping[Which, Sequence[tuple[int, float]]]


def series_of(records: Iterable[Record]) -> Series:
    """(size, seconds) of rows that are ok and differ in that size alone."""
    found: dict[Which, list[tuple[int, float]]] = {}
    for r in records:
        axis = DATA if r.dataset_samples else BATCH
        x = r.dataset_samples or r.batch_size
        if r.status != Status.OK or r.model is None or not x or not r.time_median_s:
            continue
        batch = r.batch_size if axis == DATA else None
        which = Which(axis, r.model, kind_of(r, r.model), batch)
        found.setdefault(which, []).append((x, r.time_median_s))
    return found


def backtest_series(series: Series) -> tuple[list[Held], list[str]]:
    """Every series without its largest sizes, asked for them; and what cannot be told."""
    found: list[Held] = []
    refused: list[str] = []
    for which, points in series.items():
        for cut in sizes_with_larger([x for x, _ in points]):
            known = [(x, t) for x, t in points if x <= cut]
            xs, times = zip(*known, strict=True)
            law = fit_scaling(xs, times, axis=which.axis.partition(",")[0], exponent=1.0)
            if isinstance(law, Refusal):
                continue
            for x, actual in points:
                if not cut < x <= REACH * cut:
                    continue
                what, far = f"{which}, {x:,} samples", x / cut
                told, low, high = bounded(law, known, x)
                if high > far * low:
                    refused.append(
                        f"{what}: {len(known)} sizes up to {cut:,} scatter too much to tell what "
                        "is fixed from what grows; expected more sizes between, or more rounds"
                    )
                    continue
                drift = _NORMAL_90 * EXPECTED_DRIFT_REL * math.log(far)
                low = told * math.exp(-math.hypot(math.log(told / low), drift))
                high = told * math.exp(math.hypot(math.log(high / told), drift))
                found.append(Held(which.axis, what, far, actual, told, low, high))
    return found, refused


def bounded(law: Scaling, known: Sequence[tuple[int, float]], x: int) -> tuple[float, float, float]:
    """What the law says beyond its points, and its interval, within what any such law may say."""
    ends = law.prediction([x], CONFIDENCE)
    slack = math.exp(_SLACK * law.scatter_rel)
    least = max(t for _, t in known) / slack
    most = max(min(t * x / known_x for known_x, t in known) * slack, least)
    told, low, high = (min(max(float(v[0]), least), most) for v in (law.at([x]), ends[0], ends[1]))
    return told, min(low, told), max(high, told)
