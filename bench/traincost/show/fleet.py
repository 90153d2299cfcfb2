"""What a fleet says: a bar on a terminal, a line a case elsewhere, and at the end a line a node."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from traincost.data.record import Record
from traincost.fleet.drive import Drive, Row
from traincost.fleet.results import FAILED, Resumed
from traincost.show.log import for_log, printable
from traincost.show.tables import Cell

COLUMNS = ("node", "machine_id", "slots", "cases", "failed", "lost")


@dataclass
class FleetProgress:
    """Nodes and cases, as they change."""

    file: TextIO = field(default_factory=lambda: sys.stderr)
    _state: tuple[int, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._bar = Progress(
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.description}", markup=False),
            console=Console(file=self.file),
            auto_refresh=False,
            transient=True,
            disable=not self.file.isatty(),
        )
        self._task = self._bar.add_task("waiting for nodes", total=None)

    @contextmanager
    def shown(self) -> Generator[None]:
        """While a fleet runs."""
        with self._bar:
            yield

    def draw(self, drive: Drive) -> None:
        """Where it stands."""
        plan = drive.plan
        nodes, running = len(set(drive.places.values())), len(plan.running)
        done, total = len(plan.finished), len(plan.offers) - plan.taken_over
        state = (done, total, nodes, running, len(drive.lost_nodes))
        if state == self._state:
            return
        self._state = state
        self._bar.update(
            self._task, completed=done, total=total or None, description=nodes_line(drive)
        )
        self._bar.refresh()

    def rows(self, rows: Sequence[Row], drive: Drive) -> None:
        """Cases that have ended: a line each where there is no bar."""
        if not self._bar.disable:
            return
        plan = drive.plan
        for number, row in enumerate(rows, len(plan.finished) - len(rows) + 1):
            node = drive.places.get(row.slot, row.slot)
            count = f"{number}/{len(plan.offers) - plan.taken_over}"
            self.say(f"{count} {row.record.status} {row.record.case_id} on {node}")

    def say(self, line: str) -> None:
        """A line above the bar."""
        if self._bar.disable:
            print(for_log(printable(line)), file=self.file, flush=True)
        else:
            self._bar.console.print(for_log(printable(line)), markup=False, highlight=False)


def nodes_line(drive: Drive) -> str:
    """How many nodes, what they do."""
    nodes, running = len(set(drive.places.values())), len(drive.plan.running)
    lost = f", {len(drive.lost_nodes)} lost" if drive.lost_nodes else ""
    return f"{_count(nodes, 'node')}{lost} · {_count(running, 'case')} running"


def node_rows(drive: Drive, by_slot: Mapping[str, Sequence[Record]]) -> list[Sequence[Cell]]:
    """A row a node."""
    names = drive.names
    rows: list[Sequence[Cell]] = []
    for node in sorted(set(names.values())):
        slots = [s for s, name in names.items() if name == node]
        records = [r for s in slots for r in by_slot.get(s, ())]
        ids = sorted({i for s in slots if s in drive.hellos for i in drive.hellos[s].machine_ids})
        failed = sum(r.status in FAILED for r in records)
        rows.append(
            (node, " ".join(ids), len(slots), len(records), failed, node in drive.lost_nodes)
        )
    return rows


def overhead_line(drive: Drive) -> str | None:
    """What a case costs beside itself."""
    if not drive.overheads_s:
        return None
    median_s = statistics.median(drive.overheads_s)
    return (
        f"overhead of a case: median {median_s * 1e3:.1f} ms, most {max(drive.overheads_s):.2f} s"
    )


def missing_lines(drive: Drive, path: str) -> list[str]:
    """Which cases have no row, and what to do."""
    missing = drive.plan.missing
    if not missing:
        return []
    wanted = "; ".join("+".join(kind) for kind in sorted(drive.plan.wanted_kinds()))
    where = f" of machine id {wanted}" if wanted else ""
    return [
        f"{_count(len(missing), 'case')} without a row, of {len(drive.plan.offers)}: no node"
        f"{where} for {drive.patience_s:g} s; when there is one: traincost fleet --resume {path}",
        *(f"  {case_id}" for case_id in missing[:10]),
    ]


def resumed_line(drive: Drive, resumed: Resumed) -> str | None:
    """What the resumed files had of this run's cases."""
    if not resumed.machine_ids:
        return None
    taken_over = drive.plan.taken_over
    if not taken_over:
        return "no case of this run has its row in the resumed file: is it one of other suites?"
    failed = sum(case_id in resumed.failed for case_id in drive.plan.offers)
    return (
        f"{_count(taken_over, 'case')} had their row in the resumed file"
        + (f", {failed} of them failed there" if failed else "")
    )  # fmt: skip


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")
