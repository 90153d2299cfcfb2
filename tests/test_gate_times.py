"""Times, energy and memory of runs in the gate: by machine, by margin, or only shown."""

import pytest
from gate_rows import REQUIRED, SLOWER, changed, line, row, runs, slower

from traincost.judge.gate import gate
from traincost.judge.line import Outcome
from traincost.judge.policy import TIME, Policy, Threshold


@pytest.mark.parametrize(
    ("share", "verdict", "code"),
    [
        (0.0, Outcome.HELD, 0),
        (0.01, Outcome.HELD, 0),
        (0.10, Outcome.REGRESSION, 1),
        (-0.10, Outcome.FASTER, 0),
    ],
)
def test_runs_that_are_not_paired_are_judged_by_their_logs(
    share: float, verdict: Outcome, code: int
) -> None:
    report = gate(runs("b", SLOWER), runs("h", slower(share)), Policy())
    found = line(report, TIME)
    assert (found.verdict, report.exit_code) == (verdict, code)
    assert found.estimate_rel == pytest.approx(share, abs=1e-9)
    assert found.upper_rel is not None and found.upper_rel > share
    assert found.n == 6 and f"{share:+.1%}" in found.reason


def test_a_margin_of_a_case_is_used_for_its_time() -> None:
    base, head = runs("b", SLOWER), runs("h", slower(0.03))
    tight = Policy(thresholds=(Threshold("batch/*", TIME, 0.02),))
    loose = Policy(thresholds=(Threshold("batch/*", TIME, 0.20),))
    assert line(gate(base, runs("h", slower(0.019)), Policy()), TIME).verdict == Outcome.HELD
    assert line(gate(base, runs("h", slower(0.0195)), tight), TIME).verdict != Outcome.HELD
    assert line(gate(base, head, Policy()), TIME).verdict == Outcome.REGRESSION
    assert line(gate(base, head, loose), TIME).verdict == Outcome.HELD  # proven, and let pass


@pytest.mark.parametrize("metric", ["gpu_energy_j", "cpu_energy_j", "device_peak_bytes"])
def test_energy_and_device_memory_are_judged_like_time(metric: str) -> None:
    base, head = (
        [changed(r, **{metric: (r.time_median_s or 0) * more}) for r in runs(side, SLOWER)]
        for side, more in (("b", 1e9), ("h", 1.1e9))
    )
    report = gate(base, head, Policy())
    assert line(report, metric).verdict == Outcome.REGRESSION
    assert line(report, TIME).verdict == Outcome.HELD
    assert report.exit_code == 1


def test_one_run_on_a_side_is_inconclusive_and_says_so() -> None:
    report = gate([row("b")], runs("h", slower(0.5)), Policy())
    found = line(report, TIME)
    assert (found.verdict, found.n, found.upper_rel) == (Outcome.INCONCLUSIVE, 1, None)
    assert "one run" in found.reason and report.exit_code == 0


def test_one_run_on_a_side_is_called_where_it_exceeds_the_recorded_spread() -> None:
    base = row("b", run_spread_rel=0.005, run_spread_n=20)
    for time_s, verdict in ((1.1e-3, Outcome.REGRESSION), (1.001e-3, Outcome.HELD)):
        report = gate([base], [row("h", time_median_s=time_s)], Policy())
        assert line(report, TIME).verdict == verdict


def test_the_larger_recorded_spread_counts() -> None:
    base = row("b", run_spread_rel=0.005, run_spread_n=20)
    head = row("h", time_median_s=1.1e-3, run_spread_rel=0.2, run_spread_n=20)
    assert line(gate([base], [head], Policy()), TIME).verdict == Outcome.INCONCLUSIVE


def test_energy_and_memory_do_not_take_the_spread_of_time() -> None:
    base = row("b", run_spread_rel=0.005, run_spread_n=20, gpu_energy_j=1.0)
    report = gate([base], [row("h", gpu_energy_j=1.2)], Policy())
    assert line(report, "gpu_energy_j").verdict == Outcome.INCONCLUSIVE


def test_times_of_another_machine_are_shown_and_never_gated() -> None:
    head = runs("h", slower(1.0), machine_id="m2", cpu="another CPU")
    report = gate(runs("b", SLOWER), head, Policy())
    found = line(report, TIME)
    assert (found.verdict, found.exit_code) == (Outcome.NOT_GATED, 0)
    assert found.estimate_rel == pytest.approx(1.0, rel=1e-6)
    assert "another machine" in found.reason and "a CPU → another CPU" in found.reason
    assert "cpu: a CPU → another CPU" in report.differences
    assert line(report, "flops").verdict == Outcome.EQUAL
    assert report.exit_code == 0  # FLOPs are gated
    assert gate(runs("b", SLOWER), head, REQUIRED).exit_code == 3


