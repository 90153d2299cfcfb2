"""What a training step of an unmeasured size costs, from those that were measured.

    time   = s per launch * launches + s per FLOP * FLOPs + s per byte * bytes of traffic
    energy = the same in joules
    memory = live + peak
    launches = c * N^b,   FLOPs = a * B * N,   live = a * N
    traffic and peak = g * N + s * B * N^b

Activations grow as depth times width, slower than the parameters N; B is the batch. Launches (aten
calls), FLOPs, traffic and memory are counted on every row, and how they grow is a property of the
model alone; only the three prices belong to the machine. So rows of a batch sweep and of a
parameter sweep are fitted together, and a small model, whose narrow layers move more bytes for
each FLOP, doesn't make a large one look slower than it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traincost.judge.forecast.joint import JointLaw, fit_joint
from traincost.judge.forecast.points import Point, column, sizes
from traincost.judge.forecast.terms import Prices, fit_prices
from traincost.judge.scaling.law import Refusal, ends

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

N_DRAWS = 400
LEAST_SIZES = 4
LEAST_MODELS = 3
LEAST_SPAN = 8.0
TERMS = ("launches", "arithmetic", "memory traffic")


@dataclass(frozen=True)
class Size:
    """What a forecast is asked for."""

    n_params: float
    batch_size: float


@dataclass(frozen=True)
class Spread:
    """An amount and the ends of its prediction interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Spread:
        """In other units, or for many steps."""
        return Spread(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class StepModel:
    """The laws of one kind of step."""

    points: Sequence[Point]
    launches: JointLaw  # over parameters
    flops: JointLaw  # of a sample, over parameters
    traffic: JointLaw | None  # over batch and parameters; None where rows don't have it
    moved: JointLaw | None  # compulsory bytes, over parameters
    live: JointLaw | None  # over parameters
    peak: JointLaw | None  # over batch and parameters
    time: Prices
    energy: Prices | None

    def distance(self, size: Size) -> float:
        """How far beyond the measured parameters and batches, in factors of e."""
        import numpy as np

        far = 0.0
        for name in ("n_params", "batch_size"):
            of = column(self.points, name)
            x = getattr(size, name)
            far = max(far, float(np.log(x / of.max())), float(np.log(of.min() / x)))
        return far

    def amounts(self, size: Size) -> Floats:
        """Launches, FLOPs and bytes of a step, (n_terms,)."""
        import numpy as np

        log_n, log_b = math.log(size.n_params), math.log(size.batch_size)
        n = np.array([log_n])
        logs = [self.launches.log_cost(n), self.flops.log_cost(n) + log_b]
        if self.traffic is not None:
            logs.append(self.traffic.log_cost(np.array([log_b, log_n]), log_n))
        return np.asarray(np.exp(logs), np.float64)

    def time_at(self, size: Size) -> float:
        """Seconds of a step; no interval."""
        return self.time.cost(self.amounts(size))

    def shares(self, size: Size) -> dict[str, float]:
        """What a step's time is made of."""
        return dict(zip(TERMS, self.time.shares(self.amounts(size)).tolist(), strict=False))

    def time_s(self, size: Size, drift_rel: float, confidence: float) -> Spread:
        """Seconds of a step."""
        return self._spread(self.time, size, drift_rel, confidence)

    def energy_j(self, size: Size, drift_rel: float, confidence: float) -> Spread | None:
        """Joules of a step; None where too few rows have energy."""
        return (
            None if self.energy is None else self._spread(self.energy, size, drift_rel, confidence)
        )

    def moved_bytes(self, size: Size) -> float | None:
        """Bytes that a step must move; None where not counted."""
        import numpy as np

        if self.moved is None:
            return None
        return float(np.exp(self.moved.log_cost(np.log([size.n_params]))))

    def memory_bytes(self, size: Size) -> float | None:
        """Live tensors and a step's peak above them; None where not measured at enough sizes."""
        import numpy as np

        if self.live is None or self.peak is None:
            return None
        log_n, log_b = math.log(size.n_params), math.log(size.batch_size)
        live = self.live.log_cost(np.array([log_n]))
        return float(np.exp(live) + np.exp(self.peak.log_cost(np.array([log_b, log_n]), log_n)))

    def memory(self, size: Size, drift_rel: float, confidence: float) -> Spread | None:
        """The same with an interval."""
        import numpy as np

        value = self.memory_bytes(size)
        if value is None or self.live is None or self.peak is None:
            return None
        log_n, log_b = math.log(size.n_params), math.log(size.batch_size)
        live = self.live.log_costs(np.array([log_n]), 0.0, 5)
        peak = self.peak.log_costs(np.array([log_b, log_n]), log_n, 6)
        peak = peak + _drift(len(peak), drift_rel * self.distance(size))
        return _spread(value, np.logaddexp(live, peak), confidence)

    def _spread(self, law: Prices, size: Size, drift_rel: float, confidence: float) -> Spread:
        import numpy as np

        log_n, log_b = math.log(size.n_params), math.log(size.batch_size)
        n = np.array([log_n])
        logs = [self.launches.log_costs(n, 0.0, 1), self.flops.log_costs(n, 0.0, 2) + log_b]
        if self.traffic is not None:
            logs.append(self.traffic.log_costs(np.array([log_b, log_n]), log_n, 3))
        drawn = law.log_costs(np.exp(np.column_stack(logs)), 4)
        drawn = drawn + _drift(len(drawn), drift_rel * self.distance(size))
        return _spread(law.cost(self.amounts(size)), drawn, confidence)


def fit_step(points: Sequence[Point], n_draws: int = N_DRAWS) -> StepModel | Refusal:
    """The laws of a kind's points, or what else to measure."""
    import numpy as np

    refused = _refusal(points)
    if refused is not None:
        return refused
    models = _one_a_model(points)
    n = column(models, "n_params")
    per_sample = column(models, "flops") / column(models, "batch_size")
    launches, flops, traffic, energy = (
        column(points, name) for name in ("aten_ops", "flops", "traffic_bytes", "energy_j")
    )
    of_traffic = (
        _over_both(points, "traffic_bytes", n_draws) if np.isfinite(traffic).all() else None
    )
    terms = [launches, flops] if of_traffic is None else [launches, flops, traffic]
    amounts = np.column_stack(terms)
    known = np.isfinite(energy) & (energy > 0)
    return StepModel(
        points=points,
        launches=fit_joint([n], column(models, "aten_ops"), [None], n_draws=n_draws, seed=1),
        flops=fit_joint([n], per_sample, [1.0], n_draws=n_draws),
        traffic=of_traffic,
        moved=_over_n(points, "compulsory_bytes", n_draws),
        live=_over_n(points, "live_bytes", n_draws),
        peak=_over_both(points, "peak_bytes", n_draws),
        time=fit_prices(amounts, column(points, "time_s"), n_draws, seed=2),
        energy=fit_prices(amounts[known], energy[known], n_draws, seed=3)
        if known.sum() >= LEAST_SIZES
        else None,
    )


def _over_n(points: Sequence[Point], name: str, n_draws: int) -> JointLaw | None:
    """In proportion to the parameters; None where fewer than two models have the amount."""
    kept = [p for p in _one_a_model(points) if getattr(p, name)]
    if len(kept) < 2:
        return None
    return fit_joint([column(kept, "n_params")], column(kept, name), [1.0], n_draws=n_draws)


def _one_a_model(points: Sequence[Point]) -> list[Point]:
    """One point of each: a batch sweep must not outweigh the other models."""
    return list({p.n_params: p for p in points}.values())


def _over_both(points: Sequence[Point], name: str, n_draws: int) -> JointLaw | None:
    """Of the form g * N + s * B * N^b; None where too few sizes have the amount."""
    kept = [p for p in points if getattr(p, name)]
    if len({p.n_params for p in kept}) < LEAST_MODELS or len(sizes(kept)) < LEAST_SIZES:
        return None
    n = column(kept, "n_params")
    axes = [column(kept, "batch_size"), n]
    return fit_joint(axes, column(kept, name), [1.0, None], z=n, n_draws=n_draws, seed=4)


def _refusal(points: Sequence[Point]) -> Refusal | None:
    models = sorted({p.n_params for p in points})
    flops = sorted(p.flops for p in points)
    n_sizes = len(sizes(points))
    if (
        n_sizes >= LEAST_SIZES
        and len(models) >= LEAST_MODELS
        and flops[-1] >= LEAST_SPAN * flops[0]
    ):
        return None
    there = ", ".join(f"{n:,}" for n in models) or "none"
    return Refusal(
        "n_params",
        "time_median_s",
        f"{n_sizes} sizes, of {len(models)} models ({there} parameters); expected {LEAST_SIZES} "
        f"sizes of {LEAST_MODELS} models at least, the largest with {LEAST_SPAN:g} times the FLOPs",
        "run pytest suites/test_parameters.py suites/test_batch.py, or measure models between and "
        "beyond these",
    )


def _drift(n: int, sd: float) -> Floats:
    import numpy as np

    return np.asarray(np.random.default_rng(4).standard_normal(n) * sd, np.float64)


def _spread(value: float, logs: Floats, confidence: float) -> Spread:
    import numpy as np

    low, high = map(float, ends(logs, confidence))
    return Spread(value, min(value, float(np.exp(low))), max(value, float(np.exp(high))))
