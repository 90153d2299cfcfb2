"""The cases of an A/B whose margins differ: those of one margin are looked at together.

Each group has the share of alpha that its cases have among all; all take the same looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from traincost.judge.sequential import Looks, Sequential
from traincost.judge.verdict import Judged, Rule


class Family:
    """`Sequential` over several rules."""

    def __init__(self, rules: Mapping[str, Rule], looks: Looks) -> None:
        groups = {rule: [c for c in rules if rules[c] == rule] for rule in rules.values()}
        self._groups = [
            Sequential(cases, replace(rule, alpha=rule.alpha * len(cases) / len(rules)), looks)
            for rule, cases in groups.items()
        ]

    @property
    def undecided(self) -> tuple[str, ...]:
        """Cases that need more pairs; none after the last look."""
        return tuple(case for group in self._groups for case in group.undecided)

    @property
    def pairs_needed(self) -> int:
        """How many pairs each undecided case should have at the next look."""
        return max((group.pairs_needed for group in self._groups), default=0)

    @property
    def verdicts(self) -> Mapping[str, Judged]:
        """The verdict of every case that was looked at: decided, or INCONCLUSIVE so far."""
        return {case: judged for group in self._groups for case, judged in group.verdicts.items()}

    def look(self, log_ratios_by_case: Mapping[str, Sequence[float]]) -> None:
        """Judge the undecided cases on the pairs they have."""
        for group in self._groups:
            group.look(
                {c: log_ratios_by_case[c] for c in group.undecided if c in log_ratios_by_case}
            )