def test_a_machine_that_is_not_recorded_is_not_gated() -> None:
    report = gate(
        runs("b", SLOWER, machine_id=None), runs("h", slower(1.0), machine_id=None), Policy()
    )
    assert line(report, TIME).verdict == Outcome.NOT_GATED


def test_where_nothing_at_all_can_be_gated_the_exit_code_is_2() -> None:
    report = gate([row("b")], [row("h", machine_id="m2", torch="2.12.0")], Policy())
    assert report.exit_code == 2
    assert any("nothing could be gated" in w for w in report.warnings)


def test_each_machine_that_both_sides_have_is_judged_and_named() -> None:
    base = [*runs("b", SLOWER), *runs("c", SLOWER, machine_id="m2", cpu="CPU 2", host="two")]
    head = [
        *runs("h", SLOWER),
        *runs("i", slower(0.2), machine_id="m2", cpu="CPU 2", host="two"),
    ]
    found = [v for v in gate(base, head, Policy()).verdicts if v.metric == TIME]
    assert {(v.verdict, v.reason.partition(":")[0]) for v in found} == {
        (Outcome.HELD, "a CPU"),
        (Outcome.REGRESSION, "CPU 2"),
    }


def test_exact_only_shows_times_and_asks_nothing_of_them() -> None:
    report = gate(runs("b", SLOWER), runs("h", slower(1.0)), REQUIRED, exact_only=True)
    assert line(report, TIME).verdict == Outcome.NOT_GATED
    assert report.exit_code == 0
    grown = runs("h", SLOWER, aten_ops=32)
    assert gate(runs("b", SLOWER), grown, REQUIRED, exact_only=True).exit_code == 1


def test_a_machine_of_base_that_head_did_not_run_on_is_named_and_blocks_if_required() -> None:
    base = [*runs("b", SLOWER), *runs("c", SLOWER, machine_id="m2", cpu="CPU 2", host="two")]
    for policy, code in ((Policy(), 0), (REQUIRED, 3)):
        report = gate(base, runs("h", SLOWER), policy)
        found = (v for v in report.verdicts if v.metric == TIME)
        held, lost = sorted(found, key=lambda v: v.verdict)
        assert (held.verdict, lost.verdict) == (Outcome.HELD, Outcome.MISSING)
        assert "no run on machine m2 (CPU 2)" in lost.reason
        assert (lost.exit_code, report.exit_code) == (code, code)


COUNTS: dict[str, None] = {"aten_ops": None, "flops": None, "step_peak_bytes": None}


def test_exact_only_ends_with_1_where_head_lost_the_counts_of_a_required_case() -> None:
    base, head = runs("b", SLOWER), [changed(r, **COUNTS) for r in runs("h", SLOWER)]
    other = [row(s, case_id="other/x") for s in "xy"]
    base, head = [*base, other[0]], [*head, other[1]]
    for policy, code in ((REQUIRED, 1), (Policy(), 0)):
        report = gate(base, head, policy, exact_only=True)
        assert (line(report, "flops").exit_code, report.exit_code) == (code, code)
    off = Policy(required=("batch/*",), thresholds=(Threshold("batch/*", None, None),))
    assert gate(base, head, off, exact_only=True).exit_code == 0
    assert gate(base, head, REQUIRED).exit_code == 0  # its time is decided


def test_exact_only_ends_with_3_where_the_counts_of_a_required_case_cannot_be_compared() -> None:
    base = [*runs("b", SLOWER), row("x", case_id="other/x")]
    head = [*runs("h", SLOWER, torch="2.14.0"), row("y", case_id="other/x")]
    for policy, code in ((REQUIRED, 3), (Policy(inconclusive="fail"), 3), (Policy(), 0)):
        report = gate(base, head, policy, exact_only=True)
        assert line(report, "flops").verdict == Outcome.NOT_COMPARABLE
        assert (line(report, "flops").exit_code, report.exit_code) == (code, code)


def test_machines_that_differ_in_nothing_that_is_recorded_are_another_all_the_same() -> None:
    head = runs("h", SLOWER, machine_id="another")
    reasons = [v.reason for v in gate(runs("b", SLOWER), head, Policy()).verdicts]
    assert "another machine: times are compared, not gated" in reasons
