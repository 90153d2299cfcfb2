"""One run: a pytest process that measures cases and writes one result CSV."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.assemble import Origin
from traincost.data.case import Case
from traincost.data.errors import BadInputError
from traincost.data.record import Record
from traincost.data.results import ResultFile, read_records, result_files
from traincost.instruments.energy import EnergySource
from traincost.instruments.energy_source import open_source
from traincost.machine.device import Device, cuda_count, open_device
from traincost.machine.peaks import Peak, peak_for
from traincost.machine.processor import measuring_cpus

if TYPE_CHECKING:
    from traincost.machine.identity import Machine


class ResultsNotSavedError(BadInputError):
    """A row could not be written; the rows before it are safe in the file."""


DEVICE_CHOICES = "auto, all, cpu, cuda or cuda:N"


@dataclass(frozen=True)
class Devices:
    """Which kinds of device a run measures, and the name that opens each."""

    names: Mapping[str, str]  # kind -> name: {"cuda": "cuda:3"}
    cuda_missing: str | None  # why CUDA cases are unavailable, if they are

    def __contains__(self, kind: str) -> bool:
        return kind in self.names


def choose_devices(request: str) -> Devices:
    """What `--cost-device` asks for. `auto`: CUDA where there is one, else the CPU."""
    if not re.fullmatch(r"auto|all|cpu|cuda(:\d+)?", request):
        raise BadInputError(f"--cost-device {request!r}: expected {DEVICE_CHOICES}")
    if request == "cpu":
        return Devices({"cpu": "cpu"}, None)
    count = cuda_count()
    if request in ("auto", "all"):
        if count == 0:
            return Devices({"cpu": "cpu"}, "no CUDA device that torch can use")
        cpu = {"cpu": "cpu"} if request == "all" else {}
        return Devices(cpu | {"cuda": "cuda:0"}, None)
    if int(request.partition(":")[2] or 0) >= count:
        raise BadInputError(
            f"--cost-device {request!r}: expected one of the {count} CUDA devices torch can use"
        )
    return Devices({"cuda": request}, None)


@dataclass
class Run:
    """The state of a run: its devices, its machine, its file."""

    root: Path
    results_dir: Path
    devices: Devices
    cpus: frozenset[int] = field(default_factory=measuring_cpus)
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    pair: int | None = None  # set by `traincost ab`
    opened: dict[str, Device] = field(default_factory=dict[str, Device])  # by kind
    _energy: dict[str, EnergySource] = field(default_factory=dict[str, EnergySource], init=False)
    _machines: dict[str, Machine] = field(default_factory=dict[str, "Machine"], init=False)

    def device(self, kind: str) -> Device:
        """The device of this kind, opened when first asked for; the thread count is set with it."""
        if kind not in self.opened:
            import torch

            torch.set_num_threads(len(self.cpus))
            self.opened[kind] = open_device(self.devices.names.get(kind, kind))
        return self.opened[kind]

    def energy(self, kind: str) -> EnergySource:
        """The energy source of the device of this kind, the same for every case."""
        if kind not in self._energy:
            self._energy[kind] = open_source(self.device(kind))
        return self._energy[kind]

    def machine(self, kind: str) -> Machine:
        """Who this machine is to a row of this kind of device."""
        if kind not in self._machines:
            from traincost.machine.identity import identify

            self._machines[kind] = identify(
                self.device(kind), threads=len(self.cpus), cpu_set=self.cpus, root=self.root
            )
        return self._machines[kind]

    def origin(self, kind: str) -> Origin:
        """The columns of a row that say where it comes from."""
        known = kind if kind in self.devices else next(iter(self.devices.names))
        machine = self.machine(known)
        return Origin(
            run_id=self.run_id,
            started_at=self.started.isoformat(timespec="seconds"),
            machine=machine.columns(),
        )

    @property
    def _file_begun(self) -> bool:
        return "file" in self.__dict__

    @cached_property
    def file(self) -> ResultFile:
        """The result file, named by host, device and time."""
        kind = "cuda" if "cuda" in self.devices else "cpu"
        machine = self.machine(kind)
        parts = (machine.host, machine.gpu or "cpu", f"{self.started:%Y%m%dT%H%M%SZ}", self.run_id)
        name = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", str(part)) for part in parts)
        file = ResultFile(self.results_dir / f"{name}.csv")
        self.results_dir.mkdir(parents=True, exist_ok=True)
        file.put_machine(machine.to_json())
        return file

    def put(self, record: Record, rounds_s: Sequence[float] = ()) -> None:
        """Save a row and its rounds."""
        record = record if self.pair is None else replace(record, pair=self.pair)
        try:
            self.file.put(record)
            if rounds_s:
                self.file.put_rounds(record.case_id, rounds_s)
        except OSError as e:
            raise ResultsNotSavedError(
                f"{self.file.path}: cannot save the row of {record.case_id}: {e.strerror}; "
                f"the {len(self.file.records)} rows before it are in the file"
            ) from e

    @property
    def records(self) -> Sequence[Record]:
        """The rows of this run so far."""
        return self.file.records if self._file_begun else ()

    def check_writable(self) -> None:
        """Find out before the first case, not after it, that nothing could be saved."""
        probe = self.results_dir / f".{self.run_id}.probe"
        try:
            self.results_dir.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as e:
            raise BadInputError(
                f"--cost-results {self.results_dir}: {e.strerror}; expected a folder to write to"
            ) from e

    @cached_property
    def _earlier_rows(self) -> list[Record]:
        """Rows of the suite `machine` in the results folder; files it cannot read are passed."""
        rows: list[Record] = []
        for path in sorted(self.results_dir.glob("*.csv")):
            try:
                rows += [r for r in read_records(path) if r.suite == "machine"]
            except BadInputError:
                continue  # not ours, or of another schema: `compare` says so, a run goes on
        return rows

    def peak(self, case: Case) -> Peak | None:
        """What the device can do at most: by datasheet, or measured in this or an earlier run.

        The suite `machine` measures the peaks, so it is not divided by measured ones.
        """
        columns = case.columns()
        kind, dtype = str(columns["device"]), str(columns["dtype"])
        machine = self.machine(kind)
        return peak_for(
            machine.gpu if kind == "cuda" else None,
            dtype,
            str(columns["matmul_precision"]),
            rows=() if case.suite == "machine" else [*self._earlier_rows, *self.file.records],
            machine_id=machine.machine_id,
            device=kind,
        )


def finished_cases(paths: Iterable[Path], run: Run) -> dict[str, str]:
    """Status by id of the cases that need not run again; the files must be of this machine."""
    done: dict[str, str] = {}
    for path in result_files(paths):
        for record in read_records(path):
            kind = record.device or "cpu"
            here = run.origin(kind).machine["machine_id"]
            if record.machine_id != here:
                raise BadInputError(
                    f"--cost-resume {path}, case {record.case_id}, column machine_id: "
                    f"{record.machine_id}; expected {here}, this machine"
                )
            done[record.case_id] = record.status
    return done
