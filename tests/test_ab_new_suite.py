"""A pull request that brings a feature and its suite along: what BASE has is still compared."""

import json
import subprocess
from pathlib import Path

import pytest
from ab_project import SAME, SLOWER, command, commit, git, run_ab, write_repository
from project import environment

from traincost.data.results import read_records

FEATURE = """
import pytest
from nap.feature import deep

@pytest.mark.gate
def test_deep(train_cost):
    train_cost(deep, samples=1, phase="op")
"""

OTHER = """
import pytest, time

@pytest.mark.gate
def test_other(train_cost):
    train_cost(lambda: time.sleep(0.004), samples=1, phase="op")
"""


@pytest.fixture
def feature(tmp_path: Path) -> Path:
    """HEAD adds a module, and the suite that needs it."""
    folder = write_repository(tmp_path / "project", SAME, SAME)
    (folder / "src/nap/feature.py").write_text("def deep():\n    pass\n")
    (folder / "suites/test_deep.py").write_text(FEATURE)
    commit(folder, "feature")
    return folder


def again(folder: Path) -> tuple[int, dict[tuple[str, str], str]]:
    """The exit code and verdicts of the gate on the A/B's own files."""
    done = subprocess.run(
        command("gate", "out/base.csv", "out/head.csv", "--same-suites", "--format", "json"),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, verdicts_of(done.stdout)


def verdicts_of(text: str) -> dict[tuple[str, str], str]:
    """By case and metric."""
    return {(row["case_id"], row["metric"]): row["verdict"] for row in json.loads(text)["rows"]}


@pytest.mark.slow
def test_cases_of_a_suite_that_base_cannot_import_are_new_and_the_others_compared(
    feature: Path,
) -> None:
    said = run_ab(feature, "base", "--seed", "1", "--output", "out", "--format", "json")
    rows = {row["case_id"]: row for row in json.loads(said.output)["rows"] if not row["metric"]}
    assert said.code == 0, said.errors
    assert rows["deep/deep"]["verdict"] == "new"
    assert rows["deep/deep"]["reason"] == (
        "on HEAD only: BASE's code does not fit suites/test_deep.py"
    )
    base, head = (read_records(feature / "out" / f"{side}.csv") for side in ("base", "head"))
    timed = [[r for r in rows if r.status != "unavailable"] for rows in (base, head)]
    assert {r.suite for rows in timed for r in rows} == {"nap"}
    assert {r.commit for r in base} == {git(feature, "rev-parse", "--short=12", "base")}
    assert again(feature) == (0, verdicts_of(said.output))


@pytest.mark.slow
def test_cases_of_a_suite_that_was_adapted_to_a_refactoring_are_not_new(tmp_path: Path) -> None:
    """HEAD renames what the suite calls: BASE's code has run it, and does not fit it any more."""
    folder = write_repository(tmp_path / "project", SAME, SLOWER)
    for file in ("src/nap/__init__.py", "suites/test_nap.py"):
        text = (folder / file).read_text()
        (folder / file).write_text(text.replace("work(", "labour(").replace("t work", "t labour"))
    (folder / "suites/test_other.py").write_text(OTHER)
    (folder / "pyproject.toml").write_text('[tool.traincost.gate]\nrequired = ["nap/*"]\n')
    commit(folder, "rename")
    said = run_ab(folder, "base", "--seed", "1", "--output", "out", "--format", "json")
    verdicts = verdicts_of(said.output)
    assert said.code == 3, said.errors
    for kind in "ab":
        assert verdicts[f"nap/nap[kind={kind}]", ""] == "not comparable"
        assert f"nap/nap[kind={kind}]: not compared: BASE's code does not fit HEAD's" in said.errors
    assert verdicts["other/other", "time_median_s"] == "held"
    assert again(folder) == (3, verdicts)


@pytest.mark.thorough
def test_a_suite_that_head_cannot_import_ends_it(feature: Path) -> None:
    said = run_ab(feature, "HEAD", "base", "--suites-from", "base")
    assert said.code == 2
    assert "HEAD (base) did not run" in said.errors
    assert "No module named 'nap.feature'" in said.errors
