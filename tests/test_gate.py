"""Which cases the gate compares: those on both sides, of one workload; and rows that can't be."""

import pytest
from gate_rows import REQUIRED, ROW, SLOWER, line, row, runs, slower

from traincost.data.errors import BadInputError
from traincost.data.record import Record
from traincost.judge.gate import gate
from traincost.judge.line import Outcome
from traincost.judge.policy import TIME, Policy


def test_a_case_on_base_only_is_missing_and_ends_the_gate_only_if_required() -> None:
    base = [row("b"), row("b", case_id="other/x")]
    report = gate(base, [row("h", case_id="other/x")], Policy())
    assert (line(report).verdict, report.exit_code) == (Outcome.MISSING, 0)
    assert line(report).reason == "on BASE only"
    assert gate(base, [row("h", case_id="other/x")], REQUIRED).exit_code == 1


def test_a_case_that_head_cannot_run_is_missing_as_if_it_were_not_there() -> None:
    base = [row("b"), row("b", case_id="other/x")]
    head = [row("h", status="unavailable"), row("h", case_id="other/x")]
    report = gate(base, head, REQUIRED)
    assert (line(report).verdict, report.exit_code) == (Outcome.MISSING, 1)
    assert "unavailable" in line(report).reason


def test_a_case_that_neither_side_can_run_says_nothing_unless_it_is_required() -> None:
    base, head = ([row(s, status="unavailable"), row(s, case_id="other/x")] for s in "bh")
    assert "batch/step" not in {v.case_id for v in gate(base, head, Policy()).verdicts}
    assert gate(base, head, REQUIRED).exit_code == 1


def test_a_required_glob_that_fits_nothing_is_missing() -> None:
    report = gate([row("b")], [row("h")], Policy(required=("kernels/*",)))
    assert (line(report, "", "kernels/*").verdict, report.exit_code) == (Outcome.MISSING, 1)


def test_a_new_case_passes_even_if_required_and_fails_if_it_fails() -> None:
    base, head = [row("b", case_id="other/x")], [row("h", case_id="other/x")]
    report = gate(base, [*head, row("h")], REQUIRED)
    assert (line(report).verdict, report.exit_code) == (Outcome.NEW, 0)
    assert line(report).reason.startswith("on HEAD only")
    assert gate(base, [*head, row("h", status="error")], REQUIRED).exit_code == 1
    assert gate(base, [*head, row("h", status="error")], Policy()).exit_code == 0


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (Policy(), 0),
        (REQUIRED, 3),
        (Policy(inconclusive="fail"), 3),
        (Policy(required=("batch/*",), required_metrics=("flops",)), 0),
    ],
)
def test_inconclusive_blocks_only_where_it_was_asked_to(policy: Policy, code: int) -> None:
    report = gate([row("b")], [row("h")], policy)
    assert line(report, TIME).verdict == Outcome.INCONCLUSIVE
    assert report.exit_code == code


def test_a_regression_goes_before_what_is_undecided() -> None:
    assert gate([row("b")], [row("h", aten_ops=99)], REQUIRED).exit_code == 1


def test_another_workload_is_not_comparable_in_any_metric_and_blocks_if_required() -> None:
    head = runs("h", slower(9.0), workload="changed", flops=9999)
    for policy, code in ((Policy(), 2), (REQUIRED, 2)):  # there is nothing else to gate
        report = gate(runs("b", SLOWER), head, policy)
        (found,) = report.verdicts
        assert (found.verdict, report.exit_code) == (Outcome.NOT_COMPARABLE, code)
    base = [*runs("b", SLOWER), row("b", case_id="other/x")]
    assert gate(base, [*head, row("h", case_id="other/x")], REQUIRED).exit_code == 3


def test_with_the_same_suites_another_workload_is_the_codes_doing_and_judged() -> None:
    report = gate(
        runs("b", SLOWER), runs("h", slower(0.2), workload="changed"), Policy(), same_suites=True
    )
    assert line(report, TIME).verdict == Outcome.REGRESSION
    assert any("changed the workload" in w for w in report.warnings)


def test_rows_of_an_older_workload_are_left_out_and_counted() -> None:
    old = runs("o", [9.0] * 3, workload="older", started_at="2026-01-01T00:00:00+00:00")
    report = gate([*old, *runs("b", SLOWER)], runs("h", SLOWER), Policy())
    assert line(report, TIME).n == 6 and line(report, TIME).verdict == Outcome.HELD
    assert report.warnings == ("batch/step: 3 rows of another workload left out",)


def test_rows_without_a_workload_hash_fit_any() -> None:
    report = gate(runs("b", SLOWER, workload=None), runs("h", SLOWER), Policy())
    assert line(report, TIME).verdict == Outcome.HELD


@pytest.mark.parametrize(
    ("base", "head", "says"),
    [
        ([], [row("h")], "BASE: no rows"),
        ([row("b")], [], "HEAD: no rows"),
        ([row("b", case_id="a/x")], [row("h")], r"no case in common: BASE has 1 \('a/x'\), HEAD 1"),
        ([row("b", time_median_s=0.0)], [row("h")], "BASE, run 'b'.*time_median_s: 0.0; expected"),
        ([row("b")], [row("h", time_median_s=-1.0)], "HEAD, run 'h'.*-1.0; expected more than 0"),
        ([row("b")], [row("h", time_median_s=float("nan"))], "nan; expected more than 0"),
        ([row("b")], [row("h", gpu_energy_j=0.0)], "gpu_energy_j: 0.0"),
        ([row("b")], [row("h", aten_ops=-1)], "aten_ops: -1; expected 0 or more"),
        ([row("b")], [row("b")], "run 'b' stands in BASE and in HEAD"),
        ([row("b"), row("b")], [row("h")], "there twice"),
        ([row("b", pair=1), row("c", pair=1)], [row("h", pair=1)], "pair 1: runs 'b' and 'c'"),
    ],
)
def test_bad_rows_are_named(base: list[Record], head: list[Record], says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        gate(base, head, Policy())


def test_numbers_beyond_a_float_are_gated_without_a_share() -> None:
    report = gate([row("b", flops=1)], [row("h", flops=10**400)], Policy())
    assert line(report, "flops").verdict == Outcome.GREW
    assert line(report, "flops").estimate_rel is None


def test_regressions_come_first_and_then_what_is_undecided() -> None:
    base = [row("b", case_id=f"batch/{c}") for c in "abc"]
    head = [row("h", case_id="batch/a"), row("h", case_id="batch/b", flops=1001)]
    report = gate(base, [*head, row("h", case_id="batch/c")], Policy(required=("batch/c",)))
    assert [v.exit_code for v in report.verdicts][:3] == [1, 3, 0]
    assert ROW.suite == "batch"
