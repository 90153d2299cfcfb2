"""Looking more than once: cases that are decided drop out, the others get more pairs.

At a look at n pairs the errors spent so far are alpha·(n / n_last)^rho, and the same of beta; what
a look may use is what it adds. `alpha` is counted from the first look that may call anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from traincost.judge.bounds import HELD_PAIRS, REGRESSION_PAIRS
from traincost.judge.planning import resolvable_rel
from traincost.judge.rule import Judged, Rule, Verdict, judge_paired, typical_sd

__all__ = ["Looks", "Sequential", "resolvable_rel"]


@dataclass(frozen=True)
class Looks:
    """After how many pairs one looks, and how the error is shared out among the looks."""

    pairs: tuple[int, ...] = (4, 6, 8, 12, 16, 24)
    rho: float = 1.5

    def __post_init__(self) -> None:
        """Refuse looks that do not come one after another."""
        if not self.pairs or self.pairs[0] < 1 or list(self.pairs) != sorted(set(self.pairs)):
            raise ValueError(f"looks {self.pairs}: expected rising numbers of pairs, from 1")

    def spent(self, look: int) -> tuple[float, float]:
        """The shares of alpha and of beta that look number `look`, from 0, may use."""
        return self._share(look, REGRESSION_PAIRS), self._share(look, HELD_PAIRS)

    def _share(self, look: int, first: int) -> float:
        until = [n for n in (0, *self.pairs)[: look + 2] if n == 0 or n >= first]
        if self.pairs[look] < first:  # nothing may be said yet, so nothing is spent
            return 0.0
        now, before = (math.pow(n / self.pairs[-1], self.rho) for n in until[:-3:-1])
        return now - before

    def within(self, n_pairs: int) -> Looks:
        """The looks that fit into a budget of `n_pairs` pairs; the last is at `n_pairs`."""
        if n_pairs >= self.pairs[-1]:
            return self
        return Looks((*(n for n in self.pairs if n < n_pairs), n_pairs), self.rho)


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
        self._rule = rule
        self._looks = looks or Looks()
        self._n_cases = len(cases)
        self._undecided = list(cases)
        self._number = 0
        self._log_ratios: dict[str, list[float]] = {}
        self._verdicts: dict[str, Judged] = {}

    @property
    def undecided(self) -> tuple[str, ...]:
        """Cases that need more pairs, in the order given; none after the last look."""
        return tuple(self._undecided) if self._number < len(self._looks.pairs) else ()

    @property
    def pairs_needed(self) -> int:
        """How many pairs each undecided case must have at the next look."""
        return self._looks.pairs[min(self._number, len(self._looks.pairs) - 1)]

    @property
    def verdicts(self) -> Mapping[str, Judged]:
        """The verdict of every case that was looked at: decided, or INCONCLUSIVE so far."""
        return dict(self._verdicts)

    def look(self, log_ratios_by_case: Mapping[str, Sequence[float]]) -> Mapping[str, Judged]:
        """Judge the undecided cases on the pairs they have; the verdicts of this look.

        Decided ones drop out. At the last look what is left stays INCONCLUSIVE. A case that is
        missing here (it failed in the meantime) drops out with the verdict it had, if any; pairs
        beyond those needed are not looked at. One that has fewer, since some were left out, is
        judged on what it has; one that has none stays as it is.
        """
        needed = self.pairs_needed
        undecided = [case for case in self.undecided if case in log_ratios_by_case]
        cases = [case for case in undecided if log_ratios_by_case[case]]
        for case in cases:
            self._log_ratios[case] = list(log_ratios_by_case[case][:needed])
        typical = typical_sd(list(self._log_ratios.values()))
        spent = self._looks.spent(self._number) if cases else (0.0, 0.0)
        seen = {
            case: judge_paired(
                self._log_ratios[case],
                self._rule,
                n_cases=self._n_cases,
                typical_sd=typical,
                spent=spent,
            )
            for case in cases
        }
        self._verdicts |= seen
        decided = {c for c in cases if seen[c].verdict is not Verdict.INCONCLUSIVE}
        self._undecided = [c for c in undecided if c not in decided]
        self._number += 1
        return seen
