"""Files that tell a comparison nothing, and a system that does not let it read in parts."""

import resource
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from two_machines import A100, H100, step, write, write_runs

from traincost.cli import main
from traincost.data.results import to_csv

LARGE = 10**9


@pytest.fixture(params=[LARGE, -1], ids=["one frame", "in parts"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", request.param)
    monkeypatch.setattr("traincost.judge.streamed._ROWS_A_PART", 1)


def empty_parquet(path: Path) -> Path:
    row = replace(step(A100, 1), driver=None)  # of which pandas would make a number
    whole = pd.read_csv(StringIO(to_csv([row]))).dropna(axis="columns")
    whole.iloc[:0].to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("verb", ["compare", "report"])
def test_an_argument_without_a_row_is_refused_by_its_name(
    kind: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    a, h = (str(write(Path(f"{n}.csv"), [step(box, 1)])) for n, box in (("a", A100), ("h", H100)))
    none = Path(f"none.{kind}")
    silent = str(write(none, []) if kind == "csv" else empty_parquet(none))
    more = ["-o", "r.html"] if verb == "report" else []
    assert main([verb, a, silent, h, *more]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        f"traincost {verb}: none.{kind}: no row; expected results of one case at least\n",
    )


def test_a_file_without_a_row_in_a_folder_with_others_is_noted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_runs(Path("a"), A100, 2)
    write_runs(Path("h"), H100, 2)
    write(Path("h/none.csv"), [])
    empty_parquet(Path("h/none.parquet"))
    assert main(["compare", "a", "h"]) == 0
    out = capsys.readouterr().out
    assert "h/none.csv: no row" in out
    assert "h/none.parquet: no row" in out
    assert "2, 2" in out  # runs


def test_a_file_without_a_row_is_no_side(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("a/a.csv"), [step(A100, 1), step(A100, 1, "liger")])
    write(Path("a/none.csv"), [])
    assert main(["compare", "a/*.csv", "--format", "json"]) == 0
    assert "'none" not in capsys.readouterr().out


@pytest.fixture
def few_files() -> Iterator[None]:
    """This process may open a few more files, and no more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    free = [number for number in range(2000) if number not in opened]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[8], limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_too_few_open_files_for_the_parts_are_one_line_and_nothing_is_left(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", -1)
    aside = Path("aside")
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside.resolve()))
    for run in range(12):
        many = [replace(step(A100, n), run_id=f"r{run}") for n in range(1, 9)]
        write(Path("a") / f"{run}.csv", many)
    write(Path("h.csv"), [step(H100, 1)])
    assert main(["compare", "a", "h.csv"]) == 0  # it could, with files enough
    capsys.readouterr()
    request.getfixturevalue("few_files")
    assert main(["compare", "a", "h.csv"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Too many open files; expected" in err
    assert "`ulimit -n`" in err
    assert not any(aside.iterdir())


def test_no_folder_for_the_parts_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", -1)
    monkeypatch.setattr("tempfile.tempdir", "/proc/self")
    a, h = (str(write(Path(f"{n}.csv"), [step(box, 1)])) for n, box in (("a", A100), ("h", H100)))
    assert main(["compare", a, h]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "expected a folder for the rows that are put aside (TMPDIR can name one)" in err
