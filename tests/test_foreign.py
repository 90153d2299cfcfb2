"""Other tools' files: columns mapped, units converted, and a bad file named to the place."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutilated import ROWS, mutilate
from two_machines import LIGER_HEADER, benchmark_json, liger_line, write_liger

from traincost.data.errors import BadInputError
from traincost.data.foreign import ForeignFile, is_pytest_benchmark, read_foreign, tool_of
from traincost.data.results import to_csv, to_row


def read(path: Path) -> ForeignFile:
    tool = tool_of(path)
    assert tool is not None
    return read_foreign(path, tool)


def benchmarks(path: Path, change: dict[str, Any], stats: dict[str, Any] | None = None) -> Path:
    """A file with one benchmark, changed."""
    whole = json.loads(benchmark_json("n", "Xeon", {"test_a.py::test_b[3]": 1e-3}))
    whole["benchmarks"][0] |= change
    whole["benchmarks"][0]["stats"] |= stats or {}
    path.write_text(json.dumps(whole))
    return path


def test_a_file_is_recognised_by_how_it_starts(tmp_path: Path) -> None:
    ours = tmp_path / "ours.csv"
    ours.write_text(to_csv(ROWS))
    machine = tmp_path / "run.machine.json"
    machine.write_text('{"machine_id": "a", "host": "b"}')
    json_file = benchmarks(tmp_path / "b.json", {})
    assert tool_of(ours) is None
    assert tool_of(write_liger(tmp_path / "liger.csv")) == "Liger-Kernel"
    assert tool_of(json_file) == "pytest-benchmark"
    assert [is_pytest_benchmark(p) for p in (ours, machine, json_file)] == [False, False, True]


def test_a_benchmark_becomes_a_row_with_what_the_file_knows(tmp_path: Path) -> None:
    file = read(benchmarks(tmp_path / "b.json", {}))
    (row,) = file.records
    assert (row.suite, row.case_id, dict(row.axes)) == ("a", "a/b[n=3]", {"n": "3"})
    assert (row.time_min_s, row.time_median_s, row.time_mean_s) == (5e-4, 1e-3, 1.1e-3)
    assert (row.rounds, row.iterations, row.time_stddev_s) == (30, 2, 0)
    assert (row.host, row.cpu, row.python, row.commit) == ("n", "Xeon", "3.12.4", "0123456789ab")
    assert (row.workload, row.device, row.dtype, row.step_peak_bytes) == (None, None, None, None)
    assert "workload" in file.missing and "memory" in file.missing


def test_parameters_that_json_cannot_hold_are_named_by_the_tests_id(tmp_path: Path) -> None:
    change = {"params": {"x": "UNSERIALIZABLE[<object at 0x1>]"}, "param": "obj0"}
    (row,) = read(benchmarks(tmp_path / "b.json", change)).records
    assert row.case_id == "a/b[param=obj0]"


def test_rows_of_train_cost_come_back_whole(tmp_path: Path) -> None:
    extra = {k: v for k, v in to_row(ROWS[0]).items() if v is not None}
    file = read(benchmarks(tmp_path / "b.json", {"extra_info": extra}))
    assert file.records == [ROWS[0]]
    assert file.missing == ()


@pytest.mark.parametrize(
    ("change", "stats", "says"),
    [
        ({}, {"median": 0}, "benchmarks[0], stats.median: 0; expected seconds, above 0"),
        ({}, {"median": -1.0}, "stats.median: -1.0; expected seconds"),
        ({}, {"median": "1"}, "stats.median: '1'; expected seconds"),
        ({}, {"median": None}, "stats.median: missing; expected seconds"),
        ({}, {"mean": float("nan")}, "stats.mean: nan; expected seconds"),
        ({}, {"rounds": 0}, "stats.rounds: 0; expected an integer above 0"),
        ({"name": ""}, {}, "benchmarks[0], name: missing"),
        ({"params": {"batch_size": "x"}}, {}, "parameter batch_size='x': expected an integer"),
        (
            {"extra_info": to_row(replace(ROWS[0], status="fine"))},
            {},
            "column status: 'fine'; expected one of",
        ),
    ],
)
def test_a_bad_benchmark_is_named(
    tmp_path: Path, change: dict[str, Any], stats: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInputError) as error:
        read(benchmarks(tmp_path / "b.json", change, stats))
    assert says in str(error.value)
    assert "b.json" in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "line 1, character 2"),
        ("{}", "no list 'benchmarks'"),
        ('{"benchmarks": []}', "'benchmarks' is empty"),
        ('{"benchmarks": [1]}', "benchmarks[0]: no 'stats'"),
        ('{"a": ' * 100_000, "nested too deep"),
        ("", "line 1"),
        ("{\0}", "a NUL byte"),
    ],
)
def test_json_of_something_else_is_named(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(BadInputError, match=r"b\.json") as error:
        read(tmp_path / "b.json")
    assert says in str(error.value)


def test_two_benchmarks_of_one_name_are_named(tmp_path: Path) -> None:
    whole = json.loads(benchmark_json("n", "Xeon", {"a/test_a.py::test_b": 1.0}))
    whole["benchmarks"] *= 2
    (tmp_path / "b.json").write_text(json.dumps(whole))
    with pytest.raises(BadInputError, match=r"benchmarks\[1\]: a/b again"):
        read(tmp_path / "b.json")


# Liger-Kernel


def liger(path: Path, *lines: str) -> ForeignFile:
    path.write_text(LIGER_HEADER + "".join(lines))
    return read(path)


def test_speed_and_memory_of_a_case_become_one_row_in_si_units(tmp_path: Path) -> None:
    memory = liger_line(metric="memory", unit="MB", y50="12.5")
    (row,) = liger(tmp_path / "l.csv", liger_line(), memory).records
    assert row.case_id == "rms_norm/full[H=1024,M=2048,device=cuda,dtype=bf16,impl=liger]"
    assert (row.suite, row.impl, row.phase, row.dtype) == ("rms_norm", "liger", "full", "bf16")
    assert (row.time_median_s, row.time_p20_s, row.time_p80_s) == pytest.approx(
        (0.2e-3, 0.19e-3, 0.21e-3)
    )
    assert row.metrics["allocated_peak_bytes"] == 12.5 * 2**20
    assert (row.gpu, row.commit, row.device) == ("NVIDIA H100 NVL", "liger 0.5.2", "cuda")


def test_what_liger_did_not_measure_is_empty_and_other_metrics_are_named(tmp_path: Path) -> None:
    lines = [liger_line(y50="nan", y20="nan", y80="nan"), liger_line(metric="tflops", unit="T")]
    file = liger(tmp_path / "l.csv", *lines)
    assert [r.time_median_s for r in file.records] == [None]
    assert file.skipped == ["metric 'tflops' (1 rows)"]


def test_a_later_measurement_of_a_case_is_another_run(tmp_path: Path) -> None:
    later = liger_line(timestamp="2025-02-01 00:00:00", y50="0.3")
    rows = liger(tmp_path / "l.csv", liger_line(), later).records
    assert len({r.run_id for r in rows}) == 2
    assert len({r.case_id for r in rows}) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (liger_line(unit="parsec"), "line 2, column metric_unit: 'parsec'; expected one of s, ms"),
        (liger_line(metric="memory", unit="MiB"), "column metric_unit: 'MiB'; expected one of B"),
        (liger_line(y50="0"), "line 2, column y_value_50: 0.0; expected seconds, above 0"),
        (liger_line(y50="-1"), "column y_value_50: '-1'; expected a finite number, 0 or more"),
        (liger_line(y20="x"), "column y_value_20: 'x'; expected a number"),
        (liger_line(config="[1]"), "column extra_benchmark_config_str: '[1]'; expected a JSON obj"),
        (liger_line(kernel=""), "column kernel_name: empty"),
        (liger_line() * 2, "line 3: rms_norm/full[H=1024"),
        ("a,b\n", "line 2: 2 cells; expected 15"),
        ("", "no row; expected speed or memory"),
        (liger_line().rstrip("\n"), "line 2: ends in '0.5.2' without a line end"),
    ],
)
def test_a_bad_line_of_ligers_is_named(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(BadInputError, match=r"l\.csv") as error:
        liger(tmp_path / "l.csv", line)
    assert says in str(error.value)


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_mutilated_files_of_other_tools_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rng: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("foreign")
    names = {f"test_a.py::test_b[{n}]": n * 1e-3 for n in range(1, 4)}
    for path, content in (
        (folder / "b.json", benchmark_json("n", "Xeon", names).encode()),
        (folder / "l.csv", (LIGER_HEADER + liger_line() + liger_line(value="7")).encode()),
    ):
        path.write_bytes(mutilate(content, rng))
        tool = tool_of(path)
        if tool is None:
            continue
        try:
            found = read_foreign(path, tool)
        except BadInputError as e:
            assert path.name in str(e)
            assert "\n" not in str(e)
        else:
            assert all((r.time_median_s or 1) > 0 for r in found.records)
