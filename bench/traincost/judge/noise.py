"""Kinds of noise between runs of identical code, to try a rule on.

A shape draws the logs of what the runs of a suite took, in the order they were run. `sd` is the
standard deviation of a run in the typical case; a rare event comes on top of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Draws = NDArray[np.float32]
Size = tuple[int, int, int]
"""Suites, cases, runs."""

AR_PHI = 0.5
BETWEEN_CASES = 0.4
GAP = 0.95  # of two states, in sd to either side; what is left of the variance lies within them
OUTLIERS = 0.03
STALLS = 0.01
DRIFT_PER_RUN = 0.04 / 48  # 2% over 12 pairs


@dataclass(frozen=True)
class Shape:
    """One kind of noise."""

    name: str
    words: str
    draw: Callable[[Generator, Size, float], Draws]


def normal(rng: Generator, size: tuple[int, ...]) -> Draws:
    """Standard normal."""
    return rng.standard_normal(size, dtype=np.float32)


def _gaussian(rng: Generator, size: Size, sd: float) -> Draws:
    return sd * normal(rng, size)


def _unequal(rng: Generator, size: Size, sd: float) -> Draws:
    suites, cases, _ = size
    spread: Draws = np.exp(np.float32(BETWEEN_CASES) * normal(rng, (suites, cases, 1)))
    return np.float32(sd) * spread * normal(rng, size)


def _ar1(rng: Generator, size: Size, sd: float) -> Draws:
    return sd * autoregressive(normal(rng, size), AR_PHI)


def autoregressive(x: Draws, phi: float) -> Draws:
    """Innovations (…, n) made into AR(1) noise of unit variance, in place."""
    fresh = math.sqrt(1 - phi**2)
    for i in range(1, x.shape[-1]):
        x[..., i] = phi * x[..., i - 1] + fresh * x[..., i]
    return x


def _two_states(rng: Generator, size: Size, chosen: Size, sd: float) -> Draws:
    within = math.sqrt(1 - GAP**2) * normal(rng, size)
    return sd * (within + np.where(_rarely(rng, chosen, 0.5), GAP, -GAP).astype(np.float32))


def _rarely(rng: Generator, size: Size, share: float) -> NDArray[np.bool_]:
    return rng.random(size, dtype=np.float32) < share


def _bimodal(rng: Generator, size: Size, sd: float) -> Draws:
    return _two_states(rng, size, size, sd)


def _shared(rng: Generator, size: Size, sd: float) -> Draws:
    suites, _, runs = size
    return _two_states(rng, size, (suites, 1, runs), sd)


def _few_bimodal(rng: Generator, size: Size, sd: float) -> Draws:
    x = 0.5 * _gaussian(rng, size, sd)
    few = max(1, size[1] // 10)
    x[:, -few:] = 2 * _bimodal(rng, (size[0], few, size[2]), sd)
    return x


def _one_noisy(rng: Generator, size: Size, sd: float) -> Draws:
    x = _gaussian(rng, size, sd)
    x[:, -1] *= 3
    return x


def _outliers(rng: Generator, size: Size, sd: float) -> Draws:
    return _gaussian(rng, size, sd) * np.where(_rarely(rng, size, OUTLIERS), 5, 1).astype(
        np.float32
    )


def _stalls(rng: Generator, size: Size, sd: float) -> Draws:
    stalled = np.where(_rarely(rng, size, STALLS), math.log(5), 0).astype(np.float32)
    return _gaussian(rng, size, sd) + stalled


def _drift(rng: Generator, size: Size, sd: float) -> Draws:
    slower: Draws = np.arange(size[2], dtype=np.float32) * np.float32(DRIFT_PER_RUN)
    return _gaussian(rng, size, sd) + slower


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("gaussian", "normal, alike in all cases", _gaussian),
        Shape("unequal", "sd differs between cases, lognormal 0.4", _unequal),
        Shape("ar1", "each run takes after the one before, φ = 0.5", _ar1),
        Shape("bimodal", "two states 1.9 sd apart, drawn for each case and run", _bimodal),
        Shape("outliers", "3% of runs have 5 times the sd", _outliers),
        Shape("stalls", "1% of runs take 5 times as long", _stalls),
        Shape("drift", "the machine slows down by 2% over 12 pairs", _drift),
        Shape("shared", "two states, of all cases of a process at once", _shared),
        Shape(
            "few-bimodal",
            "two states 3.8 sd apart in a tenth of the cases, rest half sd",
            _few_bimodal,
        ),
        Shape("one-noisy", "one case has 3 times the sd of the others", _one_noisy),
    )
}
"""By name."""


def pairs_of(rng: Generator, shape: Shape, size: Size, sd: float) -> NDArray[np.float64]:
    """Log ratios (suites, cases, pairs) of identical code, in randomised ABBA order.

    `size` counts pairs. One process of a pair runs every case, so its order is that of all.
    """
    suites, cases, pairs = size
    runs = shape.draw(rng, (suites, cases, 2 * pairs), sd).reshape(suites, cases, pairs, 2)
    first = rng.random((suites, 1, (pairs + 1) // 2)) < 0.5
    head_first = np.stack([first, ~first], -1).reshape(suites, 1, -1)[..., :pairs]
    d = (runs[..., 1] - runs[..., 0]).astype(np.float64)
    return np.where(head_first, -d, d)
