"""Fast reading: the same frame as cell by cell, or the same refusal, whatever the file holds."""

import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutilated import ROWS, mutilate

from traincost.data.errors import BadInputError
from traincost.data.frames import frame_of_rows, one_frame, read_columns
from traincost.data.plain import read_plain
from traincost.data.record import COLUMNS, REQUIRED, column_type
from traincost.data.results import read_rows, rows_of, to_csv

NAMES = [*COLUMNS, "axis_note", "metric_wait_s"]


def values(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Cells as plain values, None where missing."""
    return {
        str(n): [None if pd.isna(v) else v for v in frame[n].to_numpy(dtype=object)] for n in frame
    }


def slowly(path: Path, content: bytes) -> pd.DataFrame:
    """The frame by way of the rows."""
    return frame_of_rows(list(rows_of(path, content)), NAMES).drop(columns="line")


def test_a_plain_file_is_read_fast_and_equals_its_rows() -> None:
    pytest.importorskip("pyarrow")
    content = to_csv(ROWS).encode()
    fast = read_plain(Path("f"), content, NAMES)
    assert fast is not None
    assert values(fast) == values(slowly(Path("f"), content))
    for name in NAMES:
        number = column_type(name) in (int, float)
        assert str(fast[name].dtype) == ("float64" if number else "category")


@pytest.mark.thorough
@given(st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_what_is_read_fast_of_a_mutilated_file_is_what_is_read_cell_by_cell(
    rng: random.Random,
) -> None:
    content = mutilate(to_csv(ROWS).encode(), rng)
    if b"\0" in content or not content.endswith(b"\n"):
        return  # refused before either reader
    try:
        content.decode()
        fast = read_plain(Path("f"), content, NAMES)
    except (UnicodeDecodeError, BadInputError):
        return
    if fast is not None:
        assert values(fast) == values(slowly(Path("f"), content))


CELLS = """
1~ 1~1 ~+1~1.~.5~1.e5~1e5~1E+05~00012~-0~inf~-inf~nan~NaN~Infinity~1_000~0x10~1e999~1e-999~--1~1e
.~TRUE~True~false~1,5~1d5~\t1~1\x0b~\uff11~1+1~N/A~NULL~1f~1 e5~1e 5~- 1~1\xa0~=1~'1~1;5~1'5~#
1.5.5~-~\u0663~"1"~" 1"~""~1"~"1"2~"1""~"TRUE"
"""


@pytest.mark.parametrize(
    "column", ["mfu", "loss_last", "flops", "time_median_s", "model", "metric_wait_s"]
)
def test_a_cell_is_the_same_to_both_readers_or_refused(column: str) -> None:
    pytest.importorskip("pyarrow")
    for cell in (cell for line in CELLS.split("\n")[1:-1] for cell in line.split("~")):
        content = f"{','.join(REQUIRED)},{column}\n1,r,t,s,c,ok,{cell}\n".encode()
        fast = read_plain(Path("f"), content, [*REQUIRED, column])
        if fast is not None:
            rows = list(rows_of(Path("f"), content))
            slow = frame_of_rows(rows, [*REQUIRED, column]).drop(columns="line")
            assert values(fast) == values(slow), cell
        else:
            assert cell != "1"


def test_one_cell_of_many_that_is_no_finite_number_is_seen() -> None:
    for cells in (("1", "inf"), ("-inf", "1"), ("1", "1e999")):
        lines = [f"1,r,t,s,{i},ok,{cell}\n" for i, cell in enumerate(cells)]
        content = f"{','.join(REQUIRED)},loss_last\n{''.join(lines)}".encode()
        assert read_plain(Path("f"), content, [*REQUIRED, "loss_last"]) is None


def test_text_that_looks_like_a_number_stays_text() -> None:
    pytest.importorskip("pyarrow")
    content = to_csv([replace(ROWS[0], commit="007", model="1e5", host="TRUE")]).encode()
    fast = read_plain(Path("f"), content, NAMES)
    assert fast is not None
    assert [fast[n].tolist() for n in ("commit", "model", "host")] == [["007"], ["1e5"], ["TRUE"]]


def test_several_threads_give_the_frame_that_one_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{i}.csv" for i in range(9)]
    for i, path in enumerate(paths):
        path.write_text(to_csv([replace(row, run_id=f"r{i}") for row in ROWS]))
    names = list("aabcdefgh")
    alone = one_frame([(f, n, n) for f, n in zip(read_columns(paths, NAMES), names, strict=True)])
    monkeypatch.setattr("traincost.data.frames._WORTH_THREADS", 0)
    monkeypatch.setattr("os.sched_getaffinity", {0: {0, 1}}.__getitem__)
    together = one_frame(
        [(f, n, n) for f, n in zip(read_columns(paths, NAMES), names, strict=True)]
    )
    pd.testing.assert_frame_equal(alone, together)
    assert together.line.tolist() == [line for p in paths for line, _ in read_rows(p)]
    assert np.isclose(together.time_median_s.sum(), alone.time_median_s.sum())


@pytest.mark.parametrize("block", [1500, 4000, 2**21])
def test_a_file_that_is_parsed_in_blocks_equals_its_rows(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("traincost.data.plain._BLOCK", block)
    content = to_csv(
        [replace(row, run_id=f"r{i}", model=f"m{i // 3}") for i in range(20) for row in ROWS]
    ).encode()
    fast = read_plain(Path("f"), content, NAMES)
    assert fast is not None
    assert values(fast) == values(slowly(Path("f"), content))
    assert list(fast["model"].cat.categories) == [f"m{i}" for i in range(7)]  # as they appear


def test_without_the_fast_parser_files_are_read_cell_by_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.csv"
    path.write_text(to_csv([replace(row, run_id=f"r{i}") for i in range(99) for row in ROWS]))
    (fast,) = read_columns([path], NAMES)
    monkeypatch.setitem(sys.modules, "pyarrow.csv", None)
    assert read_plain(path, path.read_bytes(), NAMES) is None
    (slow,) = read_columns([path], NAMES)
    assert values(fast) == values(slow)


def test_a_run_that_is_in_two_files_is_named(tmp_path: Path) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_text(to_csv(ROWS))
    with pytest.raises(BadInputError, match=r"b\.csv, line 2, column run_id: .* also in .*a\.csv"):
        one_frame([(f, str(p), "") for f, p in zip(read_columns(paths, NAMES), paths, strict=True)])


def test_a_bad_cell_is_named_whoever_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(to_csv(ROWS))
    bad.write_text(to_csv(ROWS).replace(",ok,", ",fine,", 1))
    for worth in (2**40, 0):
        monkeypatch.setattr("traincost.data.frames._WORTH_THREADS", worth)
        with pytest.raises(BadInputError, match=r"bad\.csv, line 2, column status: 'fine'"):
            list(read_columns([good, bad], NAMES))
