"""Reasons that differ in their numbers only, as one: `waited for a CPU 41% to 76% of the time`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"(?<![\w.])([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?%?)")


@dataclass(frozen=True)
class Reason:
    """What several rows say."""

    text: str
    n_rows: int
    first: int  # what finds the row that says it, of the wording that most rows have


def alike(reasons: Iterable[tuple[str, int, int]]) -> list[Reason]:
    """(text, rows, first) of every wording, those of most rows first; each kind once."""
    kinds: dict[str, list[tuple[str, int, int]]] = {}
    for reason in reasons:
        kinds.setdefault(_NUMBER.sub("#", reason[0]), []).append(reason)
    found = [
        Reason(_spanned([text for text, _, _ in same]), sum(n for _, n, _ in same), same[0][2])
        for same in kinds.values()
    ]
    return sorted(found, key=lambda r: -r.n_rows)


def _spanned(texts: Sequence[str]) -> str:
    """One text, with the ends of each number that is not the same in all."""
    parts = [_NUMBER.split(text) for text in texts]
    return "".join(
        _ends({part[i] for part in parts}) if i % 2 else parts[0][i] for i in range(len(parts[0]))
    )


def _ends(numbers: set[str]) -> str:
    ordered = sorted(numbers, key=lambda n: float(n.rstrip("%")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
