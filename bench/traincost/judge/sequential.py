"""Looking more than once: cases that are decided drop out, the others get more pairs.

At look k, with n pairs, the errors spent so far are alpha·(n / n_last)^rho and the same of beta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from traincost.judge.rule import Judged, Rule


@dataclass(frozen=True)
class Looks:
    """After how many pairs one looks, and how the error is shared out among the looks."""

    pairs: tuple[int, ...] = (4, 6, 8, 12, 16, 24)
    rho: float = 1.5

    def spent(self, look: int) -> float:
        """The share of the error that look number `look`, from 0, may use."""
        raise NotImplementedError

    def within(self, n_pairs: int) -> Looks:
        """The looks that fit into a budget of `n_pairs` pairs; the last is at `n_pairs`."""
        raise NotImplementedError


class Sequential:
    """The cases of one A/B, look by look.

    ```
    sequential = Sequential(case_ids, rule, looks)
    while sequential.undecided:
        measure the undecided cases until each has sequential.pairs_needed pairs
        sequential.look(log_ratios_by_case)
    sequential.verdicts
    ```
    """

    def __init__(self, cases: Sequence[str], rule: Rule, looks: Looks | None = None) -> None:
        raise NotImplementedError

    @property
    def undecided(self) -> tuple[str, ...]:
        """Cases that need more pairs, in the order given; none after the last look."""
        raise NotImplementedError

    @property
    def pairs_needed(self) -> int:
        """How many pairs each undecided case must have at the next look."""
        raise NotImplementedError

    @property
    def verdicts(self) -> Mapping[str, Judged]:
        """The verdict of every case as it stands: decided, or INCONCLUSIVE so far."""
        raise NotImplementedError

    def look(self, log_ratios_by_case: Mapping[str, Sequence[float]]) -> Mapping[str, Judged]:
        """Judge the undecided cases on the pairs they have; the verdicts of this look.

        Decided ones drop out. At the last look what is left stays INCONCLUSIVE. A case that is
        missing here (it failed in the meantime) drops out without a verdict.
        """
        raise NotImplementedError


def resolvable_rel(
    rule: Rule, *, n_cases: int, n_pairs: int, spread_rel: float, power: float = 0.9
) -> float:
    """The slow-down that `n_pairs` pairs call with `power`, at a spread between runs."""
    raise NotImplementedError
