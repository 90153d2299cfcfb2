"""Forecasts of what is known: fit without the largest sizes, predict them, and count the misses.

For every axis (parameters, batch, data volume) and every place to cut it, laws are fitted to the
rows up to there and asked for those beyond, up to `REACH` times as large. A forecast beyond all
data is as good as these were; `drift_rel`, by which intervals grow with distance, is what they
missed per factor of e.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from traincost.data.record import Record
from traincost.judge.forecast.held import (
    CONFIDENCE,
    EXPECTED_DRIFT_REL,
    REACH,
    Held,
    sizes_with_larger,
)
from traincost.judge.forecast.points import Kind, Point, kinds
from traincost.judge.forecast.series import backtest_series, series_of
from traincost.judge.forecast.step import N_DRAWS, Size, fit_step
from traincost.judge.scaling.law import Refusal

AXES = {"parameters": "n_params", "batch": "batch_size"}
_WORTH = 4
"""The expectation counts as so many misses."""


def backtest(kind: Kind, points: Sequence[Point]) -> list[Held]:
    """Along parameters and batch; intervals use what was known at the cut."""
    found: list[Held] = []
    for axis, name in AXES.items():
        for cut in sizes_with_larger([getattr(p, name) for p in points]):
            known = [p for p in points if getattr(p, name) <= cut]
            beyond = _beyond(points, name, cut)
            model = fit_step(known, N_DRAWS) if beyond else None
            if model is None or isinstance(model, Refusal):
                continue
            drift = drift_rel(known)
            for p in beyond:
                told = model.time_s(Size(p.n_params, p.batch_size), drift, CONFIDENCE)
                what = f"{kind}, {p.n_params:,} parameters, batch {p.batch_size}"
                far = getattr(p, name) / cut
                found.append(Held(axis, what, far, p.time_s, told.value, told.low, told.high))
    return found


def drift_rel(points: Sequence[Point]) -> float:
    """By how much laws of these points drift off in a factor of e beyond what they were fitted to.

    A root mean square over all cuts, and an expectation that counts as some of them.
    """
    squares: list[float] = []
    for name in AXES.values():
        for cut in sizes_with_larger([getattr(p, name) for p in points]):
            beyond = _beyond(points, name, cut)
            known = [p for p in points if getattr(p, name) <= cut]
            model = fit_step(known, 0) if beyond else None
            if model is None or isinstance(model, Refusal):
                continue
            for p in beyond:
                miss = math.log(p.time_s / model.time_at(Size(p.n_params, p.batch_size)))
                squares.append((miss / max(math.log(getattr(p, name) / cut), 1.0)) ** 2)
    total = sum(squares) + _WORTH * EXPECTED_DRIFT_REL**2
    return math.sqrt(total / (len(squares) + _WORTH))


def _beyond(points: Sequence[Point], name: str, cut: int) -> list[Point]:
    return [p for p in points if cut < getattr(p, name) <= REACH * cut]


def backtest_all(records: Sequence[Record]) -> list[Held]:
    """Of every kind of step, and of every series that is of one model."""
    found = kinds(records)
    steps = [held for kind, points in found.items() for held in backtest(kind, points)]
    return [*steps, *backtest_series(series_of(records))]
