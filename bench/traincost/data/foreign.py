"""Other tools' results as our rows: pytest-benchmark's JSON and Liger-Kernel's benchmark CSV.

Columns are mapped, times to seconds and memory to bytes. What a file does not say stays empty: a
case of it has no workload, so nothing proves that two files measured the same work.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from traincost.data.case import Case, case_from_test
from traincost.data.cells import write_cell
from traincost.data.errors import BadInputError
from traincost.data.record import COLUMNS, Record
from traincost.data.results import record_of_row, typed_row
from traincost.data.text import checked_csv

Tool = Literal["pytest-benchmark", "Liger-Kernel"]
LIGER_COLUMNS = (
    *("kernel_name", "kernel_provider", "kernel_operation_mode", "metric_name", "metric_unit"),
    *("x_name", "x_value", "y_value_50", "y_value_20", "y_value_80"),
    *("extra_benchmark_config_str", "gpu_name", "timestamp", "liger_version"),
)
ALLOCATED = "allocated_peak_bytes"
"""Liger's memory is the allocator's peak, what lived before included: neither of our columns."""

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_BYTES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}  # Liger divides by 2**20 and says MB
_MISSING = {
    "pytest-benchmark": ("workload", "device", "torch", "arithmetic", "memory", "energy"),
    "Liger-Kernel": ("workload", "driver", "torch", "triton", "arithmetic", "energy"),
}


@dataclass(frozen=True)
class ForeignFile:
    """The rows of another tool's file, and what it does not tell."""

    tool: Tool
    records: Sequence[Record]
    missing: Sequence[str]
    skipped: Sequence[str] = ()  # kinds of rows that are not read


def tool_of(path: Path, start: bytes) -> Tool | None:
    """Whose file it is, by its first bytes; None for a result CSV of ours, good or bad."""
    if start.lstrip()[:1] == b"{" or path.suffix == ".json":
        return "pytest-benchmark"
    return "Liger-Kernel" if start.startswith(b"kernel_name,kernel_provider") else None


def read_foreign(path: Path, tool: Tool) -> ForeignFile:
    """All rows of the file; BadInputError names the place of what cannot be read."""
    content = checked_csv(path, ended=tool == "Liger-Kernel")
    run_id = hashlib.sha256(content).hexdigest()[:12]
    if tool == "Liger-Kernel":
        return _liger(path, content, run_id)
    return _pytest_benchmark(path, content, run_id)


def _machine_id(*facts: object) -> str:
    """As ours, over the little that these files know of a machine."""
    return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:12]


# pytest-benchmark


