"""A training run that nobody has paid for yet: time, energy, money, memory, and whether it fits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from traincost.data.errors import BadInputError
from traincost.judge.forecast.backtest import backtest, drift_rel
from traincost.judge.forecast.held import CONFIDENCE, Held, Score, scores
from traincost.judge.forecast.points import Kind, Point
from traincost.judge.forecast.step import Size, Spread, StepModel, fit_step
from traincost.judge.scaling.law import Refusal

_HOUR_S = 3600
_KWH_J = 3.6e6
_FAR = 16.0
"""Beyond 16 times the data a forecast is an opinion; it is told as one."""


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
    beyond: float  # how many times as large as what was measured, in the axis that is farthest
    drift_rel: float
    fits: bool | None  # None: memory or need unknown
    largest_n_params: float | None = None  # that fits at this batch, where this doesn't
    largest_batch: int | None = None  # that fits with these parameters; 0: none
    scores: Sequence[Score] = ()
    notes: Sequence[str] = ()
    on: str | None = None  # another machine than the measured one


def forecast(
    kind: Kind, points: Sequence[Point], request: Request, moved: Moved | None = None
) -> Forecast:
    """Forecast a run of one kind of step; `moved` takes it to another machine.

    Raises:
        BadInputError: too little was measured; it says what to measure.
    """
    model = fit_step(points)
    if isinstance(model, Refusal):
        raise BadInputError(f"{kind}: {model.reason}; {model.measure}")
    batch = request.batch_size or usual_batch(points)
    size = Size(request.n_params, batch)
    drift = drift_rel(points)
    step = model.time_s(size, drift, CONFIDENCE)
    energy = model.energy_j(size, drift, CONFIDENCE)
    if moved is not None:
        step, energy = moved.step(model, size, step), None
    steps = _steps(kind, request, batch)
    time = step.times(steps)
    energy = energy.times(steps) if energy is not None else None
    memory = model.memory(size, drift, CONFIDENCE)
    fits, largest_n, largest_b = _fit(model, size, memory, request.memory_bytes)
    held = backtest(kind, points)
    price, carbon = request.price_per_hour, request.carbon_g_per_kwh
    return Forecast(
        *(kind, request, batch, steps, step, time),
        flops=float(model.amounts(size)[1]) * steps,
        memory=memory,
        energy=energy,
        money=None if price is None else time.times(price / _HOUR_S),
        carbon=None if carbon is None or energy is None else energy.times(carbon / _KWH_J),
        shares=model.shares(size),
        beyond=math.exp(model.distance(size)),
        drift_rel=drift,
        fits=fits,
        largest_n_params=largest_n,
        largest_batch=largest_b,
        scores=scores(held),
        notes=[*_notes(model, size, held, energy is None and moved is None), *_moved_notes(moved)],
        on=None if moved is None else moved.name,
    )


@dataclass(frozen=True)
class Moved:
    """How a step's time becomes that on another machine, and how sure that is."""

    name: str
    factor: Callable[[StepModel, Size], float]  # other's time over this machine's
    log_sd: float
    note: str

    def step(self, model: StepModel, size: Size, here: Spread) -> Spread:
        """Seconds of a step over there."""
        factor = self.factor(model, size)
        sides = [math.log(here.value / here.low), math.log(here.high / here.value)]
        low, high = (math.hypot(side, 1.645 * self.log_sd) for side in sides)
        value = here.value * factor
        return Spread(value, value * math.exp(-low), value * math.exp(high))


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


def _fit(
    model: StepModel, size: Size, memory: Spread | None, capacity_bytes: float | None
) -> tuple[bool | None, float | None, int | None]:
    """Whether it fits, and the largest model at this batch and batch of this model that would."""
    if memory is None or capacity_bytes is None:
        return None, None, None
    if memory.value <= capacity_bytes:
        return True, None, None

    def fits(n_params: float, batch: float) -> bool:
        needed = model.memory_bytes(Size(n_params, batch))
        return needed is not None and needed <= capacity_bytes

    n_params = _largest(lambda n: fits(n, size.batch_size), size.n_params)
    batch = _largest(lambda b: fits(size.n_params, math.floor(b)), size.batch_size)
    return False, n_params, math.floor(batch) if batch else 0


def _largest(fits: Callable[[float], bool], limit: float) -> float | None:
    """The largest that fits below a limit that doesn't, to 0.1%; None where not even 1 does."""
    low, high = 1.0, limit
    if not fits(low):
        return None
    while high > low * 1.001:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _notes(model: StepModel, size: Size, held: Sequence[Held], without_energy: bool) -> list[str]:
    found: list[str] = []
    beyond = math.exp(model.distance(size))
    if beyond > _FAR:
        found.append(
            f"{beyond:.3g} times as large as anything measured: the interval rests on how far "
            "smaller forecasts drifted; measure something nearer"
        )
    if not held:
        found.append(
            "no backtest: too few sizes to fit without the largest; the interval assumes a drift "
            "of 15% per factor of e"
        )
    doubtful = sum(p.doubtful for p in model.points)
    if doubtful:
        found.append(f"{doubtful} of {len(model.points)} rows are unstable or throttled")
    if without_energy:
        found.append("no energy: fewer than 4 rows have any")
    if model.peak is None:
        found.append("no memory: fewer than 3 models, or 4 sizes, have step_peak_bytes")
    if model.traffic is None:
        found.append("rows without traffic_bytes: time from launches and FLOPs alone")
    found.append("steps alone: no data loading, evaluation, checkpoints or parallelism")
    return found


def _moved_notes(moved: Moved | None) -> list[str]:
    return [] if moved is None else [moved.note, "no energy: it cannot be moved to another machine"]
