"""Cases that HEAD takes out of a suite that both sides have would vanish from both unseen."""

import json
import sys
from pathlib import Path

import pytest
from ab_project import SAME, SUITE, commit, git, run_ab, write_repository

from traincost.ab.collected import GONE, NEW, cases_alone, untold
from traincost.ab.process import Ran, Sides
from traincost.ab.trees import BASE, HEAD, Tree, Trees, own_suites, trees_of
from traincost.data.side_plan import SideReport

NO_B = SUITE.replace('["a", "b"]', '["a"]')
CASES = ("nap/nap[kind=a]", "nap/nap[kind=b]")


@pytest.fixture
def shrunk(tmp_path: Path) -> Path:
    """HEAD takes a case out of its suite, and adds another suite."""
    folder = write_repository(tmp_path / "project", SAME, SAME)
    (folder / "suites/test_nap.py").write_text(NO_B)
    (folder / "suites/test_more.py").write_text(SUITE.replace("test_nap", "test_more"))
    commit(folder, "shrunk")
    return folder


def alone(own: SideReport | None, base: tuple[str, ...], *head: str) -> dict[str, str]:
    """Why cases are alone, all suites being BASE's, too, of which nap does not fit its code."""
    here = Path("/nowhere")
    sides = [Tree(side, side, here, here, None) for side in (BASE, HEAD)]
    trees = Trees(sides[0], sides[1], here, here, ("suites/test_nap.py",), (), (), HEAD)
    report = SideReport(base, uncollected=("suites/test_nap.py",))
    found = {BASE: Ran((), report, 1.0), HEAD: Ran((), SideReport(head), 1.0)}
    return cases_alone(found, trees, own)


def test_a_case_that_only_bases_own_suites_have_is_gone() -> None:
    own = SideReport(("other/a", "other/b"))
    assert alone(own, ("other/a",), "other/a") == {"other/b": GONE}
    assert GONE.startswith("on BASE only")


def test_a_new_case_of_a_suite_that_base_does_not_fit_is_new_and_its_old_ones_are_not() -> None:
    found = alone(SideReport(("nap/old", "o/a")), ("o/a",), "o/a", "nap/old", "nap/new")
    assert found["nap/new"] == NEW
    assert found["nap/old"].startswith("not compared: BASE's code does not fit")


@pytest.mark.parametrize("own", [None, SideReport(("o/a",), uncollected=("suites/test_nap.py",))])
def test_nothing_is_new_or_gone_for_certain_where_bases_own_suites_do_not_tell(
    own: SideReport | None,
) -> None:
    assert alone(own, ("o/a",), "o/a", "nap/x")["nap/x"].startswith("not compared")
    assert "not known" in untold(own)[0]
    assert untold(SideReport(("o/a",))) == ()


def test_base_has_its_own_suites_for_as_long_as_they_are_looked_at(shrunk: Path) -> None:
    with trees_of("base", None, "head", ["suites"], shrunk) as trees:
        nap, more = (trees.base.workdir / f"suites/test_{n}.py" for n in ("nap", "more"))
        with pytest.raises(ValueError), own_suites(trees):
            assert (nap.read_text(), more.exists()) == (SUITE, False)
            raise ValueError
        assert nap.read_text() == NO_B and more.is_file()
    with trees_of("base", None, "base", ["suites"], shrunk) as trees:
        assert trees.own == {}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["suites"], CASES),
        (["suites/test_nap.py", "suites/test_more.py"], CASES),
        (["suites/test_more.py"], ()),
        (["suites/test_nap.py", "-k", "b"], CASES[1:]),
    ],
)
def test_bases_own_cases_are_those_that_the_same_arguments_choose(
    arguments: list[str], found: tuple[str, ...], shrunk: Path, tmp_path: Path
) -> None:
    with trees_of("base", None, "head", ["suites"], shrunk) as trees:
        sides = Sides(trees, arguments, tmp_path, 1, dict.fromkeys((BASE, HEAD), sys.executable))
        own = sides.collect_own(120.0)
    assert own is not None and own.cases == found


@pytest.mark.slow
def test_a_required_case_that_head_takes_out_of_its_suite_ends_it_with_1(shrunk: Path) -> None:
    (shrunk / "pyproject.toml").write_text('[tool.traincost.gate]\nrequired = ["nap/*"]\n')
    commit(shrunk, "policy")
    said = run_ab(shrunk, "base", "--seed", "1", "--format", "json")
    rows = {(r["case_id"], r["metric"]): r for r in json.loads(said.output)["rows"]}
    assert said.code == 1, said.errors
    assert f"{CASES[1]}: {GONE}" in said.errors
    assert rows[CASES[1], ""]["verdict"] == "missing"
    assert rows[CASES[1], ""]["reason"] == GONE
    assert rows["nap/nap[kind=a]", "time_median_s"]["verdict"] == "held"
    assert len(git(shrunk, "worktree", "list").splitlines()) == 1


def test_no_case_fits_is_said_even_where_base_cannot_import_a_suite(shrunk: Path) -> None:
    (shrunk / "suites/test_more.py").write_text("import nap.feature\n" + SUITE)
    (shrunk / "src/nap/feature.py").write_text("")
    commit(shrunk, "feature")
    said = run_ab(shrunk, "base", "-k", "zzz")
    assert said.code == 2
    assert "HEAD (HEAD) has no case to run: no case fits -k zzz; expected" in said.errors
    assert "ImportError" not in said.errors and "ModuleNotFound" not in said.errors
    said = run_ab(shrunk, "base", "-k", "more")
    assert said.code == 2
    assert "no case in common: BASE has none, HEAD 2 (more/nap" in said.errors
    assert "BASE's code does not fit HEAD's suites/test_more.py" in said.errors