def _pytest_benchmark(path: Path, content: bytes, run_id: str) -> ForeignFile:
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
    return ForeignFile("pytest-benchmark", records, () if ours else _MISSING["pytest-benchmark"])


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
        column: _time(f"{where}, stats.{name}", stats.get(name), zero=name == "stddev")
        for column, name in _TIMES.items()
    }
    if times["time_median_s"] is None:
        raise BadInputError(f"{where}, stats.median: missing; expected seconds")
    name = _text(cpu.get("brand_raw")) or _text(machine.get("machine"))
    python = _text(machine.get("python_version"))
    columns: dict[str, Any] = {**_columns(case), **rounds, **times}
    return Record(
        **columns,
        run_id=run_id,
        started_at=_text(whole.get("datetime")) or "unknown",
        suite=case.suite,
        case_id=case.case_id,
        axes=case.own_axes(),
        machine_id=_machine_id("pytest-benchmark", name, cpu.get("count"), python),
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


# Liger-Kernel


def _liger(path: Path, content: bytes, run_id: str) -> ForeignFile:
    reader = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    records: dict[tuple[str, ...], Record] = {}
    runs: dict[tuple[str, ...], int] = {}
    skipped: dict[str, int] = {}
    try:
        header = next(reader, [])
        missing = [name for name in LIGER_COLUMNS if name not in header]
        if missing:
            raise BadInputError(
                f"{path}, line 1: no column {', '.join(missing)}; "
                "expected the header of Liger-Kernel's benchmark CSV"
            )
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(header):
                raise BadInputError(f"{where}: {len(cells)} cells; expected {len(header)}")
            row = dict(zip(header, cells, strict=True))
            if row["metric_name"] not in ("speed", "memory"):
                skipped[row["metric_name"]] = skipped.get(row["metric_name"], 0) + 1
                continue
            _add_liger(where, row, run_id, records, runs)
    except csv.Error as e:
        raise BadInputError(f"{path}, line {reader.line_num}: {e}; expected CSV") from e
    if not records:
        raise BadInputError(f"{path}: no row; expected speed or memory of a kernel")
    told = [f"metric {name!r} ({n} rows)" for name, n in skipped.items()]
    return ForeignFile("Liger-Kernel", list(records.values()), _MISSING["Liger-Kernel"], told)


def _add_liger(
    where: str,
    row: Mapping[str, str],
    run_id: str,
    records: dict[tuple[str, ...], Record],
    runs: dict[tuple[str, ...], int],
) -> None:
    """Speed and memory of one case become one row; a measurement repeated later another run."""
    case = _liger_case(where, row)
    measured = _liger_values(where, row)
    key = (case.case_id, row["gpu_name"], row["liger_version"])
    again = (*key, row["metric_name"])
    run = runs[again] = runs.get(again, -1) + 1
    place = (*key, str(run))
    known = records.get(place)
    if known is None:
        gpu = row["gpu_name"] or None
        known = Record(
            **_columns(case),  # type: ignore[arg-type]
            run_id="-".join((run_id, _machine_id(gpu, row["liger_version"])[:4], str(run))),
            started_at=row["timestamp"] or "unknown",
            suite=case.suite,
            case_id=case.case_id,
            axes=case.own_axes(),
            machine_id=_machine_id("Liger-Kernel", gpu),
            gpu=gpu,
            commit=f"liger {row['liger_version']}" if row["liger_version"] else None,
        )
        known = replace(known, phase=row["kernel_operation_mode"] or None)
    elif known.started_at == row["timestamp"] and run:
        raise BadInputError(
            f"{where}: {case.case_id} again, at the same time; expected each measurement once"
        )
    memory = measured.pop(ALLOCATED, None)
    metrics = {**known.metrics, ALLOCATED: memory} if memory is not None else known.metrics
    records[place] = replace(known, **measured, metrics=metrics)  # type: ignore[arg-type]


def _liger_case(where: str, row: Mapping[str, str]) -> Case:
    text = row["extra_benchmark_config_str"] or "{}"
    try:
        config: Any = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as e:
        config = e
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise BadInputError(
            f"{where}, column extra_benchmark_config_str: {text[:80]!r}; expected a JSON object"
        )
    for name in ("kernel_name", "kernel_provider", "x_name", "x_value"):
        if not row[name]:
            raise BadInputError(f"{where}, column {name}: empty; expected a value")
    axes = {**config, row["x_name"]: _without_point_zero(row["x_value"])}
    axes |= {"impl": row["kernel_provider"], "device": "cuda"}
    try:
        return case_from_test(row["kernel_name"], row["kernel_operation_mode"] or "kernel", axes)
    except ValueError as e:
        raise BadInputError(f"{where}: {e}") from e


def _without_point_zero(text: str) -> str:
    return text.removesuffix(".0")


def _liger_values(where: str, row: Mapping[str, str]) -> dict[str, float | None]:
    speed = row["metric_name"] == "speed"
    units: Mapping[str, float] = _SECONDS if speed else _BYTES
    scale = units.get(row["metric_unit"])
    if scale is None:
        raise BadInputError(
            f"{where}, column metric_unit: {row['metric_unit']!r}; "
            f"expected one of {', '.join(units)} for {row['metric_name']}"
        )
    found: dict[str, float | None] = {}
    for quantile, column in ((50, "time_median_s"), (20, "time_p20_s"), (80, "time_p80_s")):
        name = f"y_value_{quantile}"
        value = _liger_number(f"{where}, column {name}", row[name])
        value = None if value is None else value * scale
        if speed:
            found[column] = _time(f"{where}, column {name}", value)
        elif quantile == 50:
            found[ALLOCATED] = value
    return found


def _liger_number(where: str, text: str) -> float | None:
    """Liger writes nan for what was not measured."""
    try:
        value = float(text) if text else math.nan
    except ValueError as e:
        raise BadInputError(f"{where}: {text[:80]!r}; expected a number") from e
    if math.isnan(value):
        return None
    if value < 0 or math.isinf(value):
        raise BadInputError(f"{where}: {text[:80]!r}; expected a finite number, 0 or more")
    return value


# both


def _columns(case: Case) -> dict[str, Any]:
    """The case's axes that are columns; the defaults of our own suites are not known to hold."""
    typed = case.columns()
    return {k: v for k, v in typed.items() if k in case.axes and k in COLUMNS}


def _time(where: str, value: Any, *, zero: bool = False) -> float | None:
    if value is None:
        return None
    number = float(value) if isinstance(value, int | float) and value is not True else math.nan
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise BadInputError(f"{where}: {value!r}; expected seconds, above 0")
    return number


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
