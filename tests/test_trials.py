"""The real study: true comparisons of known code, and many drawn from their pairs."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from ab_project import command, git, processes_in
from project import environment

from traincost.ab.planted import MORE_PASSES, PASSES, PLAIN, SLOWER, write_repository
from traincost.ab.trials import Sizes, Trial, Tried, run_trials
from traincost.judge.resampled import Resampled, resample
from traincost.judge.study import Share
from traincost.judge.verdict import Verdict
from traincost.show.real import COLUMNS, progress_line, study_rows

SITE = """
from traincost.instruments import clock
clock.UNSTABLE_REL = clock.DRIFT_REL = clock.WAITED_REL = float("inf")
"""
"""For a busy machine: no row of it is left out."""

SAME = Trial(PLAIN, PLAIN, 2, 120.0, 0.05)
SLOW = Trial(PLAIN, SLOWER, 2, 120.0, 0.05)
SLOW_CASE, OTHER = "trainee/step[batch_size=16,width=64]", "trainee/step[batch_size=32,width=64]"


def pool(sd: float, mean: float = 0.0, n_pairs: int = 24) -> dict[str, dict[int, float]]:
    """Real pairs of 20 cases, as far as the judge can tell."""
    d = np.random.default_rng(1).normal(mean, sd, (20, n_pairs))
    return {f"c{i}": dict(enumerate(row.tolist(), 1)) for i, row in enumerate(d)}


def cells(tried: list[Tried], resampled: list[Resampled]) -> list[dict[str, object]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in study_rows(tried, resampled)]


def test_the_revisions_differ_in_the_work_of_one_case_only(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    write_repository(folder, 6)
    changed = git(folder, "diff", "-U0", PLAIN, SLOWER).splitlines()
    lines = [line for line in changed if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert lines == ["-PASSES = {}", f"+PASSES = {{(64, 16): {MORE_PASSES}}}"]
    assert pytest.approx(1.08) == MORE_PASSES / PASSES
    assert git(folder, "status", "--porcelain") == ""


def test_the_study_fits_35_minutes_and_has_what_was_promised() -> None:
    trials = Sizes().trials()
    assert sum(t.budget_s for t in trials) <= 35 * 60
    assert [(t.n_cases, t.budget_s) for t in trials if t.n_cases > 6] == [(20, 600.0)]
    assert sum(t.planted for t in trials) == 5
    assert sum(not t.planted for t in trials) >= 6 + 1


def test_comparisons_drawn_from_quiet_pairs_are_held_and_a_planted_one_is_called() -> None:
    same, slow = (resample(pool(0.01), effect_rel) for effect_rel in (0.0, 0.08))
    assert (same.false_alarms, same.called) == (Share(0, 200), None)
    assert same.passed == Share(200, 200)
    assert slow.called == Share(200, 200)
    assert slow.false_alarms == Share(0, 200)


def test_what_few_real_pairs_have_for_a_mean_by_chance_is_no_change() -> None:
    assert resample(pool(0.02, mean=0.03)).false_alarms.hits < 10


def test_a_pair_that_was_left_out_of_a_case_takes_no_other_case_along() -> None:
    holed = pool(0.01)
    del holed["c0"][1], holed["c1"][2]
    assert resample(holed).n_pairs == 24


def test_a_false_alarm_is_whatever_is_called_and_did_not_change() -> None:
    both = {SLOW_CASE: Verdict.REGRESSION, OTHER: Verdict.REGRESSION, "trainee/*": Verdict.HELD}
    mean = {SLOW_CASE: Verdict.HELD, OTHER: Verdict.HELD, "trainee/*": Verdict.REGRESSION}
    planted = Tried(SLOW, 1, 60.0, verdicts=both)
    assert (planted.slow_case, planted.called) == (SLOW_CASE, True)
    assert planted.false_alarms == (OTHER,)
    assert Tried(SLOW, 1, 60.0, verdicts=mean).false_alarms == ()
    assert not Tried(SLOW, 1, 60.0, verdicts=mean).called
    assert Tried(SAME, 1, 60.0, verdicts=both).false_alarms == (SLOW_CASE, OTHER)
    assert Tried(SAME, 1, 60.0, verdicts=mean).false_alarms == ("trainee/*",)


def test_rates_count_comparisons_that_came_to_verdicts_and_the_others_are_listed() -> None:
    held = {SLOW_CASE: Verdict.HELD, OTHER: Verdict.HELD}
    tried = [
        Tried(SAME, 0, 60.0, verdicts=held, machine="box"),
        Tried(SAME, 2, 5.0, fault="no room on disk"),
        Tried(SLOW, 0, 60.0, verdicts=held, estimates_rel={SLOW_CASE: 0.079}, machine="box"),
    ]
    rows = cells(tried, [resample(pool(0.01))])
    assert [r["comparison"] for r in rows if r["section"] == "machine"] == ["box"]
    listed = [r for r in rows if r["section"] == "runs of traincost ab"]
    assert [r["fault"] for r in listed] == [None, "no room on disk", None]
    assert (listed[2]["called"], listed[2]["slow case"]) == ("no", "+7.9%")
    rates = {r["comparison"]: r for r in rows if r["section"] == "rates"}
    same = rates["runs of traincost ab, identical code"]
    assert (same["comparisons"], same["false alarms"]) == (1, "0 [0, 97.5]")
    assert rates["runs of traincost ab, one case does 8% more"]["called"] == "0 [0, 97.5]"
    assert rates["drawn from real pairs, identical code"]["false alarms"] == "0 [0, 1.8]"


def test_progress_says_what_came_last_and_the_time_left() -> None:
    trials = [SAME, SLOW, SLOW]
    assert progress_line([], trials) == "0 of 3 done; at most 6 min left"
    done = [Tried(SAME, 0, 61.0)]
    said = "1 of 3 done (identical code: 0 false alarms, 0 pairs, 61 s); at most 4 min left"
    assert progress_line(done, trials) == said


@pytest.mark.slow
def test_a_real_comparison_judges_the_case_that_does_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tried,) = run_trials([Trial(PLAIN, SLOWER, 2, 600.0, 0.05)])
    assert tried.fault == ""
    assert tried.slow_case == SLOW_CASE
    assert tried.verdicts.keys() == {SLOW_CASE, OTHER, "trainee/*"}
    assert tried.pairs >= 4 and len(tried.log_ratios[OTHER]) >= 4
    assert "torch" in tried.machine


@pytest.mark.thorough
def test_an_interruption_leaves_no_tree_and_no_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("calibrate", "--only", "real"),
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as study:
        assert study.stderr is not None
        assert study.stderr.readline() == "0 of 12 done; at most 32 min left\n"
        while not list(tmp_path.glob("traincost-ab-*/head")):
            assert study.poll() is None
            time.sleep(0.1)
        study.send_signal(signal.SIGINT)
        assert study.wait(60) == 130
    assert list(tmp_path.iterdir()) == []
    assert not processes_in(tmp_path)
