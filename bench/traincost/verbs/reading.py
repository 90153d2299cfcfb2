"""Reads the rows of a file or folder for verbs that judge records."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    from traincost.data.record import Record


def read_side(path: Path) -> list[Record]:
    """All rows of a file or folder, each file checked. BadInputError names file and place."""
    return [record for _, records in read_files([path]) for record in records]


def read_files(paths: Iterable[Path]) -> list[tuple[Path, list[Record]]]:
    """The same of several, with the file of each row. BadInputError where a run stands twice."""
    from traincost.data.results import read_records, result_files
    from traincost.judge.sides import checked

    found: list[tuple[Path, list[Record]]] = []
    files: dict[tuple[str, str], Path] = {}
    for file in result_files(paths):
        records = read_records(file)
        checked(records, str(file))
        for record in records:
            key = (record.run_id, record.case_id)
            if key in files:
                raise BadInputError(
                    f"{file}: run {record.run_id!r}, case {record.case_id!r} stands in "
                    f"{files[key]}, too; expected each run once"
                )
            files[key] = file
        found.append((file, records))
    return found
