"""What tells sides apart, held against numbers computed from the rows by hand.

Every test runs twice, on rows in one frame and on rows read in parts.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from two_machines import A100, H100, Box, again, benchmark_json, results, step, write, write_runs

from traincost.cli import main
from traincost.data.record import Record

Compared = dict[str, tuple[str, str, float, float, float, int, int]]
Key = Callable[[str, Record], str | None]
KEYS: dict[str, Key] = {
    "machine": lambda _, r: r.machine_id,
    "commit": lambda _, r: r.commit,
    "argument": lambda argument, _: argument,
    "run": lambda _, r: r.run_id,
}


@pytest.fixture(params=["one frame", "in parts"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows of whatever number in one frame, or a few rows in as many parts as they allow."""
    if request.param == "in parts":
        monkeypatch.setattr("traincost.verbs.compare._MOST_ROWS_IN_MEMORY", -1)
        monkeypatch.setattr("traincost.judge.streamed._ROWS_A_PART", 4)
    yield


def tidy(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["compare", *arguments, "--format", "json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def times(rows: list[dict[str, Any]]) -> Compared:
    """Of each case: both sides' names, values, the ratio, both numbers of runs."""
    names = ("base", "other", "base_value", "other_value", "ratio", "base_runs", "other_runs")
    found: Compared = {}
    for row in rows:
        if (row["section"], row["metric"]) == ("comparison", "time_median_s"):
            assert row["case"] not in found
            found[row["case"]] = tuple(row[name] for name in names)
    return found


def sides(rows: list[dict[str, Any]]) -> list[str]:
    return [row["side"] for row in rows if row["section"] == "sides"]


def by_hand(arguments: dict[str, list[Record]], key: Key) -> dict[str, tuple[float, ...]]:
    """Of each case that the first two keys have: medians, ratio, numbers of runs."""
    found: dict[str, dict[str | None, list[float]]] = {}
    for argument, records in arguments.items():
        for record in records:
            if record.time_median_s is not None:
                of_case = found.setdefault(record.case_id, {})
                of_case.setdefault(key(argument, record), []).append(record.time_median_s)
    return {
        case: (median(a), median(b), median(b) / median(a), len(a), len(b))
        for case, (a, b) in ((case, tuple(of.values())) for case, of in found.items())
    }


def disturbed(box: Box, rng: random.Random, n_runs: int) -> list[Record]:
    """Runs of a box, each time off by its own factor."""
    return [
        replace(r, time_median_s=r.time_median_s and r.time_median_s * rng.uniform(0.5, 2))
        for run in range(n_runs)
        for r in again(results(box), run)
    ]


@pytest.mark.parametrize("by", ["machine", "commit", "argument", "run"])
@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_side_has_the_medians_and_ratios_of_its_own_rows(
    by: str, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(f"{by} {seed}")
    n_runs = (1, 1) if by == "run" else (3, 2)
    rows = [disturbed(box, rng, n) for box, n in zip((A100, H100), n_runs, strict=True)]
    if by in ("commit", "argument"):  # all of one machine
        same: dict[str, Any] = {
            "machine_id": A100.machine_id,
            "gpu": A100.gpu,
            "driver": A100.driver,
        }
        rows[1] = [replace(r, **same, commit="b" * 12) for r in rows[1]]
    if by == "argument":  # rows of both commits in either file
        mixed = [r for pair in zip(*rows, strict=False) for r in pair]
        rows = [mixed[: len(mixed) // 3], mixed[len(mixed) // 3 :]]
        common = {r.case_id for r in rows[0]} & {r.case_id for r in rows[1]}
        rows = [[r for r in of if r.case_id in common] for of in rows]
    files = {str(tmp_path / f"{n}.csv"): of for n, of in zip("ah", rows, strict=True)}
    for path, of in files.items():
        write(Path(path), of)
    expected = by_hand(files, KEYS[by])
    found = times(tidy(capsys, *files, "--by", by, "--metric", "time"))
    assert len(expected) >= 3
    assert found.keys() == expected.keys()
    for case, numbers in found.items():
        assert numbers[2:] == pytest.approx(expected[case], rel=1e-12), case


def test_files_of_one_machine_and_commit_are_told_apart_without_being_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [replace(r, run_id=f"b{i}") for i in range(3) for r in (step(A100, 1), step(A100, 4))]
    after = [
        replace(r, run_id=f"h{r.run_id}", time_median_s=(r.time_median_s or 0) * 2) for r in before
    ]
    files = [str(write(tmp_path / n, rows)) for n, rows in (("b.csv", before), ("h.csv", after))]
    for more in ((), ("--by", "argument")):
        rows = tidy(capsys, *files, *more)
        assert sides(rows) == files
        found = times(rows)
        assert found["kernels/step[batch_size=1]"] == (*files, 0.05, 0.1, 2.0, 3, 3)
        assert found["kernels/step[batch_size=4]"] == (*files, 0.2, 0.4, 2.0, 3, 3)


def test_folders_of_two_machines_stand_apart_by_argument_as_they_do_by_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(write_runs(tmp_path / n, box, 3)) for n, box in (("a", A100), ("h", H100))]
    found = times(tidy(capsys, *folders, "--by", "argument"))
    assert {case: line[2:] for case, line in found.items()} == {
        case: line[2:] for case, line in times(tidy(capsys, *folders, "--by", "machine")).items()
    }
    assert {line[:2] for line in found.values()} == {tuple(folders)}
    assert found["kernels/step[batch_size=1]"][2:] == pytest.approx((0.05, 0.04, 0.8, 3, 3))


def test_an_argument_that_names_several_machines_is_one_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "mixed" / "a.csv", [step(A100, 1)])
    write(tmp_path / "mixed" / "h.csv", [step(H100, 1)])
    alone = write(tmp_path / "alone.csv", [replace(step(A100, 1), run_id="x", time_median_s=0.09)])
    names = [str(tmp_path / "mixed"), str(alone)]
    rows = tidy(capsys, *names, "--by", "argument")
    (line,) = times(rows).values()
    assert line == pytest.approx((*names, 0.045, 0.09, 2.0, 2, 1))


def test_cpu_and_cuda_rows_of_an_argument_are_two_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def both(box: Box) -> list[Record]:
        cpu = replace(step(box, 1), device="cpu", case_id="kernels/on_cpu", gpu=None)
        return [step(box, 1), replace(cpu, time_median_s=(cpu.time_median_s or 0) * 3)]

    names = [str(write(tmp_path / f"{b.driver}.csv", both(b))) for b in (A100, H100)]
    rows = tidy(capsys, *names, "--by", "argument")
    assert sides(rows) == [names[0], names[0], names[1], names[1]]
    found = {case: line[2:] for case, line in times(rows).items()}
    assert found["kernels/step[batch_size=1]"] == pytest.approx((0.05, 0.04, 0.8, 1, 1))
    assert found["kernels/on_cpu"] == pytest.approx((0.15, 0.12, 0.8, 1, 1))


def test_pytest_benchmark_of_one_machine_is_compared_file_by_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "before.json", tmp_path / "after.json"]
    for file, factor in zip(files, (1.0, 1.25), strict=True):
        medians = {"test_sort.py::test_a": 2e-6 * factor, "test_sort.py::test_b": 4e-6 / factor}
        file.write_text(benchmark_json("laptop", "Xeon", medians))
    names = [str(file) for file in files]
    found = times(tidy(capsys, *names))
    assert found["sort/a"] == pytest.approx((*names, 2e-6, 2.5e-6, 1.25, 1, 1))
    assert found["sort/b"] == pytest.approx((*names, 4e-6, 3.2e-6, 0.8, 1, 1))


@pytest.mark.parametrize("by", ["machine", "commit", "run"])
def test_rows_without_a_key_stand_under_the_argument_that_brought_them(
    by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = {"machine": ("machine_id", "gpu", "cpu", "host"), "commit": ("commit",)}
    unknown: dict[str, Any] = dict.fromkeys(missing.get(by, ()))
    rows = [[replace(step(A100, 1), run_id=n, **unknown)] for n in "ah"]
    rows[1] = [replace(r, time_median_s=0.075) for r in rows[1]]
    names = [str(write(tmp_path / f"{n}.csv", of)) for n, of in zip("ah", rows, strict=True)]
    (line,) = times(tidy(capsys, *names, "--by", by, "--metric", "time")).values()
    assert line[2:] == pytest.approx((0.05, 0.075, 1.5, 1, 1))
    expected = ("a", "h") if by == "run" else tuple(f"unknown of {name}" for name in names)
    assert line[:2] == expected
