"""Forecasts of what is known: fit without the largest sizes, predict them, and count the misses.

For every axis (parameters, batch, data volume) and every place to cut it, laws are fitted to the
rows up to there and asked for those beyond, up to `REACH` times as large. A forecast beyond all
data is as good as these were; the drift, by which intervals grow with distance, is what they
missed per factor of e.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from traincost.data.record import Record
from traincost.judge.forecast.held import REACH, Held, sizes_with_larger
from traincost.judge.forecast.model import Drift, Size, StepModel
from traincost.judge.forecast.points import Kind, Point, kinds
from traincost.judge.forecast.series import backtest_series, series_of
from traincost.judge.forecast.sources import joules_of
from traincost.judge.forecast.step import N_DRAWS, fit_step
from traincost.judge.scaling.law import Refusal

AXES = {"parameters": "n_params", "batch": "batch_size"}
EXPECTED = Drift(time_rel=0.15, memory_rel=0.07, energy_rel=0.15)
"""By how much a law is off a factor of e beyond its data, until its own misses tell."""
_WORTH = 4
"""The expectation counts as so many misses."""


@dataclass(frozen=True)
class Cut:
    """A law of the sizes up to some place, and the points beyond it."""

    axis: str
    known: Sequence[Point]
    model: StepModel
    beyond: Sequence[tuple[Point, float]]  # and how many times as large as the largest known


def backtest(kind: Kind, points: Sequence[Point]) -> list[Held]:
    """Time, memory and energy along parameters and batch; what was known at the cut tells all."""
    found: list[Held] = []
    for cut in _cuts(points, N_DRAWS):
        drift = drift_of(cut.known)
        for p, far in cut.beyond:
            size, what = _size(p), f"{kind}, {p.n_params:,} parameters, batch {p.batch_size}"
            told = {
                cut.axis: (p.time_s, cut.model.time_s(size, drift)),
                f"memory, {cut.axis}": (p.memory_bytes, cut.model.memory_bytes(size, drift)),
                f"energy, {cut.axis}": (_joules(p, cut.model), cut.model.energy_j(size, drift)),
            }
            for label, (actual, spread) in told.items():
                if actual is not None and spread is not None:
                    ends = (spread.value, spread.low, spread.high)
                    found.append(Held(label, what, far, actual, *ends))
    return sorted(found, key=lambda held: held.axis.count(","))


def drift_of(points: Sequence[Point]) -> Drift:
    """By how much laws of these points drift off in a factor of e beyond what they were fitted to.

    A root mean square over all cuts, and an expectation that counts as some of them.
    """
    times: list[float] = []
    memories: list[float] = []
    energies: list[float] = []
    for cut in _cuts(points, 0):
        for p, _ in cut.beyond:
            size = _size(p)
            far = max(cut.model.distance(size), 1.0)
            for misses, actual, told in (
                (times, p.time_s, cut.model.time_at(size)),
                (memories, p.memory_bytes, cut.model.memory_at(size)),
                (energies, _joules(p, cut.model), cut.model.energy_at(size)),
            ):
                if actual is not None and told is not None:
                    misses.append(math.log(actual / told) / far)
    return Drift(
        time_rel=_rms(times, EXPECTED.time_rel),
        memory_rel=_rms(memories, EXPECTED.memory_rel),
        energy_rel=_rms(energies, EXPECTED.energy_rel),
    )


def _cuts(points: Sequence[Point], n_draws: int) -> Iterator[Cut]:
    """Wherever the sizes up to there suffice for a law, and there are larger ones."""
    for axis, name in AXES.items():
        for cut in sizes_with_larger([getattr(p, name) for p in points]):
            known = [p for p in points if getattr(p, name) <= cut]
            ratios = [(p, getattr(p, name) / cut) for p in points]
            beyond = [(p, far) for p, far in ratios if 1 < far <= REACH]
            model = fit_step(known, n_draws) if beyond else None
            if model is not None and not isinstance(model, Refusal):
                yield Cut(axis, known, model, beyond)


def _size(point: Point) -> Size:
    return Size(point.n_params, point.batch_size)


def _joules(point: Point, model: StepModel) -> float | None:
    return None if model.energies is None else joules_of(point, model.energies.sources)


def _rms(misses: Sequence[float], expected_rel: float) -> float:
    total = sum(m * m for m in misses) + _WORTH * expected_rel**2
    return math.sqrt(total / (len(misses) + _WORTH))


@dataclass(frozen=True)
class Backtest:
    """What was held back, and series of which no forecast can be told."""

    held: Sequence[Held]
    refused: Sequence[str]  # a sentence each


def backtest_all(records: Sequence[Record]) -> Backtest:
    """Of every kind of step, and of every series that is of one model."""
    found = kinds(records)
    steps = [held for kind, points in found.items() for held in backtest(kind, points)]
    series, refused = backtest_series(series_of(records))
    return Backtest([*steps, *series], refused)
