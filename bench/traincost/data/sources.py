"""The files that a command line names, and their rows as frames, one after the other."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from traincost.data.errors import BadInputError
from traincost.data.foreign import is_pytest_benchmark, read_foreign, tool_of
from traincost.data.foreign_cells import Tool
from traincost.data.frames import frame_of_rows, read_columns
from traincost.data.parquet import columns_in, is_parquet, read_parquet, rows_in
from traincost.data.record import AXIS_PREFIX, METRIC_PREFIX
from traincost.data.results import result_files, to_row
from traincost.data.text import LONGEST_LINE

if TYPE_CHECKING:
    import pandas as pd

_BYTES_PER_ROW = 500
"""Of a result CSV, about; a measured row has 600 to 900."""


@dataclass(frozen=True)
class Source:
    """A file, and the argument of the command line that named it first."""

    path: Path
    argument: str
    kind: Tool | Literal["csv", "parquet"]


def sources(arguments: Sequence[str]) -> list[Source]:
    """Each file once; BadInputError where an argument names none."""
    seen: set[Path] = set()
    found: list[Source] = []
    for argument in arguments:
        for file in (f for path in _named(argument) for f in _inside(path)):
            if file.resolve() not in seen:
                seen.add(file.resolve())
                kind = "parquet" if is_parquet(file) else tool_of(file) or "csv"
                found.append(Source(file, argument, kind))
    return found


def _named(argument: str) -> list[Path]:
    """What an argument names: itself, or what it matches."""
    path = Path(argument)
    if path.exists() or not any(c in argument for c in "*?["):
        return [path]
    matching = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    found = [
        p
        for p in matching
        if p.is_dir() or p.suffix in (".csv", ".parquet") or is_pytest_benchmark(p)
    ]
    if not found:
        raise BadInputError(f"{argument}: matches no file; expected result CSVs")
    return found


def _inside(path: Path) -> list[Path]:
    """A file, or what a folder holds."""
    if not path.is_dir():
        return result_files([path])
    others = sorted(path.rglob("*.parquet"))
    others += [p for p in sorted(path.rglob("*.json")) if is_pytest_benchmark(p)]
    return others if others and not any(path.rglob("*.csv")) else [*result_files([path]), *others]


def rows_about(files: Sequence[Source]) -> int:
    """How many rows there are: counted in Parquet, by the size of others."""
    return sum(
        rows_in(f.path) if f.kind == "parquet" else f.path.stat().st_size // _BYTES_PER_ROW
        for f in files
    )


def own_columns(files: Sequence[Source]) -> list[str]:
    """The suites' own axes and metrics that files have, in order of appearance.

    Nothing is judged here, and a pipe, which could be read once only, is not looked into.
    """
    found: dict[str, None] = {}
    for file in files:
        if file.kind == "parquet":
            found |= dict.fromkeys(columns_in(file.path))
        elif file.kind == "csv" and file.path.is_file():
            with file.path.open("rb") as lines:
                header = lines.readline(LONGEST_LINE).decode("utf-8-sig", "replace")
            for cells in csv.reader([header.rstrip("\r\n")]):
                found |= dict.fromkeys(cells)
    return [name for name in found if name.startswith((AXIS_PREFIX, METRIC_PREFIX))]


def read_blocks(
    files: Sequence[Source], wanted: Sequence[str], notes: list[str]
) -> Iterator[tuple[Source, pd.DataFrame]]:
    """The `wanted` columns and `line`, in the order of `files`; what a file lacks goes to `notes`.

    A CSV is one frame, a Parquet file one or several, a file without rows none.

    Raises:
        BadInputError: the files of one argument have no row, those of another have.
    """
    told: set[Path] = set()
    for file, frame in _blocks(files, wanted, notes):
        if len(frame):
            told.add(file.path)
            yield file, frame
    silent = [file for file in files if file.path not in told]
    spoken = {file.argument for file in files if file.path in told}
    for file in silent if spoken else ():
        if file.argument not in spoken:
            raise BadInputError(f"{file.argument}: no row; expected results of one case at least")
    notes += [f"{file.path}: no row" for file in silent]


def _blocks(
    files: Sequence[Source], wanted: Sequence[str], notes: list[str]
) -> Iterator[tuple[Source, pd.DataFrame]]:
    for kind, group in groupby(files, lambda file: file.kind):
        together = list(group)
        if kind == "csv":
            yield from zip(together, read_columns([f.path for f in together], wanted), strict=True)
        elif kind == "parquet":
            for file in together:
                yield from ((file, frame) for frame in read_parquet(file.path, wanted))
        else:
            for file in together:
                yield file, _foreign(file, wanted, notes)


def _foreign(source: Source, wanted: Sequence[str], notes: list[str]) -> pd.DataFrame:
    tool = tool_of(source.path)
    assert tool is not None  # `sources` has asked
    file = read_foreign(source.path, tool)
    if file.missing:
        notes.append(f"{source.path} ({tool}) does not tell: {', '.join(file.missing)}")
    notes += [f"{source.path} ({tool}): not read: {kind}" for kind in file.skipped]
    rows = [(i + 1, to_row(record)) for i, record in enumerate(file.records)]
    return frame_of_rows(rows, wanted)
