"""Result rows in Parquet: compared as their CSVs are, and refused with the place of what is bad."""

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from two_machines import A100, H100, write_runs

from traincost.cli import main
from traincost.data.errors import BadInputError
from traincost.data.parquet import read_parquet
from traincost.data.results import read_frame
from traincost.judge.cases import COLUMNS

arrow: Any = pytest.importorskip("pyarrow")
parquet: Any = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def boxes(tmp_path: Path) -> list[Path]:
    """Folders with three runs of two machines as CSV, and beside them the same as Parquet."""
    for name, box in (("a", A100), ("h", H100)):
        for csv in sorted(write_runs(tmp_path / "csv" / name, box, 3).iterdir()):
            (tmp_path / "parquet" / name).mkdir(parents=True, exist_ok=True)
            read_frame([csv]).to_parquet(tmp_path / "parquet" / name / f"{csv.stem}.parquet")
    return [tmp_path / "csv", tmp_path / "parquet"]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["compare", *arguments, "--format", "csv"]) == 0
    return capsys.readouterr().out


@pytest.mark.thorough
def test_parquet_is_compared_as_the_csv_that_it_was_made_of(
    boxes: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    csv, rows = boxes
    wanted = shown(capsys, str(csv))
    assert shown(capsys, str(rows)) == wanted
    assert shown(capsys, str(rows / "*" / "*.parquet")) == wanted
    monkeypatch.setattr("traincost.data.parquet._BATCH_ROWS", 4)
    assert shown(capsys, str(rows)) == wanted
    monkeypatch.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", -1)
    assert shown(capsys, str(rows)) == wanted


def test_a_folder_may_hold_both_and_a_run_that_is_in_both_is_refused(
    boxes: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    csv, rows = boxes
    wanted = shown(capsys, str(csv))
    (csv / "h" / "1.csv").unlink()
    (rows / "h" / "1.parquet").rename(csv / "h" / "1.parquet")
    assert sorted(shown(capsys, str(csv)).splitlines()) == sorted(wanted.splitlines())
    (rows / "h" / "2.parquet").rename(csv / "h" / "2.parquet")
    assert main(["compare", str(csv)]) == 2
    said = capsys.readouterr().err
    assert "h/2.parquet, row 1, column run_id: 'b2-2' of " in said
    assert "is also in" in said


def test_all_ways_of_writing_a_column_are_read_alike(boxes: list[Path], tmp_path: Path) -> None:
    source = next((boxes[1] / "a").iterdir())
    (wanted,) = read_parquet(source, COLUMNS)
    table = parquet.read_table(source)
    others: list[Callable[[str, Any], Any]] = [
        lambda _, cells: (
            cells.dictionary_encode() if arrow.types.is_large_string(cells.type) else cells
        ),
        lambda _, cells: cells.cast("string") if arrow.types.is_large_string(cells.type) else cells,
        lambda _, cells: cells.cast("float64") if arrow.types.is_integer(cells.type) else cells,
        lambda _, cells: arrow.nulls(len(cells)) if cells.null_count == len(cells) else cells,
    ]
    for i, change in enumerate(others):
        columns = {n: change(n, table[n].combine_chunks()) for n in table.column_names}
        parquet.write_table(arrow.table(columns), tmp_path / f"{i}.parquet")
        (found,) = read_parquet(tmp_path / f"{i}.parquet", COLUMNS)
        pd.testing.assert_frame_equal(found, wanted)


def test_an_empty_text_is_a_missing_one(boxes: list[Path], tmp_path: Path) -> None:
    frame = pd.read_parquet(next((boxes[1] / "a").iterdir()))
    frame["commit"] = ["", *frame["commit"][1:]]
    frame.to_parquet(tmp_path / "x.parquet")
    (found,) = read_parquet(tmp_path / "x.parquet", COLUMNS)
    assert found["commit"].isna().tolist() == [True] + [False] * (len(frame) - 1)


CHANGES: dict[str, tuple[str, list[Any], str]] = {
    "a status": ("status", ["ok", "fine"], r"row 2, column status: 'fine'; expected one of ok"),
    "a zero time": ("time_median_s", [1.0, 0.0], r"row 2, column time_median_s: 0: expected .* 0"),
    "a negative": ("flops", [1, -1], r"row 2, column flops: -1: expected 0 or more"),
    "infinite": ("mfu", [float("inf"), 1.0], r"row 1, column mfu: inf: expected a finite number"),
    "a fraction": ("flops", [1.0, 1.5], r"row 2, column flops: 1.5: expected an integer"),
    "text": ("time_median_s", ["1", "2"], r"schema, column time_median_s: .*string; expected a f"),
    "a number": ("commit", [7, 7], r"schema, column commit: int64; expected text"),
    "a list": ("model", [["a"], ["b"]], r"schema, column model: list.*; expected text"),
    "a NUL": ("model", ["a", "b\0"], r"row 2, column model: a NUL byte"),
    "long": ("model", ["a", "b" * 2**21], r"row 2, column model: longer than 1,048,576"),
    "no case": ("case_id", ["a", None], r"row 2, column case_id: empty; expected a value"),
    "nothing": ("case_id", ["a", ""], r"row 2, column case_id: empty; expected a value"),
    "a schema": ("schema", [1, 2], r"row 2, column schema: 2; expected 1, the one"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_bad_value_is_named_with_row_column_and_what_was_expected(
    name: str, tmp_path: Path, boxes: list[Path]
) -> None:
    column, values, says = CHANGES[name]
    source = next((boxes[1] / "a").iterdir())
    table = parquet.read_table(source).slice(0, 2)
    at = table.schema.get_field_index(column)
    cells = arrow.array(values)
    path = tmp_path / "bad.parquet"
    parquet.write_table(table.set_column(at, column, cells), path)
    with pytest.raises(BadInputError, match=rf"bad\.parquet, {says}"):
        list(read_parquet(path, COLUMNS))


@pytest.mark.parametrize("name", ["not Parquet", "cut off", "no column", "milliseconds", "twice"])
def test_a_file_that_is_no_result_is_named(
    name: str, tmp_path: Path, boxes: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source = next((boxes[1] / "a").iterdir())
    table = parquet.read_table(source)
    path = tmp_path / "bad.parquet"
    if name == "not Parquet":
        path.write_bytes(b"PAR1 or so")
    elif name == "cut off":
        path.write_bytes(source.read_bytes()[:-100])
    elif name == "no column":
        parquet.write_table(table.drop(["case_id"]), path)
    elif name == "milliseconds":
        parquet.write_table(table.append_column("time_median_ms", table["time_median_s"]), path)
    else:
        parquet.write_table(table.append_column("case_id", table["case_id"]), path)
    assert main(["compare", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"traincost compare: {path}")
    assert said.count("\n") == 1
    expected = {
        "no column": "schema: no column case_id",
        "milliseconds": "column time_median_ms; expected time_median_s",
        "twice": "column case_id twice",
    }
    assert expected.get(name, "expected a whole Parquet file") in said


def test_without_the_library_it_says_what_to_install(
    boxes: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert main(["compare", str(boxes[1])]) == 2
    assert "pip install pyarrow" in capsys.readouterr().err


def test_a_mutilated_file_is_read_or_refused(boxes: list[Path], tmp_path: Path) -> None:
    whole = next((boxes[1] / "a").iterdir()).read_bytes()
    path = tmp_path / "x.parquet"
    for seed in (*range(60), 74, 571):
        rng = random.Random(seed)
        content = bytearray(whole)
        for _ in range(rng.choice((1, 1, 3, 20))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        with suppress(BadInputError):
            assert list(read_parquet(path, COLUMNS))


def test_a_column_whose_name_is_no_text_is_refused(boxes: list[Path], tmp_path: Path) -> None:
    whole = next((boxes[1] / "a").iterdir()).read_bytes()
    path = tmp_path / "x.parquet"
    path.write_bytes(whole.replace(b"case_id", b"case_\xa3d"))
    with pytest.raises(BadInputError, match=r"can't decode byte 0xa3.*expected a whole Parquet"):
        list(read_parquet(path, COLUMNS))
