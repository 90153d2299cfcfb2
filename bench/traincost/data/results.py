"""Writing and reading result CSVs (schema 1).

A run is one file. It is rewritten to a temporary file and renamed each time a case ends: a run that
is killed keeps every finished row and never shows half of one. Beside `<run>.csv` lie
`<run>.machine.json` and `<run>.rounds.csv.gz`; losing them loses detail, never a comparison.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traincost.data.cells import csv_line, read_cell, write_cell
from traincost.data.errors import BadInputError
from traincost.data.outputs import replace_file
from traincost.data.ranges import range_fault, unit_faults
from traincost.data.record import (
    AXIS_PREFIX,
    COLUMNS,
    METRIC_PREFIX,
    REQUIRED,
    SCHEMA,
    Record,
    Status,
    column_type,
)
from traincost.data.text import LONGEST_LINE, checked_csv

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, str | int | float | None]


class ResultFile:
    """The result CSV of one run, or of several, and the files beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[tuple[str, str], Record] = {}  # by run and case
        self._header: list[str] = []
        self._lines: list[bytes] = []  # formed once, as long as no column is added
        self._rounds: list[bytes] = [gzip.compress(b"case_id,round,time_s\n")]

    @property
    def records(self) -> Sequence[Record]:
        """The rows so far."""
        return tuple(self._records.values())

    def put(self, record: Record) -> None:
        """Add the row of a case, or replace it, and save the file."""
        self.put_all([record])

    def put_all(self, records: Iterable[Record]) -> None:
        """Add rows, or replace them, and save the file."""
        new = {(r.run_id, r.case_id): r for r in records}
        rows = {**self._records, **new}
        told = [to_row(r) for r in new.values()]
        if new.keys() & self._records.keys() or not set(_header(told)) <= set(self._header):
            told = [to_row(r) for r in rows.values()]
            header, lines = _header(told), list[bytes]()
        else:
            header, lines = self._header, [*self._lines]
        lines += [_line(row, header).encode("utf-8", "backslashreplace") for row in told]
        _replace(self.path, csv_line(header).encode() + b"".join(lines))
        self._records, self._header, self._lines = rows, header, lines

    def put_rounds(self, case_id: str, times_s: Sequence[float]) -> None:
        """Add the rounds of a case to `<run>.rounds.csv.gz`."""
        self.put_all_rounds({case_id: times_s})

    def put_all_rounds(self, times_s: Mapping[str, Sequence[float]]) -> None:
        """Add the rounds of cases, each once."""
        for case_id, times in times_s.items():
            case = csv_line([write_cell(case_id)]).removesuffix("\n")
            lines = (f"{case},{i},{time_s!r}\n" for i, time_s in enumerate(times))
            self._rounds.append(gzip.compress("".join(lines).encode()))  # members concatenate
        _replace(self.path.with_suffix(".rounds.csv.gz"), b"".join(self._rounds))

    def put_machine(self, text: str) -> None:
        """Write `<run>.machine.json`."""
        _replace(self.path.with_suffix(".machine.json"), text.encode())


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)  # it may have vanished: all rows are at hand
    replace_file(path, content)


def to_row(record: Record) -> Row:
    """A record as column name to value, its own axes and metrics prefixed."""
    row: Row = {name: getattr(record, name) for name in COLUMNS}
    row |= {AXIS_PREFIX + k: v for k, v in record.axes.items()}
    row |= {METRIC_PREFIX + k: v for k, v in record.metrics.items()}
    return row


def to_csv(records: Iterable[Record]) -> str:
    """The text of a result CSV."""
    rows = [to_row(r) for r in records]
    header = _header(rows)
    return csv_line(header) + "".join(_line(row, header) for row in rows)


def _header(rows: Iterable[Row]) -> list[str]:
    return [*COLUMNS, *sorted({name for row in rows for name in row if name not in COLUMNS})]


def _line(row: Row, header: Iterable[str]) -> str:
    return csv_line([write_cell(row.get(name)) for name in header])


def result_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, folders as the result CSVs in them; each once."""
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise BadInputError(
                f"{path}: no such file or folder; expected a result CSV or a folder"
            )
        inside = sorted(path.rglob("*.csv")) if path.is_dir() else [path]
        if not inside:
            raise BadInputError(f"{path}: expected at least one result CSV in this folder")
        found |= {p.resolve(): p for p in inside}
    return list(found.values())


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Line number and typed row; unknown columns are kept as text."""
    yield from rows_of(path, checked_csv(path))


