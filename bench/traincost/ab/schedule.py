"""Who runs when, on which CPUs, and how many pairs a budget has room for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from traincost.ab.trees import BASE, HEAD

CASE_S = 0.45
"""A case in one process, before any was timed: building, first step, warm-up, rounds."""


@dataclass(frozen=True)
class Turn:
    """One pair: both sides, one after the other, on the same CPUs, with one order of cases."""

    pair: int  # from 1
    order: tuple[str, str]  # of the sides
    seed: int  # of the order of the cases
    cpus: frozenset[int]


def turns(cpus: Sequence[int], threads: int, rng: random.Random) -> Iterator[Turn]:
    """ABBA or BAAB, drawn anew every two pairs, on each CPU in turn.

    Drift is then the same for both sides; a CPU that is slower than another is so for both.
    """
    pair, sets = 0, list(_cpu_sets(cpus, threads))
    while True:
        first = rng.choice(((BASE, HEAD), (HEAD, BASE)))
        for order in (first, (first[1], first[0])):
            pair += 1
            yield Turn(pair, order, rng.randrange(2**32), sets[(pair - 1) % len(sets)])


def _cpu_sets(cpus: Sequence[int], threads: int) -> Iterator[frozenset[int]]:
    ordered = sorted(cpus)
    for start in range(0, len(ordered) - threads + 1, threads):
        yield frozenset(ordered[start : start + threads])


@dataclass(frozen=True)
class Estimate:
    """What a budget has room for."""

    n_cases: int
    pair_s: float
    pairs: int  # that end within the budget
    spent_s: float = 0.0  # of the budget, before the first of them


def estimate(n_cases: int, pair_s: float, left_s: float, spent_s: float = 0.0) -> Estimate:
    """Pairs that end within what is left of the budget, all cases in each."""
    return Estimate(n_cases, pair_s, max(int(left_s / pair_s), 0), spent_s)
