"""A training run that nobody has paid for yet: time, energy, money, memory, and whether it fits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from traincost.data.errors import BadInputError
from traincost.judge.forecast.backtest import backtest, drift_of
from traincost.judge.forecast.elsewhere import Elsewhere, move
from traincost.judge.forecast.fitting import Room, room
from traincost.judge.forecast.held import Score, scores
from traincost.judge.forecast.model import Drift, Limits, Size, Spread
from traincost.judge.forecast.notes import notes
from traincost.judge.forecast.points import Kind, Point
from traincost.judge.forecast.step import fit_step
from traincost.judge.scaling.law import Refusal

_HOUR_S = 3600
_KWH_J = 3.6e6


@dataclass(frozen=True)
class Request:
    """What is to be trained, and what an hour and a kilowatt-hour cost."""

    n_params: float
    tokens: float | None = None  # one of both is given
    samples: float | None = None
    batch_size: int | None = None  # None: the one that most models were measured at
    price_per_hour: float | None = None
    carbon_g_per_kwh: float | None = None
    memory_bytes: float | None = None  # that the machine has; None: unknown


@dataclass(frozen=True)
class Forecast:
    """What it would cost. Spreads are 90% prediction intervals."""

    kind: Kind
    request: Request
    batch_size: int
    steps: float
    step: Spread  # seconds
    time: Spread  # seconds
    flops: float
    memory: Spread | None  # bytes
    energy: Spread | None  # joules
    money: Spread | None
    carbon: Spread | None  # grams
    shares: Mapping[str, float]  # of a step's time
    beyond: float  # how many times as large as what was measured, where that is farthest
    drift: Drift
    room: Room | None  # None: memory or need unknown
    scores: Sequence[Score] = ()
    notes: Sequence[str] = ()
    machine: str | None = None  # the measured one
    on: str | None = None  # another machine, that the forecast is for


def forecast(
    kind: Kind,
    points: Sequence[Point],
    request: Request,
    *,
    machine: str | None = None,  # what the measured one is called
    limits: Limits | None = None,  # of the measured machine, where known
    to: Elsewhere | None = None,
) -> Forecast:
    """Forecast a run of one kind of step, here or elsewhere.

    Raises:
        BadInputError: too little was measured; it says what to measure.
    """
    model = fit_step(points)
    if isinstance(model, Refusal):
        raise BadInputError(f"{kind}: {model.reason}; {model.measure}")
    model = replace(model, limits=limits) if to is None else move(model, to)
    batch = request.batch_size or usual_batch(points)
    size = Size(request.n_params, batch)
    drift = drift_of(points)
    step, energy = model.time_s(size, drift), model.energy_j(size, drift)
    steps = _steps(kind, request, batch)
    time = step.times(steps)
    energy = None if energy is None else energy.times(steps)
    held = backtest(kind, points)
    price, carbon = request.price_per_hour, request.carbon_g_per_kwh
    return Forecast(
        kind=kind,
        request=request,
        batch_size=batch,
        steps=steps,
        step=step,
        time=time,
        flops=float(model.amounts(size)[1]) * steps,
        memory=model.memory_bytes(size, drift),
        energy=energy,
        money=None if price is None else time.times(price / _HOUR_S),
        carbon=None if carbon is None or energy is None else energy.times(carbon / _KWH_J),
        shares=model.shares(size),
        beyond=math.exp(model.distance(size)),
        drift=drift,
        room=room(model, size, drift, request.memory_bytes),
        scores=scores(held),
        notes=notes(model, size, held, kind, to),
        machine=machine,
        on=None if to is None else to.name,
    )


def usual_batch(points: Sequence[Point]) -> int:
    """The batch that most models were measured at, the larger of two such."""
    models = {(p.batch_size, p.n_params) for p in points}
    counts = Counter(batch for batch, _ in models)
    return max(counts, key=lambda batch: (counts[batch], batch))


def _steps(kind: Kind, request: Request, batch: int) -> float:
    """Steps of the run; a last one that isn't full is one."""
    if request.tokens is not None:
        return max(1.0, math.ceil(request.tokens / (batch * (kind.seq_len or 1))))
    return max(1.0, math.ceil((request.samples or 0) / batch))
