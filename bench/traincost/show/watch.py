"""What `traincost watch` shows: the summary, and the trace as it grows.

Names and units are those of the result CSV. The summary is for people or for programs: the same
lines, with amounts in words or as plain numbers.
"""

from __future__ import annotations

import os
from dataclasses import astuple, fields
from pathlib import Path

from traincost.data.cells import csv_line, write_cell
from traincost.data.errors import BadInputError
from traincost.show.log import printable
from traincost.show.tables import Cell, Format, Row, render
from traincost.show.units import amount
from traincost.watch import Watched
from traincost.watch_gpu import GpuUse
from traincost.watch_host import HostUse
from traincost.watch_sample import Sample

COLUMNS = ("section", "what", "value", "note")
TRACE_COLUMNS = tuple(f.name for f in fields(Sample))
TRACE_HEADER = csv_line(TRACE_COLUMNS)
_UNITS = {"s": "s", "bytes": "B", "j": "J", "w": "W", "hz": "Hz", "c": "°C"}
_SHORTEST_S, _LONGEST_S = 0.05, 60.0
LONGEST_COMMAND = 1000
"""Characters of a command that are shown; a list of files can be megabytes."""


def summary(watched: Watched, fmt: Format) -> str:
    """The text that tells it; where that fails, why: the command's exit code is not lost by it."""
    try:
        return render("watch", COLUMNS, summary_rows(watched, fmt), fmt)
    except Exception as e:
        code = watched.host.exit_code
        return f"traincost watch: exit_code {code}; {type(e).__name__}: {e}\n"


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
        if f.name == "command" and isinstance(value, str):
            value = _shown_command(value)
        note = use.notes.get(f.name)
        if not for_people:
            rows.append((name, f.name, value, note))
        elif value is not None or note is not None:
            rows.append((name, f.name, _amount(f.name, value), note))
    named = {f.name for f in fields(use)}
    rows += [(name, what, None, note) for what, note in use.notes.items() if what not in named]
    return rows


def _shown_command(text: str) -> str:
    """Its beginning, and escaped what would steer a terminal or is no text."""
    shown = printable(text[:LONGEST_COMMAND])
    return shown if len(text) <= LONGEST_COMMAND else f"{shown} ... ({len(text)} characters)"


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
    """A file opened before the command starts, if one was asked for; a full disk ends only it.

    What was in it stays there until there is something to write instead.
    """

    def __init__(self, option: str, path: Path | None, header: str = "") -> None:
        self.fault: str | None = None
        self._path, self._file, self._header = path, None, header
        self._empty = False
        if path is None:
            return
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
            # Unbuffered: what failed once would fail again at the end.
            self._file = os.fdopen(file, "wb", buffering=0)
        except OSError as e:
            expected = "expected a file that can be written"
            raise BadInputError(f"{option} {str(path)!r}: {e.strerror}; {expected}") from e

    def write(self, text: str) -> bool:
        """Add this, the first time below the header; whether it is there now."""
        if self._file is None:
            return False
        try:
            if not self._empty and self._path is not None and self._path.is_file():
                self._file.truncate(0)
            self._empty = True
            self._file.write((self._header + text).encode(errors="backslashreplace"))
        except OSError as e:
            self.fault, self._file = f"{self._path}: {e.strerror}; it ends there", None
            return False
        self._header = ""
        return True


def refuse_one_file_twice(output: Path | None, trace: Path | None) -> None:
    """BadInputError where both options name one file: each would overwrite the other."""
    if output is None or trace is None:
        return
    try:
        both = output.exists() and trace.exists()
        same = output.samefile(trace) if both else output.resolve() == trace.resolve()
    except (OSError, RuntimeError):
        return  # opening them says what is wrong
    if same and (output.is_file() or not output.exists()):
        raise BadInputError(f"--output and --trace {str(trace)!r}: expected two files")


def trace_line(sample: Sample) -> str:
    """One line of the CSV under `TRACE_COLUMNS`."""
    return csv_line(map(write_cell, astuple(sample)))
