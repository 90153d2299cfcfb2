"""pytest-benchmark's JSON as rows; those of `train_cost`, in `extra_info`, come back whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traincost.data.case import Case, case_from_test
from traincost.data.cells import write_cell
from traincost.data.errors import BadInputError
from traincost.data.foreign_cells import ForeignFile, columns, machine_id, seconds
from traincost.data.record import Record
from traincost.data.results import record_of_row, typed_row

_MISSING = ("workload", "device", "torch", "arithmetic", "memory", "energy")


def read_pytest_benchmark(path: Path, content: bytes, run_id: str) -> ForeignFile:
    """The benchmarks of a file; `run_id` is that of every row that does not bring its own."""
    try:
        whole: Any = json.loads(content)
    except json.JSONDecodeError as e:
        raise BadInputError(
            f"{path}, line {e.lineno}, character {e.colno}: {e.msg}; "
            "expected the JSON of pytest-benchmark"
        ) from e
    except RecursionError as e:
        raise BadInputError(f"{path}: nested too deep; expected pytest-benchmark's JSON") from e
    if not isinstance(whole, dict) or not isinstance(whole.get("benchmarks"), list):
        raise BadInputError(f"{path}: no list 'benchmarks'; expected pytest-benchmark's JSON")
    records = [_benchmark(path, whole, i, b, run_id) for i, b in enumerate(whole["benchmarks"])]
    if not records:
        raise BadInputError(f"{path}: 'benchmarks' is empty; expected at least one")
    _each_once(path, records)
    ours = all(r.machine_id and r.workload for r in records)
    return ForeignFile("pytest-benchmark", records, () if ours else _MISSING)


def _benchmark(path: Path, whole: dict[str, Any], i: int, found: Any, run_id: str) -> Record:
    where = f"{path}, benchmarks[{i}]"
    if not isinstance(found, dict) or not isinstance(found.get("stats"), dict):
        raise BadInputError(f"{where}: no 'stats'; expected a benchmark of pytest-benchmark")
    extra = found.get("extra_info")
    if isinstance(extra, dict) and {"schema", "run_id", "case_id"} <= extra.keys():
        return _own_row(path, i, extra)  # measured by this plugin
    machine, commit = (_dict(whole.get(k)) for k in ("machine_info", "commit_info"))
    cpu = _dict(machine.get("cpu"))
    case = _pytest_case(where, found)
    stats = found["stats"]
    rounds = {k: _count(where, stats, k) for k in ("rounds", "iterations")}
    times = {
        column: seconds(f"{where}, stats.{name}", stats.get(name), zero=name == "stddev")
        for column, name in _TIMES.items()
    }
    if times["time_median_s"] is None:
        raise BadInputError(f"{where}, stats.median: missing; expected seconds")
    name = _text(cpu.get("brand_raw")) or _text(machine.get("machine"))
    python = _text(machine.get("python_version"))
    known: dict[str, Any] = {**columns(case), **rounds, **times}
    return Record(
        **known,
        run_id=run_id,
        started_at=_text(whole.get("datetime")) or "unknown",
        suite=case.suite,
        case_id=case.case_id,
        axes=case.own_axes(),
        machine_id=machine_id("pytest-benchmark", name, cpu.get("count"), python),
        host=_text(machine.get("node")),
        cpu=name,
        python=python,
        commit=_commit(commit),
    )


_TIMES = {
    "time_min_s": "min",
    "time_median_s": "median",
    "time_mean_s": "mean",
    "time_stddev_s": "stddev",
}


def _own_row(path: Path, i: int, extra: dict[str, Any]) -> Record:
    """The row that `train_cost` left in `extra_info`, checked as a line of a CSV is."""
    header = list(extra)
    try:
        cells = [write_cell(extra[name]) for name in header]
    except (TypeError, ValueError) as e:
        raise BadInputError(f"{path}, benchmarks[{i}].extra_info: {e}") from e
    return record_of_row(typed_row(path, i + 1, header, cells))


def _pytest_case(where: str, found: dict[str, Any]) -> Case:
    full, name = _text(found.get("fullname")), _text(found.get("name"))
    if not name:
        raise BadInputError(f"{where}, name: missing; expected the name of a test")
    file, _, inside = (full or f"benchmark.py::{name}").partition("::")
    test, bracket, _ = (inside or name).partition("[")
    test = ".".join(part for part in test.split("::") if part)
    params = found.get("params")
    plain = isinstance(params, dict) and all(
        isinstance(v, int | float | str | None) and not str(v).startswith("UNSERIALIZABLE")
        for v in params.values()
    )
    if not (plain and params):
        params = {"param": _text(found.get("param")) or ""} if bracket else {}
    try:
        return case_from_test(Path(file).stem, test, params)
    except ValueError as e:
        raise BadInputError(f"{where}: {e}") from e


def _commit(found: dict[str, Any]) -> str | None:
    commit = _text(found.get("id"))
    if commit is None or commit in ("unknown", "unversioned"):
        return None
    return f"{commit[:12]}-dirty" if found.get("dirty") is True else commit[:12]


def _count(where: str, stats: dict[str, Any], name: str) -> int | None:
    value = stats.get(name)
    if value is None or (isinstance(value, int) and 0 < value < 2**63):
        return value
    raise BadInputError(f"{where}, stats.{name}: {value!r}; expected an integer above 0")


def _each_once(path: Path, records: Sequence[Record]) -> None:
    seen: set[tuple[str, str]] = set()
    for i, record in enumerate(records):
        if (record.run_id, record.case_id) in seen:
            raise BadInputError(
                f"{path}, benchmarks[{i}]: {record.case_id} again; expected each test once"
            )
        seen.add((record.run_id, record.case_id))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
