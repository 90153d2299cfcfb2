"""A pull request that brings a feature and its suite along: what BASE has is still compared."""

import json
from pathlib import Path

import pytest
from ab_project import SAME, commit, git, run_ab, write_repository

from traincost.data.results import read_records

FEATURE = """
import pytest
from nap.feature import deep

@pytest.mark.gate
def test_deep(train_cost):
    train_cost(deep, samples=1, phase="op")
"""


@pytest.fixture
def feature(tmp_path: Path) -> Path:
    """HEAD adds a module, and the suite that needs it."""
    folder = write_repository(tmp_path / "project", SAME, SAME)
    (folder / "src/nap/feature.py").write_text("def deep():\n    pass\n")
    (folder / "suites/test_deep.py").write_text(FEATURE)
    commit(folder, "feature")
    return folder


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
    assert {r.suite for r in base} == {r.suite for r in head} == {"nap"}
    assert {r.commit for r in base} == {git(feature, "rev-parse", "--short=12", "base")}


def test_a_suite_that_head_cannot_import_ends_it(feature: Path) -> None:
    said = run_ab(feature, "HEAD", "base", "--suites-from", "base")
    assert said.code == 2
    assert "HEAD (base) did not run" in said.errors
    assert "No module named 'nap.feature'" in said.errors
