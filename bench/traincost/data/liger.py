"""Liger-Kernel's benchmark CSV as rows: a case is a kernel, its provider, a mode and a size.

The file (`benchmark/data/all_benchmark_data.csv` in their repository) has a row a metric. Speed and
memory of one case become one row; `y_value_50`, `_20` and `_80` are quantiles over rounds.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from traincost.data.case import Case, case_from_test
from traincost.data.errors import BadInputError
from traincost.data.foreign_cells import ForeignFile, columns, machine_id, seconds
from traincost.data.record import Record

LIGER_COLUMNS = (
    *("kernel_name", "kernel_provider", "kernel_operation_mode", "metric_name", "metric_unit"),
    *("x_name", "x_value", "y_value_50", "y_value_20", "y_value_80"),
    *("extra_benchmark_config_str", "gpu_name", "timestamp", "liger_version"),
)
ALLOCATED = "allocated_peak_bytes"
"""Liger's memory is the allocator's peak, what lived before included: neither of our columns."""

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_BYTES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}  # Liger divides by 2**20 and says MB
_MISSING = ("workload", "driver", "torch", "triton", "arithmetic", "energy")


def read_liger(path: Path, content: bytes, run_id: str) -> ForeignFile:
    """The measurements of a file; `run_id` begins that of every row."""
    reader = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    records: dict[tuple[str, ...], Record] = {}
    times: dict[tuple[str, ...], list[str]] = {}
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
            _add_liger(where, row, run_id, records, times)
    except csv.Error as e:
        raise BadInputError(f"{path}, line {reader.line_num}: {e}; expected CSV") from e
    if not records:
        raise BadInputError(f"{path}: no row; expected speed or memory of a kernel")
    told = [f"metric {name!r} ({n} rows)" for name, n in skipped.items()]
    return ForeignFile("Liger-Kernel", list(records.values()), _MISSING, told)


def _add_liger(
    where: str,
    row: Mapping[str, str],
    run_id: str,
    records: dict[tuple[str, ...], Record],
    times: dict[tuple[str, ...], list[str]],
) -> None:
    """Speed and memory of one case become one row; a measurement repeated later another run."""
    case = _liger_case(where, row)
    measured = _liger_values(where, row)
    key = (case.case_id, row["gpu_name"], row["liger_version"])
    before = times.setdefault((*key, row["metric_name"]), [])
    if row["timestamp"] in before:
        raise BadInputError(
            f"{where}: {case.case_id} again, at the same time; expected each measurement once"
        )
    run = str(len(before))
    before.append(row["timestamp"])
    place = (*key, run)
    known = records.get(place)
    if known is None:
        gpu = row["gpu_name"] or None
        known_axes: dict[str, Any] = columns(case)
        known = Record(
            **known_axes,
            run_id="-".join((run_id, machine_id(gpu, row["liger_version"])[:4], run)),
            started_at=row["timestamp"] or "unknown",
            suite=case.suite,
            case_id=case.case_id,
            axes=case.own_axes(),
            machine_id=machine_id("Liger-Kernel", gpu),
            gpu=gpu,
            commit=f"liger {row['liger_version']}" if row["liger_version"] else None,
        )
        known = replace(known, phase=row["kernel_operation_mode"] or None)
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
            found[column] = seconds(f"{where}, column {name}", value)
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
