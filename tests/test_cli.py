"""The command line: verbs, formats, one clear line for bad usage, a light `--help`."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import environment

import traincost
from traincost.cli import VERBS, main
from traincost.data.cells import read_cell
from traincost.data.record import Record
from traincost.data.results import to_csv
from traincost.show.tables import FORMATS, WIDTH, Format, render

SOURCE_ROOT = str(Path(traincost.__file__).parents[1])


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": SOURCE_ROOT}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )


def machine(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str) -> str:
    command = ["machine", "--cost-device", "cpu", "--cost-results", str(tmp_path), *arguments]
    assert main(command) == 0
    return capsys.readouterr().out


@pytest.mark.thorough
def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, traincost.cli as cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'scipy', 'numpy', 'rich'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    for arguments in (["--help"], *([verb.name, "--help"] for verb in VERBS)):
        done = python("-c", code, *arguments)
        assert done.returncode == 0, done.stderr
        assert "usage: traincost" in done.stdout
    listed = python("-m", "traincost", "--help").stdout
    assert all(verb.name in listed for verb in VERBS)


def test_python_dash_m_is_the_same_command_and_tells_its_version() -> None:
    done = python("-m", "traincost", "--version")
    assert (done.returncode, done.stdout) == (0, f"traincost {traincost.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["VERB"]),
        (["fly"], ["'fly'", "machine"]),
        (["machine", "--format", "xml"], ["--format", "'xml'", "markdown"]),
        (["machine", "--cost-device", "mps"], ["--cost-device", "'mps'", "expected", "cuda:N"]),
        (["machine", "--cost-device", "cuda:9999"], ["--cost-device", "'cuda:9999'", "expected"]),
        (["machine", "--wings"], ["--wings"]),
    ],
)
def test_bad_usage_is_one_line_with_value_and_expectation_and_exit_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: list[str]
) -> None:
    try:
        code: object = main(arguments)
    except SystemExit as e:
        code = e.code
    shown = capsys.readouterr()
    assert code == 2
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert all(text in shown.err for text in says), shown.err


def test_a_result_file_that_cannot_be_read_is_named_and_exits_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    assert main(["machine", "--cost-device", "cpu", "--cost-results", str(bad)]) == 2
    assert str(bad) in capsys.readouterr().err


def test_the_machine_table_fits_and_tells_facts_capabilities_and_peaks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shown = machine(capsys, tmp_path)
    assert max(map(len, shown.splitlines())) <= WIDTH
    for text in ("machine_id", "what can be measured here", "GPU telemetry (NVML)", "fp32 rate"):
        assert text in shown
    assert "pytest suites/test_machine.py" in shown


def test_every_format_holds_the_same_rows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from_json = json.loads(machine(capsys, tmp_path, "--format", "json"))["rows"]
    from_csv = list(csv.DictReader(io.StringIO(machine(capsys, tmp_path, "--format", "csv"))))
    names = [row["what"] for row in from_json]
    assert [row["what"] for row in from_csv] == names
    markdown = machine(capsys, tmp_path, "--format", "markdown")
    assert all(f"| {name} |" in markdown for name in names)


def test_measured_peaks_come_from_the_results_of_this_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = json.loads(machine(capsys, tmp_path, "--format", "json"))["rows"]
    own_id = next(row["value"] for row in rows if row["what"] == "machine_id")
    row = Record(
        run_id="r",
        started_at="2026-11-24T00:00:00+00:00",
        suite="machine",
        case_id="machine/matmul",
        machine_id=own_id,
        device="cpu",
        dtype="fp32",
        flops=10**9,
        time_min_s=4e-3,
    )
    (tmp_path / "run.csv").write_text(to_csv([row]))
    rows = json.loads(machine(capsys, tmp_path, "--format", "json"))["rows"]
    [peak] = [row for row in rows if row["what"] == "fp32 rate"]
    assert (peak["available"], peak["value"]) == (True, "250 GFLOP/s, measured")


COLUMNS = ("name", "size", "share", "held", "note")
ROWS = (("a|b", 3, 0.123456, True, None), ("=1+1", -4, None, False, "two\nlines"))


def test_csv_cells_that_a_spreadsheet_would_run_are_inert_and_read_back() -> None:
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'quoted", "plain"]
    text = render("t", ["cell"], [[f] for f in formulas], "csv")
    cells = [row["cell"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in cells)
    assert [read_cell(cell, str) for cell in cells] == formulas


def test_json_keeps_types_and_missing_values() -> None:
    rows = json.loads(render("t", COLUMNS, ROWS, "json"))["rows"]
    assert rows == [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]


def test_markdown_keeps_one_row_a_line_and_escapes_bars() -> None:
    lines = render("t", COLUMNS, ROWS, "markdown").splitlines()
    assert lines[-2:] == ["| a\\|b | 3 | 0.1235 | yes |  |", "| =1+1 | -4 |  | no | two lines |"]


def test_a_section_column_splits_what_people_read_and_hides_empty_columns() -> None:
    columns, rows = ("section", "x", "y"), [("one", 1, None), ("two", 2, "b")]
    assert render("t", columns, rows, "markdown") == (
        "**one**\n\n| x |\n| --- |\n| 1 |\n\n**two**\n\n| x | y |\n| --- | --- |\n| 2 | b |\n"
    )
    assert render("t", columns, rows, "csv") == "section,x,y\none,1,\ntwo,2,b\n"


def test_a_table_of_long_cells_folds_to_its_width() -> None:
    text = render("t", ["a", "b"], [["x" * 300, "[bold]not markup[/bold]"]], "table")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("x") == 300
    assert "[bold]" in text


@pytest.mark.parametrize("fmt", FORMATS)
def test_no_rows_are_still_a_table_in_every_format(fmt: Format) -> None:
    assert render("t", ["a"], [], fmt).endswith("\n")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "env", [{}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}]
)
def test_a_reader_that_stops_and_a_plain_terminal_are_no_errors(env: dict[str, str]) -> None:
    line = f"{sys.executable} -m traincost machine | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], env=environment(**env), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
