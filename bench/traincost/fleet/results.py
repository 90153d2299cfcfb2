"""Rows of a fleet in one file: one run id for all, the file of a run that a driver writes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from traincost.assemble import Origin, bare_record
from traincost.data.errors import BadInputError
from traincost.data.fleet_messages import Hello
from traincost.data.record import Record, Status
from traincost.data.results import ResultFile, read_records, result_files
from traincost.fleet.drive import PEAKS, Row
from traincost.fleet.plan import GivenUp

FAILED = (Status.ERROR, Status.INVALID)


@dataclass(frozen=True)
class Resumed:
    """What earlier runs of a fleet have left."""

    machine_ids: dict[str, str | None]  # by case
    peaks: list[Record]
    failed: frozenset[str] = frozenset()  # cases


def resumed_from(paths: Iterable[Path]) -> Resumed:
    """The rows of files and folders; BadInputError for what is none.

    A folder without a CSV is a driver that was restarted before its first row.
    """
    kept = [p for p in paths if not p.is_dir() or any(p.rglob("*.csv"))]
    records = [r for path in result_files(kept) for r in read_records(path)]
    return Resumed(
        {r.case_id: r.machine_id for r in records},
        [r for r in records if r.suite == PEAKS],
        frozenset(r.case_id for r in records if r.status in FAILED),
    )


@dataclass
class FleetFile:
    """The result file of a fleet's run."""

    folder: Path
    commit: str | None  # of the folder that was carried to the nodes without its repository
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    by_slot: dict[str, list[Record]] = field(default_factory=dict[str, list[Record]], init=False)
    _machines: dict[str, str] = field(default_factory=dict[str, str], init=False)  # JSON
    _machines_written: bool = field(default=True, init=False)
    _file: ResultFile | None = field(default=None, init=False)

    @property
    def path(self) -> Path:
        """Named by time and run."""
        return self.folder / f"fleet-{self.started:%Y%m%dT%H%M%SZ}-{self.run_id}.csv"

    @property
    def records(self) -> Sequence[Record]:
        """The rows so far."""
        return () if self._file is None else self._file.records

    def check_writable(self) -> None:
        """Find out before the first case that nothing could be saved."""
        made = [p for p in (self.folder, *self.folder.parents) if not p.exists()]
        probe = self.folder / f".{self.run_id}.probe"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
            for folder in made:
                folder.rmdir()  # the first row makes it again
        except OSError as e:
            raise BadInputError(
                f"--cost-results {self.folder}: {e.strerror}; expected a folder to write to"
            ) from e

    def save(self, rows: Sequence[Row]) -> None:
        """Save rows that came together, their rounds, and machines that are new."""
        file = self._file = self._file or ResultFile(self.path)
        ours = [(row, self._ours(row.record)) for row in rows]
        try:
            file.put_all(record for _, record in ours)
            rounds_s = {r.case_id: row.rounds_s for row, r in ours if row.rounds_s}
            if rounds_s:
                file.put_all_rounds(rounds_s)
            self._write_machines(file)
        except OSError as e:
            raise BadInputError(
                f"{self.path}: cannot save the row of {rows[0].record.case_id}: {e.strerror}; "
                f"the {len(file.records)} rows before it are in the file"
            ) from e
        for row, record in ours:
            self.by_slot.setdefault(row.slot, []).append(record)

    def keep_machine(self, hello: Hello) -> None:
        """All facts of a machine, once for each host and id; written with the next rows."""
        for text in hello.facts.values():
            machine = json.loads(text)
            name = f"{machine['host']}/{machine['machine_id']}"
            if name not in self._machines:
                self._machines[name] = json.dumps(machine, indent=2, ensure_ascii=False)
                self._machines_written = False

    def _write_machines(self, file: ResultFile) -> None:
        if self._machines_written:
            return
        machines = (f"{json.dumps(name)}: {text}" for name, text in self._machines.items())
        file.put_machine('{"machines": {\n' + ",\n".join(machines) + "\n}}\n")
        self._machines_written = True

    def give_up(self, given_up: GivenUp, hello: Hello) -> Record:
        """The row of a case that has none of its own."""
        case = given_up.offer.case
        kind = str(case.columns().get("device", "cpu"))
        machine = hello.machines.get(kind) or next(iter(hello.machines.values()))
        origin = Origin(self.run_id, self.started.isoformat(timespec="seconds"), machine)
        return bare_record(case, origin, Status.ERROR, given_up.reason)

    def _ours(self, record: Record) -> Record:
        return replace(
            record,
            run_id=self.run_id,
            started_at=self.started.isoformat(timespec="seconds"),
            commit=record.commit or self.commit,
        )
