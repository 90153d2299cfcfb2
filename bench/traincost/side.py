"""Inside a process of an A/B: which cases run, in which order, and whose code they ran."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from traincost.ab.provenance import provenance
from traincost.collecting import CASE, UNAVAILABLE
from traincost.data.side_plan import SidePlan, SideReport


@dataclass(eq=False)  # a plugin is itself, and hashable
class Side:
    """Registered as a plugin under `--cost-ab`."""

    plan: SidePlan
    _cases: tuple[str, ...] = field(default=(), init=False)

    def choose(self, items: Iterable[pytest.Item]) -> list[pytest.Item]:
        """The plan's cases, shuffled alike on both sides of a pair; others are taken out."""
        wanted = None if self.plan.cases is None else set(self.plan.cases)
        by_id = {i.stash[CASE].case_id: i for i in items if CASE in i.stash}
        ids = sorted(
            case_id
            for case_id, item in by_id.items()
            if UNAVAILABLE not in item.stash and (wanted is None or case_id in wanted)
        )
        self._cases = tuple(ids)
        random.Random(self.plan.seed).shuffle(ids)
        return [by_id[case_id] for case_id in ids]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell what was imported, now that everything was."""
        found = provenance(self.plan)
        report = SideReport(
            self._cases,
            found.inside,
            found.outside,
            found.suspect,
            uncollected=_files_told_of(session.config, "error"),
            skipped=_files_told_of(session.config, "skipped"),
        )
        report.write(Path(self.plan.report))


def _files_told_of(config: pytest.Config, outcome: str) -> tuple[str, ...]:
    """Files and folders whose collection ended so, as seen from where pytest was started."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    stats: dict[str, list[object]] = getattr(terminal, "stats", {})
    reports = (r for r in stats.get(outcome, []) if isinstance(r, pytest.CollectReport))
    return tuple(_from(config.invocation_params.dir, config.rootpath / r.nodeid) for r in reports)


def _from(folder: Path, file: Path) -> str:
    """Relative where it lies inside."""
    return str(file.relative_to(folder) if file.is_relative_to(folder) else file)
