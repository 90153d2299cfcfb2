"""`traincost ab` in earnest: real revisions, real processes; what is slower is named, or said."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ab_project import SAME, SLOWER, command, commit, git, processes_in, run_ab, write_repository
from project import SOURCES, environment

from traincost.data.results import read_records

SLOW = pytest.mark.slow


@pytest.fixture
def slower(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "project", SAME, SLOWER)


@SLOW
def test_what_became_slower_is_named_and_the_files_give_the_same_verdict(slower: Path) -> None:
    said = run_ab(slower, "base", "--output", "out", "--seed", "1", "--format", "json")
    verdicts = {
        row["case_id"]: row["verdict"]
        for row in json.loads(said.output)["rows"]
        if row["metric"] == "time_median_s" and "[" in row["case_id"]
    }
    assert said.code == 1, said.errors
    assert verdicts == {"nap/nap[kind=a]": "held", "nap/nap[kind=b]": "regression"}
    assert "1 of 3 modules that ran differ: src/nap/__init__.py" in said.errors

    base, head = (read_records(slower / "out" / f"{side}.csv") for side in ("base", "head"))
    assert {r.pair for r in base} == {r.pair for r in head} >= {1, 2, 3, 4, 5, 6}
    assert {r.commit for r in base} == {git(slower, "rev-parse", "--short=12", "base")}
    again = subprocess.run(
        command("gate", "out/base.csv", "out/head.csv", "--format", "json"),
        cwd=slower,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert {
        row["case_id"]: row["verdict"]
        for row in json.loads(again.stdout)["rows"]
        if row["metric"] == "time_median_s" and "[" in row["case_id"]
    } == verdicts
    assert len(git(slower, "worktree", "list").splitlines()) == 1


@SLOW
def test_an_editable_install_does_not_make_it_compare_code_with_itself(slower: Path) -> None:
    """The original checkout's code stands on the path, as an editable install puts it there."""
    path = os.pathsep.join([str(slower / "src"), SOURCES])
    said = run_ab(slower, "base", "--seed", "1", PYTHONPATH=path)
    assert said.code == 1, said.errors
    assert "nap/nap[kind=b]" in said.output


@pytest.mark.thorough
@pytest.mark.parametrize("layout", ["src", "lib/deep"])
def test_an_installed_copy_of_the_code_under_test_is_refused(slower: Path, layout: str) -> None:
    """Both sides would run it, whatever was changed."""
    site = slower.parent / "site-packages"
    if layout != "src":
        git(slower, "mv", "src", "source")
        (slower / "lib").mkdir()
        git(slower, "mv", "source", layout)
        commit(slower, "another layout")
    (site / "nap").mkdir(parents=True)
    (site / "nap" / "__init__.py").write_text((slower / layout / "nap/__init__.py").read_text())
    (slower / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(site)!r})\n")
    commit(slower, "the installed copy comes first")
    said = run_ab(slower, "HEAD", "HEAD")
    assert said.code == 2
    assert f"nap from {site}/nap/__init__.py" in said.errors
    assert "held" not in said.output


@SLOW
def test_a_case_that_fails_on_one_side_only_is_named_and_the_others_are_judged(
    tmp_path: Path,
) -> None:
    folder = write_repository(tmp_path / "project", SAME, {"a": 0.005})
    said = run_ab(folder, "base", "--seed", "1", "--format", "json")
    rows = {(row["case_id"], row["metric"]): row for row in json.loads(said.output)["rows"]}
    assert said.code == 1, said.errors
    assert rows["nap/nap[kind=b]", ""]["verdict"] == "failed"
    assert "KeyError" in rows["nap/nap[kind=b]", ""]["reason"]
    assert rows["nap/nap[kind=a]", "time_median_s"]["verdict"] == "held"


@pytest.mark.thorough
def test_a_suite_that_cannot_be_collected_ends_it_with_its_own_words(slower: Path) -> None:
    (slower / "suites/test_nap.py").write_text("import no_such_module_anywhere\n")
    commit(slower, "broken")
    said = run_ab(slower, "base")
    assert said.code == 2
    assert "HEAD (HEAD) did not run" in said.errors
    assert "No module named 'no_such_module_anywhere'" in said.errors
    assert "Traceback" not in said.errors


@pytest.mark.thorough
def test_no_case_to_run_is_said(slower: Path) -> None:
    said = run_ab(slower, "base", "-k", "nothing_of_this_name")
    assert said.code == 2
    assert "has no case to run" in said.errors


@SLOW
def test_a_side_that_hangs_is_ended_and_named_and_nothing_is_left(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    folder = write_repository(tmp_path / "project", SAME, {"a": 0.005, "b": 1000.0})
    places = {"TMPDIR": str(scratch), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "torchs")}
    said = run_ab(folder, "base", "--budget", "20s", "--seed", "1", **places)  # BASE goes first
    assert said.code == 2
    assert "HEAD (HEAD) did not run (signal SIGKILL)" in said.errors
    assert "it did not end within" in said.errors
    assert list(scratch.iterdir()) == []
    assert len(git(folder, "worktree", "list").splitlines()) == 1
    assert not processes_in(scratch)


@pytest.mark.thorough
def test_a_budget_without_room_is_refused_with_what_it_would_take_and_leaves_no_rows(
    slower: Path,
) -> None:
    said = run_ab(slower, "base", "--budget", "1s")
    assert said.code == 2
    assert "--budget 1 s: a pair takes" in said.errors
    assert not (slower / "results").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_running_and_nothing_behind(
    slower: Path, tmp_path: Path, number: signal.Signals
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with subprocess.Popen(
        command("ab", "base", "--output", "out"),
        cwd=slower,
        env=environment(TMPDIR=str(scratch)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as ab:
        assert ab.stderr is not None
        for line in ab.stderr:
            if "s a pair" in line:
                break
        time.sleep(1.0)  # into the first pair
        assert (slower / "out").is_dir()
        ab.send_signal(number)
        assert ab.wait(60) == 130
    assert not (slower / "out").exists()
    assert list(scratch.iterdir()) == []
    assert len(git(slower, "worktree", "list").splitlines()) == 1
    assert not processes_in(scratch)


@SLOW
def test_each_side_can_be_prepared_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """What the command makes is that side's own: here a module that no tree has."""
    folder = write_repository(tmp_path / "project", SAME, SAME)
    make = "cd $VIRTUAL_ENV/lib/python*/site-packages && cp $OLDPWD/src/nap/__init__.py napped.py"
    (folder / "suites/test_nap.py").write_text(
        (folder / "suites/test_nap.py").read_text().replace("from nap", "from napped")
    )
    commit(folder, "napped")
    said = run_ab(folder, "base", "--prepare", make, "-k", "a")
    assert said.code in (0, 3), said.errors
    assert "preparing BASE" in said.errors
    refused = run_ab(folder, "base", "--prepare", "echo no; exit 3")
    assert refused.code == 2
    assert "exit code 3; expected 0:\n  no" in refused.errors
