"""What one process of an A/B is told, and what it tells of the code that it ran.

traincost ab  --plan.json-->  pytest --cost-ab plan.json  --report.json-->  traincost ab
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from traincost.data.errors import BadInputError


@dataclass(frozen=True)
class SidePlan:
    """One process of one side."""

    report: str  # the file that it writes
    tree: str  # the side's own code
    roots: tuple[str, ...]  # folders in it that modules are imported from
    foreign: tuple[str, ...]  # folders whose code must not run: the original, the other side
    pair: int | None = None
    cases: tuple[str, ...] | None = None  # by id; None for all
    seed: int = 0  # of the order of the cases
    untimed: bool = False  # whether FLOPs, bytes and memory are counted, too

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> SidePlan:
        """BadInputError if it is no plan."""
        try:
            told: dict[str, Any] = json.loads(path.read_text())
            for name in ("roots", "foreign", "cases"):
                told[name] = None if told[name] is None else tuple(told[name])
            return cls(**told)
        except (OSError, ValueError, TypeError, KeyError) as e:
            expected = "expected a plan that `traincost ab` wrote"
            raise BadInputError(f"--cost-ab {path}: {e}; {expected}") from e


@dataclass(frozen=True)
class SideReport:
    """What ran in the process."""

    cases: tuple[str, ...]  # ids, collected and not unavailable
    modules: Mapping[str, str] = field(default_factory=dict[str, str])  # path in the tree: hash
    outside: Mapping[str, str] = field(default_factory=dict[str, str])  # module: its file
    suspect: Mapping[str, str] = field(default_factory=dict[str, str])  # the same, perhaps outside
    uncollected: tuple[str, ...] = ()  # files that pytest could not import, as `ab` names suites
    skipped: tuple[str, ...] = ()  # files that said that they should be skipped as a whole

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> SideReport | None:
        """None if the process did not come to write it."""
        try:
            told: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return cls(
            tuple(told["cases"]),
            told["modules"],
            told["outside"],
            told["suspect"],
            tuple(told["uncollected"]),
            tuple(told["skipped"]),
        )
