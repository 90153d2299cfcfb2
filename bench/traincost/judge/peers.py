"""What other tools' rules would have said: the same noise, judged by their own code.

A run is a process: its effect has the shape and sd that is studied, its rounds AR(1) noise of the
same sd on top, scaled so that a run's mean of 30 rounds still varies by sd. One case at a time;
each tool is given what it asks for by default or by its documentation.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from traincost.judge.bounds import Floats
from traincost.judge.noise import SHAPES, autoregressive, normal
from traincost.judge.study import Share

ROUNDS_PHI = 0.7
ROUNDS = 30

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Peer:
    """A tool's rule on `processes` a side with `rounds` each."""

    name: str
    code: str  # whose code decides
    processes: int
    rounds: int
    slower: Callable[[Floats, Floats], Flags]
    """Times (cases, values) of base and of head -> which are called slower."""


@dataclass(frozen=True)
class PeerOutcome:
    """What a tool says of cases that did not change, and of one that did."""

    peer: Peer
    shape: str
    sd_rel: float
    false_case: Share  # cases of identical code called slower
    false_suite: Share  # suites of 30 such cases with one or more
    called: tuple[tuple[float, Share], ...]  # by how much slower, and how often that was called


def peers() -> tuple[Peer, ...]:
    """The rules that can be tried here; pyperf's only where it is installed."""
    found = (
        Peer(
            "mean:5%, 1 process",
            f"pytest-benchmark {importlib.metadata.version('pytest-benchmark')}",
            1,
            ROUNDS,
            _mean_5_percent,
        ),
        Peer("Mann-Whitney .05, 1 process", "scipy", 1, ROUNDS, _mann_whitney),
        Peer("Mann-Whitney .05, 12 processes", "scipy", 12, ROUNDS, _mann_whitney),
    )
    significant = pyperf_test()
    if significant is None:
        return found

    def slower(base: Floats, head: Floats) -> Flags:
        return np.array(
            [
                h.mean() > b.mean() and significant(b.tolist(), h.tolist())
                for b, h in zip(base, head, strict=True)
            ]
        )

    by = f"pyperf {importlib.metadata.version('pyperf')}"
    return (
        *found,
        Peer("pyperf, 1 process", by, 1, ROUNDS, slower),
        Peer("pyperf, 20 processes", by, 20, 3, slower),
    )


def pyperf_test() -> Callable[[list[float], list[float]], bool] | None:
    """Pyperf's own significance test, where pyperf is installed."""
    try:
        utils = importlib.import_module("pyperf._utils")
    except ImportError:
        return None
    test: Callable[[list[float], list[float]], tuple[bool, float]] = utils.is_significant
    return lambda base, head: test(base, head)[0]


def _mean_5_percent(base: Floats, head: Floats) -> Flags:
    from pytest_benchmark.utils import parse_compare_fail

    check = parse_compare_fail("mean:5%")  # type: ignore[no-untyped-call]
    means = zip(head.mean(-1).tolist(), base.mean(-1).tolist(), strict=True)
    return np.array([bool(check.fails({"mean": h}, {"mean": b})) for h, b in means])


def _mann_whitney(base: Floats, head: Floats) -> Flags:
    from scipy.stats import mannwhitneyu

    found = mannwhitneyu(head, base, axis=-1, method="asymptotic")
    slower = np.median(head, axis=-1) > np.median(base, axis=-1)
    return np.asarray((found.pvalue < 0.05) & slower)


def try_peer(
    peer: Peer,
    shape: str,
    sd_rel: float,
    n_suites: int,
    n_cases: int = 30,
    effects_rel: tuple[float, ...] = (0.03, 0.05),
    seed: int = 0,
) -> PeerOutcome:
    """Judge suites of identical code, then the first case of each made slower."""
    rng = np.random.default_rng([seed, *shape.encode()])
    wrong = np.zeros((n_suites, n_cases), np.bool_)
    hits = dict.fromkeys(effects_rel, 0)
    for suite in range(n_suites):
        base, head = sides(rng, peer, shape, sd_rel, n_cases)
        wrong[suite] = peer.slower(base, head)
        for effect_rel in effects_rel:
            hits[effect_rel] += int(peer.slower(base[-1:], head[-1:] * (1 + effect_rel))[0])
    return PeerOutcome(
        peer,
        shape,
        sd_rel,
        Share(int(wrong.sum()), wrong.size),
        Share(int(wrong.any(1).sum()), n_suites),
        tuple((e, Share(h, n_suites)) for e, h in hits.items()),
    )


def sides(
    rng: Generator, peer: Peer, shape: str, sd_rel: float, n_cases: int
) -> tuple[Floats, Floats]:
    """Times (cases, values) of all of base's processes, then of all of head's."""
    runs = SHAPES[shape].draw(rng, (1, n_cases, 2 * peer.processes), 1.0 * sd_rel)[0]
    rounds = autoregressive(normal(rng, (*runs.shape, peer.rounds)), ROUNDS_PHI)
    inflation = (1 + ROUNDS_PHI) / (1 - ROUNDS_PHI) / ROUNDS  # variance of a mean of 30 rounds
    logs = math.sqrt(1 - inflation) * runs[..., None] + sd_rel * rounds
    times = np.exp(logs.astype(np.float64)).reshape(n_cases, 2, -1)
    return times[:, 0], times[:, 1]
