"""The laws of one kind of step, and what they say of a size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traincost.judge.forecast.held import CONFIDENCE
from traincost.judge.forecast.joint import JointLaw
from traincost.judge.forecast.points import Point, column
from traincost.judge.forecast.sources import Energies
from traincost.judge.forecast.terms import Prices
from traincost.judge.scaling.law import ends

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

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

    def at_least(self, least: float) -> Spread:
        """The same where less is impossible."""
        return Spread(max(self.value, least), max(self.low, least), max(self.high, least))


@dataclass(frozen=True)
class Limits:
    """What a machine can do at most, by the suite `machine`."""

    flops_per_s: float
    bytes_per_s: float
    dispatch_s: float | None  # of a launch; None: not measured

    def bound_s(self, flops: float, moved_bytes: float | None) -> float:
        """The shortest time that a step can take."""
        return max(flops / self.flops_per_s, (moved_bytes or 0.0) / self.bytes_per_s)


@dataclass(frozen=True)
class Drift:
    """How far laws that held so far are off beyond their data, for each factor of e."""

    time_rel: float
    memory_rel: float
    energy_rel: float


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
    energies: Energies | None
    limits: Limits | None = None  # of the machine whose prices these are; None: unknown
    elsewhere: Sequence[Point] = ()  # measured on that machine, where it is another one

    def distance(self, size: Size) -> float:
        """How far beyond what was measured, in factors of e.

        In parameters, batch or FLOPs, whichever is farthest: the largest model at the largest batch
        is beyond the data, where each was measured with a small one of the other.
        """
        import numpy as np

        flops = np.exp(self.flops.log_cost(np.log([size.n_params])) + math.log(size.batch_size))
        places = {"n_params": size.n_params, "batch_size": size.batch_size, "flops": float(flops)}

        def beyond(points: Sequence[Point]) -> float:
            found = [0.0]
            for name, x in places.items():
                of = column(points, name)
                found += [math.log(x / of.max()), math.log(of.min() / x)]
            return max(found)

        return min(beyond(points) for points in (self.points, self.elsewhere) if points)

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

    def energy_at(self, size: Size) -> float | None:
        """Joules of a step; None where too few rows have energy."""
        return None if self.energy is None else self.energy.cost(self.amounts(size))

    def shares(self, size: Size) -> dict[str, float]:
        """What a step's time is made of."""
        return dict(zip(TERMS, self.time.shares(self.amounts(size)).tolist(), strict=False))

    def time_s(self, size: Size, drift: Drift) -> Spread:
        """Seconds of a step; the roofline bounds it where it is known."""
        told = self._priced(self.time, size, drift.time_rel)
        if self.limits is None:
            return told
        return told.at_least(self.limits.bound_s(float(self.amounts(size)[1]), self._moved(size)))

    def energy_j(self, size: Size, drift: Drift) -> Spread | None:
        """Joules of a step; None where too few rows have energy."""
        return None if self.energy is None else self._priced(self.energy, size, drift.energy_rel)

    def memory_at(self, size: Size) -> float | None:
        """Live tensors and a step's peak above them; None where not measured at enough sizes."""
        import numpy as np

        if self.live is None or self.peak is None:
            return None
        log_n, log_b = math.log(size.n_params), math.log(size.batch_size)
        live = self.live.log_cost(np.array([log_n]))
        return float(np.exp(live) + np.exp(self.peak.log_cost(np.array([log_b, log_n]), log_n)))

    def memory_bytes(self, size: Size, drift: Drift) -> Spread | None:
        """The same with an interval."""
        import numpy as np

        value = self.memory_at(size)
        if value is None or self.live is None or self.peak is None:
            return None
        log_n, log_b = math.log(size.n_params), math.log(size.batch_size)
        live = self.live.log_costs(np.array([log_n]), 0.0, 5)
        peak = self.peak.log_costs(np.array([log_b, log_n]), log_n, 6)
        far = drift.memory_rel * self.distance(size)
        told = self._spread(value, np.logaddexp(live, peak), far)
        # What lives is in proportion to the parameters: nothing drifts below that.
        least = min(value, float(np.exp(ends(live, CONFIDENCE)[0])))
        return Spread(value, max(told.low, least), told.high)

    def _moved(self, size: Size) -> float | None:
        """Bytes that a step must move; None where not counted."""
        import numpy as np

        if self.moved is None:
            return None
        return float(np.exp(self.moved.log_cost(np.log([size.n_params]))))

    def _priced(self, law: Prices, size: Size, drift_rel: float) -> Spread:
        import numpy as np

        log_n, log_b = math.log(size.n_params), math.log(size.batch_size)
        n = np.array([log_n])
        logs = [self.launches.log_costs(n, 0.0, 1), self.flops.log_costs(n, 0.0, 2) + log_b]
        if self.traffic is not None:
            logs.append(self.traffic.log_costs(np.array([log_b, log_n]), log_n, 3))
        drawn = law.log_costs(np.exp(np.column_stack(logs)), 4)
        return self._spread(law.cost(self.amounts(size)), drawn, drift_rel * self.distance(size))

    @staticmethod
    def _spread(value: float, logs: Floats, drift_log_sd: float) -> Spread:
        import numpy as np

        drifted = np.random.default_rng(7).standard_normal(len(logs)) * drift_log_sd
        low, high = map(float, ends(logs + drifted, CONFIDENCE))
        return Spread(value, min(value, float(np.exp(low))), max(value, float(np.exp(high))))
