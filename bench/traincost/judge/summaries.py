"""Which number should stand for the rounds of a run: median, mean, a low quantile, the minimum?

The one that varies least from run to run, where the runs are of identical code. What disturbs a
round here makes it slower, never faster; every run has its own effect of 1% on top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from traincost.judge.bounds import Floats
from traincost.judge.noise import autoregressive, normal

RUN_SD = 0.01
ROUND_SD = 0.02
ROUNDS_PHI = 0.7

SUMMARIES: dict[str, Callable[[Floats], Floats]] = {
    "median": lambda x: np.median(x, axis=-1),
    "mean": lambda x: np.log(np.exp(x).mean(-1)),
    "p20": lambda x: np.quantile(x, 0.2, axis=-1),
    "min": lambda x: x.min(-1),
}


def _quiet(rng: Generator, size: tuple[int, int]) -> Floats:
    noise = autoregressive(normal(rng, size), ROUNDS_PHI)
    return (ROUND_SD * noise).astype(np.float64)


def _disturbed(rng: Generator, size: tuple[int, int], share: Floats | float) -> Floats:
    slower = rng.exponential(0.1, size)
    return _quiet(rng, size) + np.where(rng.random(size) < share, slower, 0.0)


def _lucky(rng: Generator, size: tuple[int, int]) -> Floats:
    """One round in fifty is 5% too fast: a clock that boosts for a moment."""
    return _quiet(rng, size) - np.where(rng.random(size) < 0.02, 0.05, 0.0)


ROUND_NOISE: dict[str, Callable[[Generator, tuple[int, int]], Floats]] = {
    "AR(1), sd 2%": _quiet,
    "and a tenth of rounds disturbed": lambda rng, size: _disturbed(rng, size, 0.1),
    "and 0 to 60% of a run's rounds disturbed": lambda rng, size: _disturbed(
        rng, size, rng.uniform(0, 0.6, (size[0], 1))
    ),
    "and 0 to 100% of a run's rounds disturbed": lambda rng, size: _disturbed(
        rng, size, rng.uniform(0, 1.0, (size[0], 1))
    ),
    "and 2% of rounds too fast": _lucky,
}


@dataclass(frozen=True)
class SummarySpread:
    """Standard deviation from run to run of the log of each summary."""

    noise: str
    rounds: int
    sd_rel: dict[str, float]  # by summary


def summary_spreads(n_runs: int, rounds: int = 30, seed: int = 0) -> list[SummarySpread]:
    """Every summary under every kind of noise between rounds."""
    found: list[SummarySpread] = []
    for name, draw in ROUND_NOISE.items():
        rng = np.random.default_rng([seed, *name.encode()])
        x = RUN_SD * rng.standard_normal((n_runs, 1)) + draw(rng, (n_runs, rounds))
        spreads = {summary: float(of(x).std(ddof=1)) for summary, of in SUMMARIES.items()}
        found.append(SummarySpread(name, rounds, spreads))
    return found
