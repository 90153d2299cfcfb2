"""Other tools' results as our rows: pytest-benchmark's JSON and Liger-Kernel's benchmark CSV.

Columns are mapped, times to seconds and memory to bytes. What a file does not say stays empty: a
case of it has no workload, so nothing proves that two files measured the same work.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from traincost.data.errors import BadInputError
from traincost.data.foreign_cells import ForeignFile, Tool
from traincost.data.liger import read_liger
from traincost.data.pytest_benchmark import read_pytest_benchmark
from traincost.data.text import checked_csv

__all__ = ["ForeignFile", "is_pytest_benchmark", "read_foreign", "tool_of"]

_START = 200
"""Bytes that tell whose file it is."""


def tool_of(path: Path) -> Tool | None:
    """Whose file it is, by its first bytes; None for a result CSV of ours, good or bad."""
    try:
        with path.open("rb") as file:
            start = file.read(_START) if path.is_file() else b""
    except OSError as e:
        raise BadInputError(f"{path}: {e}; expected a readable file") from e
    if start.lstrip()[:1] == b"{" or path.suffix == ".json":
        return "pytest-benchmark"
    return "Liger-Kernel" if start.startswith(b"kernel_name,kernel_provider") else None


def is_pytest_benchmark(path: Path) -> bool:
    """Whether a JSON that lies in a folder of results is one to read; `machine.json` is not."""
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return b'"machine_info"' in file.read(_START)


def read_foreign(path: Path, tool: Tool) -> ForeignFile:
    """All rows of the file; BadInputError names the place of what cannot be read."""
    content = checked_csv(path, ended=tool == "Liger-Kernel")
    run_id = hashlib.sha256(content).hexdigest()[:12]
    if tool == "Liger-Kernel":
        return read_liger(path, content, run_id)
    return read_pytest_benchmark(path, content, run_id)
