"""Rows that are no measurement in the gate: left out, or failed on a side or on both."""

import pytest
from gate_rows import (
    FAILING,
    REQUIRED,
    SLOWER,
    Rows,
    changed,
    line,
    noisy,
    pairs,
    row,
    runs,
    slower,
)

from traincost.data.record import Record
from traincost.judge.gate import gate
from traincost.judge.line import Outcome
from traincost.judge.policy import TIME, Policy


@pytest.mark.parametrize("status", ["throttled", "unstable"])
def test_throttled_and_unstable_runs_are_left_out_of_times_and_named(status: str) -> None:
    spoilt = changed(row("s", time_median_s=9.0), status=status)
    report = gate(runs("b", SLOWER), [*runs("h", SLOWER), spoilt], Policy())
    assert line(report, TIME).verdict == Outcome.HELD and line(report, TIME).n == 6
    assert report.left_out == (f"batch/step: 1 of 7 runs of HEAD {status}",)


def test_a_case_of_which_all_runs_are_left_out_says_so_and_blocks_if_required() -> None:
    head = runs("h", slower(1.0), status="throttled")
    for policy, code in ((Policy(), 0), (REQUIRED, 3)):
        report = gate(runs("b", SLOWER), head, policy)
        found = line(report, TIME)
        assert (found.verdict, report.exit_code) == (Outcome.LEFT_OUT, code)
        assert "6 of 6 runs of HEAD throttled" in found.reason


@pytest.mark.parametrize("status", FAILING)
def test_a_case_that_fails_on_head_only_is_a_regression_with_its_reason(status: str) -> None:
    head = [*runs("h", SLOWER), row("x", status=status, notes="status: it broke; flops: no")]
    report = gate(runs("b", SLOWER), head, Policy())
    found = line(report)
    assert (found.verdict, report.exit_code) == (Outcome.FAILED, 1)
    assert f"{status} in 1 of 7 runs" in found.reason and "it broke" in found.reason


@pytest.mark.parametrize("status", FAILING)
def test_a_case_that_fails_on_both_sides_is_named_and_ends_the_gate_only_if_required(
    status: str,
) -> None:
    other = {"case_id": "other/step"}
    base, head = (
        [row("b", status=status), row("b", **other)],
        [
            row("h", status=status),
            row("h", **other),
        ],
    )
    for policy, code in ((Policy(), 0), (REQUIRED, 1)):
        report = gate(base, head, policy)
        assert (line(report).verdict, report.exit_code) == (Outcome.FAILED, code)


def test_a_case_that_failed_in_every_run_of_base_blocks_if_required() -> None:
    base = [row("b", status="oom"), row("b", case_id="other/x")]
    head = [row("h"), row("h", case_id="other/x")]
    for policy, code in ((Policy(), 0), (REQUIRED, 3), (Policy(inconclusive="fail"), 3)):
        report = gate(base, head, policy)
        assert (line(report).verdict, line(report).exit_code) == (Outcome.NEW, code)
        assert "oom on BASE only" in line(report).reason and report.exit_code == code


@pytest.mark.parametrize("make", [runs, pairs])
@pytest.mark.parametrize("failed_run", [0, 3, 8])
def test_a_failed_run_of_base_hides_no_regression(make: Rows, failed_run: int) -> None:
    nine = (*SLOWER, *SLOWER[:3])
    base, head = (
        make("b", nine),
        make("h", [1.5 * t * (1 + 1e-4 * (i % 2)) for i, t in enumerate(nine)]),
    )
    base[failed_run] = changed(base[failed_run], status="oom", time_median_s=None)
    report = gate(base, head, Policy())
    assert (line(report, TIME).verdict, report.exit_code) == (Outcome.REGRESSION, 1)
    assert "batch/step: BASE: oom in 1 of 9 runs; judged by the other runs" in report.warnings
    same = gate(base, make("h", nine), REQUIRED)
    assert line(same, TIME).verdict in (Outcome.HELD, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize("make", [runs, pairs])
def test_failures_on_both_sides_hide_no_regression(make: Rows) -> None:
    nine = (*SLOWER, *SLOWER[:3])
    base, head = (
        make("b", nine),
        make("h", [1.5 * t * (1 + 1e-4 * (i % 2)) for i, t in enumerate(nine)]),
    )
    base[2], head[8] = (changed(r, status="oom", time_median_s=None) for r in (base[2], head[8]))
    report = gate(base, head, Policy())
    assert (line(report).verdict, line(report).exit_code) == (Outcome.FAILED, 0)
    assert (line(report, TIME).verdict, report.exit_code) == (Outcome.REGRESSION, 1)


@pytest.mark.parametrize("make", [runs, pairs])
def test_failing_in_every_run_is_a_regression_where_base_mostly_ran(make: Rows) -> None:
    def oom(rows: list[Record]) -> list[Record]:
        return [changed(r, status="oom", time_median_s=None) for r in rows]

    base, head = make("b", SLOWER), oom(make("h", SLOWER))
    for n_failed, code in ((1, 1), (2, 1), (3, 0), (5, 0)):
        report = gate([*oom(base[:n_failed]), *base[n_failed:]], head, Policy())
        assert (line(report).verdict, line(report).exit_code) == (Outcome.FAILED, code)


def test_a_case_that_failed_leaves_the_verdicts_of_the_others_as_the_ab_gave_them() -> None:
    other = {"case_id": "batch/other"}
    base = [*pairs("b", SLOWER), *pairs("c", SLOWER, **other)]
    base[9] = changed(base[9], status="oom", time_median_s=None)
    head, late = pairs("h", noisy(0.03, 6, 1)), pairs("i", SLOWER, **other)
    failing = [*late[:5], changed(late[5], status="error")]
    found = line(gate(base, [*head, *late], Policy()), TIME)
    assert found == line(gate(base, [*head, *failing], Policy()), TIME)


def test_failed_runs_of_base_of_another_workload_are_no_base() -> None:
    base = [*runs("b", SLOWER, workload="older"), row("x", status="oom", time_median_s=None)]
    report = gate(base, runs("h", slower(0.5)), REQUIRED)
    assert line(report).verdict == Outcome.NOT_COMPARABLE


def test_what_an_ab_saw_fail_on_head_fails_without_a_row_for_it() -> None:
    base, head = ([*runs(s, SLOWER), row(s, case_id="other/x")] for s in "bh")
    report = gate(base, head, Policy(), failed={"batch/step": "HEAD: no row"})
    assert (line(report).reason, report.exit_code) == ("HEAD: no row", 1)


def test_what_an_ab_saw_fail_on_base_is_judged_by_what_ran_before() -> None:
    base, head = pairs("b", SLOWER), pairs("h", [1.5 * t for t in noisy(0, 6, 1)])
    told = {"batch/step": "BASE: no row"}
    report = gate(base, head, Policy(), failed=told, verdicts={})
    assert (line(report, TIME).verdict, report.exit_code) == (Outcome.REGRESSION, 1)
    assert "batch/step: BASE: no row; judged by the other runs" in report.warnings
