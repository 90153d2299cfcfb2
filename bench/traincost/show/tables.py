"""One table in the formats of every verb: table and markdown for people, csv and json for programs.

A column named `section` splits what people read into one table a section; columns that are empty
throughout a section are left out there. Programs get one tidy table, with that column in it.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Literal, get_args

from traincost.data.cells import csv_line, write_cell
from traincost.show.log import printable

Format = Literal["table", "csv", "json", "markdown"]
FORMATS: tuple[Format, ...] = get_args(Format)
SECTION = "section"
WIDTH = 100
_HARMLESS = re.compile(r"(?:[^\W_]|[ .,;:%+()=·→-]|/(?!/))*")
"""Letters, digits and marks of which neither Markdown nor GitHub makes anything; no `//`."""

Cell = str | int | float | bool | None
Row = Sequence[Cell]


def render(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    fmt: Format,
    right: Collection[str] = (),
) -> str:
    """The text of a table, its last line ended; columns named in `right` hold amounts as text."""
    if fmt == "csv":
        return _csv(columns, rows)
    if fmt == "json":
        return _json(title, columns, rows)
    write = _markdown if fmt == "markdown" else _table
    return "\n".join(write(*part, right) for part in _sections(title, columns, rows))


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Text that a spreadsheet would run as a formula gets an apostrophe, as in a result CSV."""
    cells = ((_yes_or_no(c) if isinstance(c, bool) else write_cell(c) for c in row) for row in rows)
    return csv_line(map(write_cell, columns)) + "".join(map(csv_line, cells))


def _json(title: str, columns: Sequence[str], rows: Sequence[Row]) -> str:
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    return json.dumps({"title": title, "rows": records}, indent=2, ensure_ascii=False) + "\n"


def _sections(
    title: str, columns: Sequence[str], rows: Sequence[Row]
) -> Iterator[tuple[str, Sequence[str], Sequence[Row]]]:
    """Title, columns and rows of each table that people read."""
    if SECTION not in columns:
        yield title, columns, rows
        return
    at = list(columns).index(SECTION)
    for name, part in groupby(rows, key=lambda row: row[at]):
        section = list(part)
        kept = [
            i for i in range(len(columns)) if i != at and any(row[i] is not None for row in section)
        ]
        cells = [[row[i] for i in kept] for row in section]
        yield str(name), [columns[i] for i in kept], cells


def _table(title: str, columns: Sequence[str], rows: Sequence[Row], right: Collection[str]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        numbers = all(isinstance(row[i], int | float) for row in rows)
        numbers = numbers and not any(isinstance(row[i], bool) for row in rows)
        table.add_column(
            name,
            justify="right" if numbers or name in right else "left",
            overflow="fold",
            no_wrap=name in right,
        )
    for row in rows:
        table.add_row(*(Text(_shown(cell)) for cell in row))  # Text: no markup in data
    console = Console(width=WIDTH, file=io.StringIO(), color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _markdown(
    title: str, columns: Sequence[str], rows: Sequence[Row], right: Collection[str]
) -> str:
    lines = [columns, ["---:" if name in right else "---" for name in columns], *rows]
    cells = (" | ".join(_shown(c).replace("|", "\\|") for c in line) for line in lines)
    return f"**{title}**\n\n" + "".join(f"| {line} |\n" for line in cells)


def _shown(cell: Cell) -> str:
    """A cell for people, on one line: floats to four digits, nothing for None."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return _yes_or_no(cell)
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return printable(" ".join(str(cell).split()))


def _yes_or_no(cell: bool) -> str:
    return "yes" if cell else "no"


def code_span(text: str) -> str:
    """Text that Markdown leaves alone: no tags, mentions, links or images come out of a name."""
    plain = "".join(c if c.isprintable() else " " for c in text.replace("`", "'"))
    return f"`{' '.join(plain.split()) or ' '}`"


def left_alone(text: str) -> str:
    """Text in a code span if Markdown could make something of it."""
    harmless = _HARMLESS.fullmatch(text) and "www." not in text.casefold()
    return text if harmless else code_span(text)
