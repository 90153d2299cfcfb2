"""One axis of one model: a batch sweep of a phase, or epochs over growing volumes.

    time = fixed + a * x

What is fixed is an epoch's start, or a phase's launches; the rest is in proportion to the samples.
Such a series can be forecast by itself; what forecasts of the whole step need is more, see `step`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from traincost.data.record import Record, Status
from traincost.judge.forecast.held import (
    CONFIDENCE,
    EXPECTED_DRIFT_REL,
    REACH,
    Held,
    sizes_with_larger,
)
from traincost.judge.scaling import Refusal, fit_scaling

BATCH, DATA = "batch, one model", "data, one model"
Series = Mapping[tuple[str, str], Sequence[tuple[int, float]]]


def series_of(records: Iterable[Record]) -> Series:
    """(axis, what) -> (size, seconds) of rows that are ok and differ in that size alone."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for r in records:
        axis = DATA if r.dataset_samples else BATCH
        x = r.dataset_samples or r.batch_size
        if r.status != Status.OK or r.model is None or not x or not r.time_median_s:
            continue
        own = (f"{k}={v}" for k, v in sorted(r.axes.items()) if k not in ("data", "data_sha256"))
        batch = f"batch {r.batch_size}" if axis == DATA else None
        parts = (r.model, r.phase, r.impl, r.device, r.dtype, batch, *own, r.machine_id)
        what = " ".join(str(p) for p in parts[:-1] if p is not None)
        found.setdefault((axis, f"{what}\0{r.machine_id}"), []).append((x, r.time_median_s))
    return {(axis, what.partition("\0")[0]): points for (axis, what), points in found.items()}


def backtest_series(series: Series) -> list[Held]:
    """Every series without its largest sizes, asked for them."""
    found: list[Held] = []
    for (axis, what), points in series.items():
        for cut in sizes_with_larger([x for x, _ in points]):
            known = [(x, t) for x, t in points if x <= cut]
            xs, times = zip(*known, strict=True)
            law = fit_scaling(xs, times, axis=axis.partition(",")[0], exponent=1.0)
            if isinstance(law, Refusal):
                continue
            for x, actual in points:
                if not cut < x <= REACH * cut:
                    continue
                low, high = law.prediction([x], CONFIDENCE, EXPECTED_DRIFT_REL)
                told = float(law.at([x])[0])
                what_x = f"{what}, {x:,} samples"
                ends = (float(low[0]), float(high[0]))
                found.append(Held(axis, what_x, x / cut, actual, told, *ends))
    return found
