"""How long a trial is, and what a whole search may take."""

from __future__ import annotations

from dataclasses import dataclass, fields

from traincost.training import Budget

CHUNK = 30
"""Steps between two evaluations, after each of which a trial may be ended."""
N_CHUNKS = 9
TRIAL = Budget(steps=CHUNK * N_CHUNKS, evaluate_every=CHUNK)
"""The longest trial: three rungs of Hyperband, of 1, 3 and 9 chunks."""


@dataclass(frozen=True)
class Limits:
    """What all trials together may take: whichever is spent first ends the search."""

    flops: int
    steps: int
    """Small models spend next to no FLOPs, and time all the same."""
    seconds: float
    """Of training, evaluation apart. Where it ends a search, the trials depend on the machine."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"limits {field.name}={value}: expected more than 0")


SEARCH = Limits(flops=200_000_000_000, steps=15_000, seconds=30.0)
"""Some fifty trials; on a core of its own they take ten seconds."""
