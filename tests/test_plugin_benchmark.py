"""pytest-benchmark's own options on cost cases."""

import json
from pathlib import Path

import pytest
from project import ONE, run_pytest, write_project


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--benchmark-disable"], "no result CSV: timing is off (--benchmark-disable or xdist)"),
        (["-n", "2"], "no result CSV: timing is off under xdist"),
        (["--benchmark-skip"], "no result CSV: benchmarks are skipped"),
    ],
)
def test_where_timing_is_off_no_csv_is_written_and_one_line_says_so(
    tmp_path: Path, arguments: list[str], line: str
) -> None:
    suite = """
        def test_it(train_cost, tmp_path_factory):
            w = work()
            def step():
                open("ran", "a").write("x")
                return w["step"]()
            train_cost(**w | {"step": step})
    """
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": suite}), *arguments)
    assert outcome.code == 0, outcome.output
    assert outcome.output.count("traincost: ") == 1
    assert line in outcome.output
    assert not outcome.results.exists()
    ran = (tmp_path / "ran").read_text() if (tmp_path / "ran").exists() else ""
    assert ran == ("" if "--benchmark-skip" in arguments else "x"), "the step runs once"


@pytest.mark.thorough
def test_the_same_numbers_go_to_the_csv_and_to_the_benchmark_json(tmp_path: Path) -> None:
    project = write_project(tmp_path, ONE)
    outcome = run_pytest(project, "--benchmark-json", "out.json")
    (record,) = outcome.records
    (benchmark,) = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert benchmark["stats"]["median"] == pytest.approx(record.time_median_s)
    assert benchmark["stats"]["rounds"] == record.rounds
    assert benchmark["extra_info"]["step_peak_bytes"] == record.step_peak_bytes
    assert benchmark["extra_info"]["case_id"] == record.case_id


@pytest.mark.slow
def test_autosave_and_compare_show_the_two_runs(tmp_path: Path) -> None:
    project = write_project(tmp_path, ONE)
    run_pytest(project, "--benchmark-autosave")
    outcome = run_pytest(project, "--benchmark-autosave", "--benchmark-compare")
    assert outcome.code == 0, outcome.output
    assert "Comparing against benchmarks from" in outcome.output
    assert "test_it (NOW)" in outcome.output
