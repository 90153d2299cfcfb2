"""Result CSVs: what is written is what is read, and a bad file is named to the cell."""

import gzip
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traincost.data.cells import read_cell, write_cell
from traincost.data.errors import BadInputError
from traincost.data.record import COLUMNS, REQUIRED, Record, column_type, notes_text
from traincost.data.results import ResultFile, read_frame, read_records, result_files, to_csv

ROW = Record(
    run_id="r1", started_at="2026-11-24T08:00:00+00:00", suite="batch", case_id="batch/train_step"
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
DATA = Path(__file__).parent / "data"


@given(texts)
def test_any_text_comes_back_unchanged_and_no_cell_starts_a_formula(text: str) -> None:
    cell = write_cell(text)
    assert read_cell(cell, str) == text
    assert cell[0] not in "=+-@\t\r\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "'"])
def test_text_that_a_spreadsheet_would_run_is_written_as_text(start: str) -> None:
    assert write_cell(f"{start}1+1") == f"'{start}1+1"
    assert read_cell(f"'{start}1+1", str) == f"{start}1+1"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_to_the_bit(number: float) -> None:
    back = read_cell(write_cell(number), float)
    assert isinstance(back, float)
    assert math.copysign(1, back) == math.copysign(1, number)
    assert back == number


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_an_integer_comes_back_exactly(number: int) -> None:
    assert read_cell(write_cell(number), int) == number


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_cannot_be_written(number: float) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        write_cell(number)


@given(
    st.builds(
        replace,
        st.just(ROW),
        notes=texts,
        host=texts,
        flops=st.integers(0, 2**62),
        mfu=st.floats(0, 1),
        axes=st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), texts, max_size=3),
        metrics=st.dictionaries(
            st.from_regex(r"[a-z]{1,5}_s", fullmatch=True), st.floats(-1e9, 1e9), max_size=3
        ),
    )
)
def test_a_record_comes_back_equal(record: Record) -> None:
    # hypothesis runs this many times: the text is read from memory, as `read_rows` would
    import csv
    import io

    from traincost.data.results import record_of_row, typed_row

    header, *rows = list(csv.reader(io.StringIO(to_csv([record]), newline=""), strict=True))
    (cells,) = rows
    assert record_of_row(typed_row(Path("f"), 2, header, cells)) == record


def test_a_file_holds_one_row_a_case_and_a_later_one_replaces_it(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "a.csv")
    file.put(ROW)
    file.put(replace(ROW, case_id="batch/other"))
    file.put(replace(ROW, status="error"))
    assert [(r.case_id, r.status) for r in read_records(file.path)] == [
        ("batch/train_step", "error"),
        ("batch/other", "ok"),
    ]
    assert file.path.read_bytes().count(b"\r") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv"]


def test_a_folder_that_vanishes_midway_is_made_again_with_all_rows(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "results" / "a.csv")
    file.put(ROW)
    file.path.unlink()
    file.path.parent.rmdir()
    file.put(replace(ROW, case_id="batch/other"))
    assert len(read_records(file.path)) == 2


def test_a_very_long_cell_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(to_csv([replace(ROW, host="x" * 200_000)]))
    assert len(read_records(tmp_path / "a.csv")[0].host or "") == 200_000


def test_rounds_of_several_cases_are_one_gzip_file(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "a.csv")
    file.put_rounds("batch/a", [0.5, 0.25])
    file.put_rounds("batch/b", [1.0])
    text = gzip.decompress((tmp_path / "a.rounds.csv.gz").read_bytes()).decode()
    assert text == "case_id,round,time_s\nbatch/a,0,0.5\nbatch/a,1,0.25\nbatch/b,0,1.0\n"


def test_a_row_that_cannot_be_saved_leaves_the_earlier_ones_as_they_were(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "a.csv")
    file.put(ROW)
    before = file.path.read_bytes()
    (tmp_path / ".a.csv.tmp").mkdir()  # the temporary file cannot be opened
    with pytest.raises(OSError, match="directory"):
        file.put(replace(ROW, case_id="batch/other"))
    assert file.path.read_bytes() == before
    assert len(file.records) == 1


