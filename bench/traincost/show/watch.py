"""What `traincost watch` shows: the summary, and the trace as it grows.

Names and units are those of the result CSV. The summary is for people or for programs: the same
lines, with amounts in words or as plain numbers.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from pathlib import Path

from traincost.data.cells import csv_line, write_cell
from traincost.data.errors import BadInputError
from traincost.show.tables import Cell, Format, Row
from traincost.show.units import amount
from traincost.watch import HostUse, Watched
from traincost.watch_gpu import GpuUse, Sample

COLUMNS = ("section", "what", "value", "note")
TRACE_COLUMNS = tuple(f.name for f in fields(Sample))
TRACE_HEADER = csv_line(TRACE_COLUMNS)
_UNITS = {"s": "s", "bytes": "B", "j": "J", "w": "W", "hz": "Hz", "c": "°C"}
_SHORTEST_S, _LONGEST_S = 0.05, 60.0


def summary_rows(watched: Watched, fmt: Format) -> list[Row]:
    """Rows under `COLUMNS`."""
    for_people = fmt in ("table", "markdown")
    rows = _section("host", watched.host, for_people)
    for gpu in watched.gpus:
        rows += _section(f"GPU {gpu.uuid}", gpu, for_people)
    if watched.gpu_note is not None:
        rows.append(("GPU", "which", None, watched.gpu_note))
    return rows


def _section(name: str, use: HostUse | GpuUse, for_people: bool) -> list[Row]:
    rows: list[Row] = []
    for f in fields(use):
        if f.name in ("notes", "uuid"):
            continue
        value: Cell = getattr(use, f.name)
        note = use.notes.get(f.name)
        if not for_people:
            rows.append((name, f.name, value, note))
        elif value is not None or note is not None:
            rows.append((name, f.name, _amount(f.name, value), note))
    named = {f.name for f in fields(use)}
    rows += [(name, what, None, note) for what, note in use.notes.items() if what not in named]
    return rows


def _amount(name: str, value: Cell) -> Cell:
    unit = _UNITS.get(name.rpartition("_")[2])
    if unit is None or not isinstance(value, int | float):
        return value
    return f"{value:.3g} {unit}" if unit == "°C" else amount(value, unit)


def interval_s(text: str) -> float:
    """The value of `--interval`."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        expected = f"seconds from {_SHORTEST_S:g} to {_LONGEST_S:g}"
        raise BadInputError(f"--interval {text!r}: expected {expected}")
    return seconds


class Written:
    """A file opened before the command starts, if one was asked for; a full disk ends only it."""

    def __init__(self, option: str, path: Path | None) -> None:
        self.fault: str | None = None
        self._path, self._file = path, None
        if path is None:
            return
        try:
            # Unbuffered: what failed once would fail again at the end.
            self._file = path.open("wb", buffering=0)
        except OSError as e:
            expected = "expected a file that can be written"
            raise BadInputError(f"{option} {str(path)!r}: {e.strerror}; {expected}") from e

    def write(self, text: str) -> bool:
        """Add this; whether it is there now."""
        if self._file is None:
            return False
        try:
            self._file.write(text.encode())
        except OSError as e:
            self.fault, self._file = f"{self._path}: {e.strerror}; it ends there", None
            return False
        return True


def trace_line(sample: Sample) -> str:
    """One line of the CSV under `TRACE_COLUMNS`."""
    return csv_line(map(write_cell, astuple(sample)))
