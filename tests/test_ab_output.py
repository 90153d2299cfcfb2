"""The files that an A/B leaves: those of one that ended, and never in place of another's."""

import sys
from pathlib import Path

import pytest
from ab_project import SAME, SUITE, commit, run_ab, write_repository

from traincost.ab.process import Sides
from traincost.ab.trees import BASE, HEAD, trees_of
from traincost.data.errors import BadInputError
from traincost.verbs.ab import kept_if_it_ends


def write_some(folder: Path) -> None:
    """What is there after the first pairs."""
    for name in ("base.csv", "head.csv", ".head.csv.tmp"):
        (folder / name).write_text("rows")


def test_rows_are_kept_where_the_measuring_ends(tmp_path: Path) -> None:
    with kept_if_it_ends(tmp_path / "new" / "out"):
        write_some(tmp_path / "new" / "out")
    assert (tmp_path / "new/out/base.csv").exists()


@pytest.mark.parametrize("fault", [BadInputError, KeyboardInterrupt, ValueError])
def test_neither_rows_nor_folders_are_left_where_it_does_not(
    fault: type[BaseException], tmp_path: Path
) -> None:
    with pytest.raises(fault), kept_if_it_ends(tmp_path / "new" / "out"):
        write_some(tmp_path / "new" / "out")
        raise fault
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(ValueError), kept_if_it_ends(tmp_path / "out"):
        write_some(tmp_path / "out")
        raise ValueError
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["base.csv", "head.csv"])
def test_the_results_of_another_ab_are_never_overwritten(name: str, tmp_path: Path) -> None:
    folder = write_repository(tmp_path / "project", SAME, SAME)
    (folder / "out").mkdir()
    (folder / "out" / name).write_text("of another")
    said = run_ab(folder, "base", "--output", "out")
    assert said.code == 2
    assert f"--output out: has a {name} already; expected a folder without" in said.errors
    assert {f.name: f.read_text() for f in (folder / "out").iterdir()} == {name: "of another"}


@pytest.mark.thorough
def test_a_case_that_fails_stops_no_other_whatever_the_project_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-x` among its own options would leave the other cases without a row on one side: missing."""
    folder = write_repository(tmp_path / "project", SAME, SAME)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -x\n")
    broken = SUITE.replace("work(kind)", 'work("a") if kind == "b" else work("no such kind")')
    (folder / "suites/test_nap.py").write_text(broken)
    commit(folder, "broken")
    monkeypatch.chdir(folder)
    pythons: dict[str, str] = dict.fromkeys((BASE, HEAD), sys.executable)
    with trees_of("HEAD", "HEAD", "head", ["suites"], folder) as trees:
        sides = Sides(trees, ["suites", "-x"], tmp_path, 1, pythons)
        cases = ("nap/nap[kind=a]", "nap/nap[kind=b]")
        seed = 0  # the first of them comes first, and it is the one that fails
        ran = sides.run(HEAD, 1, cases, seed=seed, untimed=False, cpus=None, timeout_s=120.0)
    assert [(r.case_id, str(r.status)) for r in ran.records] == [
        (cases[0], "error"),
        (cases[1], "ok"),
    ]
