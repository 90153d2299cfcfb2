"""Rows read in parts: the comparison that one frame of them gives, word for word."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_machines import A100, H100, Box, again, benchmark_json, results, write, write_runs

from traincost.cli import main
from traincost.data.errors import BadInputError
from traincost.data.record import Record, Status
from traincost.data.spill import Spill

STATUSES = (*(["ok"] * 12), *map(str, Status))
CHANGES: tuple[dict[str, Any], ...] = (
    {"workload": "w2"},
    {"batch_size": 99},
    {"dtype": "fp32"},
    {"commit": "b" * 12},
    {"commit": None},
    {"machine_id": None, "gpu": None},
    {"device": "cpu", "gpu": None, "machine_id": "cpu"},
    {"torch": "2.14.0", "threads": 8},
    {"traffic_source": "gpm"},
    {"time_median_s": None},
    {"run_spread_rel": 0.02, "run_spread_n": 30},
    {"peak_source": "measured", "peak_flops_per_s": 1e14, "peak_bytes_per_s": 1e12},
    {"peak_source": "measured", "peak_flops_per_s": 2e14, "peak_bytes_per_s": 2e12},
    {"impl": None},
    {"pair": 1},
)


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A few rows are many; as many parts as a few rows allow."""
    monkeypatch.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", -1)
    monkeypatch.setattr("traincost.judge.streamed._ROWS_A_PART", 4)
    yield monkeypatch
    monkeypatch.undo()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code and both streams."""
    code = main(["compare", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def disturbed(box: Box, run: int, rng: random.Random) -> list[Record]:
    """A run of a box in which some rows failed, and some are of other work or another machine."""
    found: list[Record] = []
    for record in again(results(box), run):
        row = replace(record, status=rng.choice(STATUSES), sm_clock_mean_hz=rng.uniform(1e9, 2e9))
        if rng.random() < 0.3:
            row = replace(row, **rng.choice(CHANGES))
        if rng.random() < 0.9:
            found.append(row)
    rng.shuffle(found)
    return found


OPTIONS = ((), ("--by", "commit"), ("--by", "argument", "--price-per-hour", "a=2"), ("--by", "run"))


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(12))
def test_what_is_read_in_parts_is_compared_as_in_one_frame(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], in_parts: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    for run in range(4):
        for name, box in (("a", A100), ("h", H100)):
            write(tmp_path / name / f"{run}.csv", disturbed(box, run, rng))
    folders = [str(tmp_path / name) for name in ("a", "h")]
    for options in OPTIONS:
        arguments = (*folders, *options, "--format", "csv")
        parts = told(capsys, *arguments)
        with in_parts.context() as whole:
            whole.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", 10**9)
            assert told(capsys, *arguments) == parts
        assert parts[0] == 0 or parts[2]


def test_the_table_for_people_and_other_tools_files_are_the_same_in_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], in_parts: pytest.MonkeyPatch
) -> None:
    folders = [str(write_runs(tmp_path / n, box, 3)) for n, box in (("a", A100), ("h", H100))]
    other = tmp_path / "laptop.json"
    other.write_text(benchmark_json("laptop", "laptop", {"test_sort.py::test_sort": 1e-3}))
    parts = told(capsys, *folders, str(other))
    in_parts.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", 10**9)
    assert told(capsys, *folders, str(other)) == parts
    assert "0.800x" in parts[1]
    assert "laptop.json (pytest-benchmark)" in " ".join(parts[1].split()), "wrapped or not"


@pytest.mark.parametrize("damage", ["status", "twice", "empty", "nothing in common"])
def test_bad_files_are_refused_in_the_same_words(
    damage: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    in_parts: pytest.MonkeyPatch,
) -> None:
    write_runs(tmp_path / "a", A100, 3)
    files = sorted((tmp_path / "a").iterdir())
    header = files[0].read_text().partition("\n")[0] + "\n"
    if damage == "status":
        files[1].write_text(files[1].read_text().replace(",ok,", ",fine,", 1))
    elif damage == "twice":
        for name in ("7.csv", "8.csv"):
            write(tmp_path / "a" / name, again(results(A100), 1)[3:6])
    elif damage == "empty":
        for file in files:
            file.write_text(header)
    else:
        write(tmp_path / "a" / "9.csv", results(H100, [77])[2:])
        files[0].unlink()
    code, out, said = told(capsys, str(tmp_path / "a"))
    assert (code, out) == (2, "")
    expected = {
        "status": "1.csv, line 2, column status: 'fine'",
        "twice": "7.csv, line 2, column run_id",
        "empty": "no row in any file",
        "nothing in common": "no case in common",
    }
    assert expected[damage] in said
    in_parts.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", 10**9)
    assert told(capsys, str(tmp_path / "a")) == (code, out, said)


@pytest.mark.parametrize("bad", [False, True])
def test_nothing_is_left_of_what_was_put_aside(
    bad: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    in_parts: pytest.MonkeyPatch,
) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    in_parts.setattr("tempfile.tempdir", str(aside))
    folders = [str(write_runs(tmp_path / n, box, 3)) for n, box in (("a", A100), ("h", H100))]
    if bad:
        (tmp_path / "h" / "2.csv").write_text("x")
    assert told(capsys, *folders)[0] == (2 if bad else 0)
    assert not any(aside.iterdir())


def test_rows_put_aside_come_back_by_part_in_their_order() -> None:
    rng = np.random.default_rng(0)
    blocks: list[dict[str, Any]] = [
        {
            "code": rng.integers(-1, 3, n).astype(np.int32),
            "same": np.full(n, n, np.int32),
            "number": rng.normal(size=n),
            "missing": np.full(n, np.nan),
        }
        for n in (1, 40, 7)
    ]
    parts = [rng.integers(0, 4, len(block["code"])) for block in blocks]
    with Spill(("code", "same"), ("number", "missing"), 5) as spill:
        for block, part in zip(blocks, parts, strict=True):
            spill.add(block, part)
        found = list(spill.parts())
    assert len(found) == 5
    for i, rows in enumerate(found):
        for name in blocks[0]:
            wanted = [b[name][p == i] for b, p in zip(blocks, parts, strict=True)]
            np.testing.assert_array_equal(rows[name], np.concatenate(wanted))


def test_a_full_disk_is_bad_input_that_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    with Spill(("code",), (), 1) as spill, Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(spill, "_files", [full])
        with pytest.raises(BadInputError, match=r"No space left.*TMPDIR can name a larger disk"):
            spill.add({"code": np.arange(9, dtype=np.int32)}, np.zeros(9, np.int64))
