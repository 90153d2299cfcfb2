"""`traincost compare`: what it shows, in which formats, and what it says about bad input."""

import csv
import io
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutilated import mutilate
from project import SOURCES
from two_machines import A100, H100, benchmark_json, results, step, write, write_liger, write_runs

from traincost.cli import main
from traincost.data.cells import read_cell
from traincost.data.results import to_csv
from traincost.show.compare import COLUMNS
from traincost.show.tables import WIDTH


@pytest.fixture
def boxes(tmp_path: Path) -> list[str]:
    """Folders of three runs of two machines."""
    return [str(write_runs(tmp_path / name, box, 3)) for name, box in (("a", A100), ("h", H100))]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["compare", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a bad input gets."""
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("traincost compare: ")
    assert err.count("\n") == 1
    return err


def tidy(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(shown(capsys, *arguments, "--format", "json"))["rows"]
    return rows


PRICES = ("--price-per-hour", "A100=2", "--price-per-hour", "H100=4")


def test_a_terminal_of_100_columns_shows_everything_whole(
    capsys: pytest.CaptureFixture[str], boxes: list[str]
) -> None:
    text = shown(capsys, *boxes, *PRICES)
    assert max(map(len, text.splitlines())) <= WIDTH
    for said in (
        "machines: H100 80GB HBM3 against A100-SXM4-80GB",
        "time per step: H100 80GB HBM3 against A100-SXM4-80GB",
        "time over the roofline bound",
        "GPU energy per step",
        "speedups across: H100 80GB HBM3 against A100-SXM4-80GB",
        "cost per million tokens",
        "sm_clock_mean_hz",
        "1.98 GHz",
        "0.800x",
        "· batch_size=4",
        "eager",
    ):
        assert said in text, said


def test_no_output_ever_calls_a_difference_between_machines_a_regression(
    capsys: pytest.CaptureFixture[str], boxes: list[str]
) -> None:
    for fmt in ("csv", "markdown"):
        assert "regress" not in shown(capsys, *boxes, "--format", fmt).lower()


def test_programs_get_the_same_rows_as_csv_and_as_json(
    capsys: pytest.CaptureFixture[str], boxes: list[str]
) -> None:
    from_json = tidy(capsys, *boxes, *PRICES)
    text = shown(capsys, *boxes, *PRICES, "--format", "csv")
    from_csv = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(from_csv[0]) == list(COLUMNS)
    assert len(from_csv) == len(from_json)
    for ours, theirs in zip(from_csv, from_json, strict=True):
        for name, value in theirs.items():
            kind = str if value is None else type(value)
            assert read_cell(ours[name], kind) == value


def test_people_get_a_line_for_every_row_that_programs_get(
    capsys: pytest.CaptureFixture[str], boxes: list[str]
) -> None:
    rows = tidy(capsys, *boxes, *PRICES)
    n_lines = sum(r["section"] in ("comparison", "speedup", "speedup across", "cost") for r in rows)
    markdown = shown(capsys, *boxes, *PRICES, "--format", "markdown")
    table = shown(capsys, *boxes, *PRICES)
    for text in (markdown, table):
        assert sum("x" in line and "·" in line for line in text.splitlines()) == n_lines


def test_of_a_long_table_people_are_shown_what_moved_most(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    moved = {7: 3.0, 3: 0.2}
    other = [
        replace(r, time_median_s=(r.time_median_s or 0) * moved.get(r.batch_size or 0, 1.01))
        for r in (step(H100, n) for n in range(1, 10))
    ]
    a = write(tmp_path / "a.csv", [step(A100, n) for n in range(1, 10)])
    h = write(tmp_path / "h.csv", other)
    text = shown(capsys, str(a), str(h), "--metric", "time", "--limit", "2")
    section = text.split("time per step:")[1]
    assert "batch_size=3" in section and "batch_size=7" in section
    assert "batch_size=4" not in section
    assert "7 more, nearer to 1; --limit 0 shows all" in section
    assert "batch_size=4" in shown(capsys, str(a), str(h), "--limit", "0")


def test_only_the_metrics_asked_for_are_compared(
    capsys: pytest.CaptureFixture[str], boxes: list[str]
) -> None:
    rows = tidy(capsys, *boxes, "--metric", "memory", "--metric", "mfu")
    assert {r["metric"] for r in rows if r["section"] == "comparison"} == {"step_peak_bytes", "mfu"}


def test_a_glob_a_folder_and_files_name_the_same_results(
    capsys: pytest.CaptureFixture[str], boxes: list[str]
) -> None:
    whole = tidy(capsys, *boxes)
    assert tidy(capsys, boxes[0] + "/*.csv", boxes[1] + "/?.csv") == whole
    assert tidy(capsys, boxes[0], *map(str, sorted(Path(boxes[1]).iterdir()))) == whole
    assert tidy(capsys, *boxes, boxes[0]) == whole  # each file once


def test_one_file_with_implementations_shows_their_speedups(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = shown(capsys, str(write(tmp_path / "a.csv", results(A100))))
    assert "speedup on A100-SXM4-80GB" in text
    assert "2.500x" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{a}", "--base", "V100"], "side 'V100': unknown; expected one of 'A100-SXM4-80GB'"),
        (["{a}", "--price-per-hour", "A100"], "--price-per-hour 'A100': expected NAME=PRICE"),
        (["{a}", "--price-per-hour", "A100=-1"], "expected NAME=PRICE"),
        (["{a}", "--price-per-hour", "A100=nan"], "expected NAME=PRICE"),
        (["{a}", "--price-per-hour", "V100=1"], "side 'V100': unknown"),
        (["{a}", "--limit", "-1"], "--limit -1: expected 0 or more"),
        (["{a}/gone.csv"], "gone.csv: no such file or folder"),
        (["{a}/*.txt"], "*.txt: matches no file"),
        (["{empty}"], "expected at least one result CSV in this folder"),
        (["/dev/null"], "/dev/null: a folder or a device; expected a file"),
        (["{one}"], "one side only ('A100-SXM4-80GB'), and no implementations to compare"),
        (["{none}"], "no row in any file"),
        (["{one}", "{none}"], "none.csv: no row; expected results of one case at least"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "empty").mkdir()
    one = write(tmp_path / "one.csv", [step(A100, 1)])
    none = write(tmp_path / "none.csv", [])
    a = write_runs(tmp_path / "a", A100, 1)
    names = {"a": a, "empty": tmp_path / "empty", "one": one, "none": none}
    if says.startswith("one side"):
        arguments = ["{one}", "--by", "machine"]
    assert says in refused(capsys, *(x.format(**names) for x in arguments))


@pytest.mark.thorough
def test_help_and_comparing_need_no_torch(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('torch is not to be imported')\n")
    a, h = (write(tmp_path / f"{b.driver}.csv", results(b)) for b in (A100, H100))
    path = os.pathsep.join([str(tmp_path), SOURCES])
    for arguments in (["--help"], [str(a), str(h)]):
        done = subprocess.run(
            [sys.executable, "-m", "traincost", "compare", *arguments],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


# other tools' files


def test_pytest_benchmark_of_two_machines_is_compared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = {"bench/test_sort.py::test_sort[100]": 2e-6, "bench/test_sort.py::TestA::test_b": 1e-3}
    for node, cpu, factor in (("n1", "Xeon", 1.0), ("n2", "EPYC", 1.5)):
        slower = {name: median * factor for name, median in names.items()}
        (tmp_path / f"{node}.json").write_text(benchmark_json(node, cpu, slower))
    files = [str(tmp_path / f"n{i}.json") for i in (1, 2)]
    rows = tidy(capsys, *files)
    found = {r["case"]: r for r in rows if r["metric"] == "time_median_s" and r["case"]}
    assert set(found) == {"sort/sort[n=100]", "sort/TestA.test_b"}
    assert found["sort/sort[n=100]"]["ratio"] == pytest.approx(1.5)
    assert (found["sort/sort[n=100]"]["base"], found["sort/sort[n=100]"]["other"]) == (
        "Xeon",
        "EPYC",
    )
    notes = [r["note"] for r in rows if r["section"] == "notes"]
    assert any("does not tell: workload, device, torch" in note for note in notes)
    assert tidy(capsys, str(tmp_path)) == rows  # a folder of them


def test_ligers_csv_of_two_gpus_is_compared_its_providers_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    a = write_liger(tmp_path / "a.csv", "NVIDIA A100", 2.0)
    h = write_liger(tmp_path / "h.csv")
    rows = tidy(capsys, str(a), str(h))
    case = "rms_norm/full[H=1024,M=2048,device=cuda,dtype=bf16,impl=liger]"
    (time,) = [r for r in rows if (r["case"], r["metric"]) == (case, "time_median_s")]
    assert time["base_value"] == pytest.approx(0.2048e-3)
    assert time["ratio"] == pytest.approx(0.5)
    (memory,) = [
        r for r in rows if (r["case"], r["metric"]) == (case, "metric_allocated_peak_bytes")
    ]
    assert memory["base_value"] == 16 * 2**20
    speedups = [r for r in rows if r["section"] == "speedup"]
    assert {(r["baseline"], r["impl"]) for r in speedups} == {("huggingface", "liger")}
    assert all(r["ratio"] == pytest.approx(2.5) for r in speedups)
    text = shown(capsys, str(a), str(h))
    assert max(map(len, text.splitlines())) <= WIDTH


# fuzz


@pytest.mark.thorough
@given(st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_a_mutilated_file_is_compared_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, rng: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    a = write(folder / "a.csv", results(A100))
    (folder / "h.csv").write_bytes(mutilate(to_csv(results(H100)).encode(), rng))
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        patch.setattr("traincost.data.frames._WORTH_PARSING", rng.choice((0, 2**16)))
        code = main(["compare", str(a), str(folder / "h.csv"), "--format", "json"])
    assert code in (0, 2)
    assert (err.getvalue().count("\n") == 1) == (code == 2)
    if code == 0:
        assert json.loads(out.getvalue())["rows"]


def test_nothing_that_compare_says_is_a_command_to_githubs_runner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        row = replace(step(A100, 1), run_id=name, commit=f"{name}::error::x", case_id="::error::x")
        (tmp_path / f"{name}.csv").write_text(to_csv([row]))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for fmt in ("table", "csv", "json", "markdown"):
        text = shown(capsys, str(tmp_path), "--format", fmt, "--by", "commit")
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())


EVIL = "<img src=x> @everyone #1 [a](http://b.c) `x` *y*\n\n# title | http://d.e www.f.g"


def test_markdown_leaves_names_that_others_wrote_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        row = replace(step(A100, 1), run_id=name, case_id=EVIL, commit=name + EVIL, host=EVIL)
        (tmp_path / f"{name}.csv").write_text(to_csv([row]))
    text = shown(capsys, str(tmp_path), "--format", "markdown", "--by", "commit")
    assert "@everyone" in text
    outside = "\n".join(re.sub("`[^`\n]*`", "", line) for line in text.splitlines())
    assert not re.search(r"[<>@#`\[\]]|://|www", outside)