def rows_of(path: Path, content: bytes) -> Iterator[tuple[int, Row]]:
    """The rows of a checked content; `path` is what messages name."""
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    try:
        header = next(reader, [])
        check_header(path, header)
        seen: set[tuple[Any, Any]] = set()
        for cells in reader:
            row = typed_row(path, reader.line_num, header, cells)
            key = (row["run_id"], row["case_id"])
            if key in seen:
                raise BadInputError(
                    f"{path}, line {reader.line_num}, column case_id: {row['case_id']!r} again; "
                    "expected one row per case and run"
                )
            seen.add(key)
            yield reader.line_num, row
    except csv.Error as e:
        raise BadInputError(f"{path}, line {reader.line_num}: {e}; expected CSV") from e


def check_header(path: Path, header: list[str], where: str = "line 1") -> None:
    """Every required column, each column once, in our units."""
    missing = [c for c in REQUIRED if c not in header]
    if missing:
        semicolons = len(header) == 1 and ";" in header[0]
        raise BadInputError(
            f"{path}, {where}: no column {', '.join(missing)}; expected the header of a result CSV"
            + (", separated by commas" if semicolons else "")
        )
    twice = sorted(c for c, n in Counter(header).items() if n > 1)
    if twice:
        raise BadInputError(f"{path}, {where}: column {', '.join(twice)} twice; expected it once")
    for name, ours in unit_faults(header).items():
        raise BadInputError(
            f"{path}, {where}: column {name}; expected {ours}, in that unit (never rescaled)"
        )


def typed_row(path: Path, line: int, header: list[str], cells: list[str]) -> Row:
    """The cells of a line as typed values; BadInputError names the place of a bad one."""
    if len(cells) != len(header):
        raise BadInputError(
            f"{path}, line {line}: {len(cells)} cells; expected {len(header)}, as in the header"
        )
    row: Row = {}
    for name, cell in zip(header, cells, strict=True):
        try:
            row[name] = value = read_cell(cell, column_type(name) or str)
            expected = None if value is None or isinstance(value, str) else range_fault(name, value)
            if expected:
                raise ValueError(f"{cell}: expected {expected}")
        except ValueError as e:
            raise BadInputError(f"{path}, line {line}, column {name}: {e}") from e
    for name in REQUIRED:
        if row[name] is None:
            raise BadInputError(f"{path}, line {line}, column {name}: empty; expected a value")
    if row["schema"] != SCHEMA:
        raise BadInputError(
            f"{path}, line {line}, column schema: {row['schema']}; expected {SCHEMA}, "
            "the one this version reads and writes"
        )
    if row["status"] not in list(Status):
        raise BadInputError(
            f"{path}, line {line}, column status: {row['status']!r}; "
            f"expected one of {', '.join(Status)}"
        )
    return row


def read_records(path: Path) -> list[Record]:
    """The rows of one file as records, without columns this version does not know."""
    return [record_of_row(row) for _, row in read_rows(path)]


def record_of_row(row: Mapping[str, Any]) -> Record:
    """A typed row as a record; columns this version does not know are dropped."""
    known = {f.name for f in fields(Record)} & COLUMNS.keys()
    axes = {k.removeprefix(AXIS_PREFIX): v for k, v in row.items() if k.startswith(AXIS_PREFIX)}
    metrics = {
        k.removeprefix(METRIC_PREFIX): v for k, v in row.items() if k.startswith(METRIC_PREFIX)
    }
    return Record(
        **{k: v for k, v in row.items() if k in known},
        axes={k: v for k, v in axes.items() if v is not None},
        metrics={k: v for k, v in metrics.items() if v is not None},
    )


def read_frame(paths: Iterable[Path]) -> pd.DataFrame:
    """Several runs as one frame: `Int64`, `Float64` and `string` columns, and `file` and `line`.

    Columns that no file has are there, all missing; unknown ones are kept as text.
    """
    import pandas as pd

    rows: list[Row] = []
    for path in result_files(paths):
        rows += [{**row, "file": str(path), "line": line} for line, row in read_rows(path)]
    own = sorted({name for row in rows for name in row} - COLUMNS.keys() - {"file", "line"})
    dtypes: dict[type, Any] = {int: "Int64", float: "Float64", str: "string"}
    types = {**COLUMNS, **{c: column_type(c) or str for c in own}, "file": str, "line": int}
    return pd.DataFrame(
        {c: pd.array([row.get(c) for row in rows], dtype=dtypes[t]) for c, t in types.items()}
    )
