"""Problems by name: what is hard about each is on top of its file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from traincost_suites.problems.learned import DIGITS, TEXT
from traincost_suites.problems.problem import Objective, Problem
from traincost_suites.problems.quadratic import QUADRATIC
from traincost_suites.problems.saddle import SADDLE

__all__ = ["PROBLEMS", "Objective", "Problem", "problem_of"]

PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {"quadratic": QUADRATIC, "saddle": SADDLE, "digits": DIGITS, "text": TEXT}
)


def problem_of(name: str) -> Problem:
    """The problem of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in PROBLEMS:
        raise ValueError(f"problem {name!r}: expected one of {', '.join(PROBLEMS)}")
    return PROBLEMS[name]