def test_several_runs_are_one_frame_with_exact_dtypes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(to_csv([replace(ROW, rounds=3, axes={"workers": "2"})]))
    (tmp_path / "b.csv").write_text(
        to_csv([replace(ROW, run_id="r2", mfu=0.5, metrics={"wait_s": 1.5})])
    )
    frame = read_frame([tmp_path])
    names = {int: "Int64", float: "Float64", str: "string"}
    for column in frame.columns.drop(["file", "line"]):
        assert str(frame[column].dtype) == names[column_type(column) or str], column
    assert list(frame.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert frame.rounds.tolist()[0] == 3
    assert frame.rounds.isna().tolist() == [False, True]
    assert frame.axis_workers.tolist()[0] == "2"
    assert frame.metric_wait_s.tolist()[1] == 1.5
    assert frame.line.tolist() == [2, 2]


def test_unknown_columns_are_kept_and_missing_optional_ones_accepted(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"{','.join(REQUIRED)},colour\n1,r,t,s,s/c,ok,red\n")
    frame = read_frame([file])
    assert frame.colour.tolist() == ["red"]
    assert frame.flops.isna().all()
    assert read_records(file)[0].case_id == "s/c"


HEAD = ",".join((*REQUIRED, "flops", "mfu"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: no column schema"),
        ("a,b\n", "line 1: no column schema, run_id"),
        (f"{HEAD},flops\n", "line 1: column flops twice"),
        (f"{HEAD}\n1,r,t,s,c,ok\n", "line 2: 6 cells; expected 8"),
        (
            f"{HEAD}\n1,r,t,s,c,ok,,\n1,r,t,s,d,ok,1.5,\n",
            "line 3, column flops: '1.5': expected an integer",
        ),
        (f"{HEAD}\n1,r,t,s,c,ok,1.6E+10,\n", "column flops: '1.6E+10': expected an integer"),
        (f"{HEAD}\n1,r,t,s,c,ok,{10**19},\n", "column flops: '1000000000000000000"),
        (f"{HEAD}\n1,r,t,s,c,ok,-1,\n", "line 2, column flops: -1: expected 0 or more"),
        (f"{HEAD}\n1,r,t,s,c,ok,1", "line 2: ends in '1' without a line end; expected a whole"),
        (f"{HEAD}\n1,r,t,s,c\0,ok,1,\n", "line 2: a NUL byte; expected a readable UTF-8 CSV"),
        (f"{HEAD}\n1,r,t,s,{'x' * 2**20},ok,,\n", "line 2: longer than 1,048,576 bytes"),
        (",".join(map(str, range(10**6))) + "\n", "line 1: 1,000,000 columns; expected at most"),
        (HEAD.replace(",", ";") + "\n", "expected the header of a result CSV, separated by commas"),
        (
            f"{HEAD},time_median_ms\n1,r,t,s,c,ok,,,2\n",
            "line 1: column time_median_ms; expected time_median_s, in that unit",
        ),
        (
            f"{HEAD},time_median_s\n1,r,t,s,c,ok,,,0\n",
            "line 2, column time_median_s: 0: expected a number above 0",
        ),
        (f"{HEAD}\n1,r,t,s,c,ok,,nan\n", "line 2, column mfu: 'nan': expected a finite number"),
        (f"{HEAD}\n1,r,t,s,c,ok,,1e999\n", "line 2, column mfu: '1e999': expected a finite number"),
        (f"{HEAD}\n1,r,t,s,c,ok,1_000,\n", "line 2, column flops: '1_000': expected an integer"),
        (f"{HEAD}\n1,,t,s,c,ok,,\n", "line 2, column run_id: empty; expected a value"),
        (f"{HEAD}\n2,r,t,s,c,ok,,\n", "line 2, column schema: 2; expected 1"),
        (f"{HEAD}\n1,r,t,s,c,fine,,\n", "line 2, column status: 'fine'; expected one of ok, oom"),
        (f"{HEAD}\n1,r,t,s,c,ok,,\n1,r,t,s,c,ok,,\n", "line 3, column case_id: 'c' again"),
        (f'{HEAD}\n1,r,t,s,"c,ok,,\n', "expected CSV"),
    ],
)
def test_a_bad_file_is_named_with_line_column_value_and_expectation(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(content)
    with pytest.raises(BadInputError) as error:
        read_frame([file])
    assert message in str(error.value)
    assert str(file) in str(error.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="expected a readable UTF-8 CSV"):
        read_frame([file])


def test_a_folder_gives_each_of_its_files_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(to_csv([ROW]))
    assert result_files([tmp_path, tmp_path / "a.csv"]) == [tmp_path / "a.csv"]


@pytest.mark.parametrize("name", ["gone.csv", "empty"])
def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match=f"{name}: "):
        result_files([tmp_path / name])


def test_notes_are_one_line_of_columns_and_reasons() -> None:
    text = notes_text({"flops": "no formula;\nfor aten.x", "mfu": "no peak"})
    assert text == "flops: no formula, for aten.x; mfu: no peak"
    assert notes_text({}) is None


@pytest.mark.parametrize("file", sorted(DATA.glob("schema-*.csv")), ids=lambda f: f.name)
def test_every_schema_so_far_can_be_read(file: Path) -> None:
    records = read_records(file)
    assert {r.status for r in records} >= {"ok", "unavailable"}
    assert all(r.machine_id for r in records)


def test_there_is_a_file_of_every_schema_so_far() -> None:
    from traincost.data.record import SCHEMA

    assert {f.name for f in DATA.glob("schema-*.csv")} == {
        f"schema-{n}.csv" for n in range(1, SCHEMA + 1)
    }


def test_a_file_that_grows_is_what_it_would_be_written_at_once(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "a.csv")
    for row in (
        ROW,
        replace(ROW, case_id="batch/b"),
        replace(ROW, case_id="batch/c", axes={"a_new_one": "x"}, metrics={"new_s": 1.0}),
        replace(ROW, case_id="batch/d"),
        replace(ROW, case_id="batch/c"),  # the column goes with its only row
    ):
        file.put(row)
        assert (tmp_path / "a.csv").read_text() == to_csv(file.records)
