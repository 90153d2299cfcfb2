"""Two sets of records become verdicts and an exit code: statuses, presence, machines, pairs."""

import random
from collections.abc import Callable, Sequence

import pytest
from gate_rows import ROW, SLOWER, changed, line, pairs, row, runs

from traincost.data.errors import BadInputError
from traincost.data.record import Record
from traincost.judge.gate import gate
from traincost.judge.line import Outcome
from traincost.judge.policy import TIME, Policy, Threshold
from traincost.judge.replay import looks_for, pairs_of, replay, with_plan
from traincost.judge.rule import Judged, Rule, Verdict
from traincost.judge.sequential import Looks, Sequential
from traincost.judge.sides import Case

REQUIRED = Policy(required=("batch/*",))
FAILING = ("error", "oom", "invalid", "diverged")
Rows = Callable[[str, Sequence[float]], list[Record]]


def slower(share: float) -> list[float]:
    return [t * (1 + share) for t in SLOWER]


# times


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


# statuses


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


# presence


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


# bad input


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


# pairs


def noisy(share: float, n: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [1e-3 * (1 + share) * (1 + rng.gauss(0, 0.01)) for _ in range(n)]


def test_the_files_of_an_ab_give_its_verdicts() -> None:
    """An A/B of four cases whose decided ones drop out, look by look, and the gate on its rows."""
    shares = {"batch/a": 0.0, "batch/b": 0.12, "other/c": 0.03, "other/d": -0.2}
    planned, rule = Looks().within(12), Rule()
    times = {c: (noisy(0, 12, 1), noisy(s, 12, 2)) for c, s in shares.items()}
    ab, done = Sequential(list(shares), rule, planned), dict.fromkeys(shares, 0)
    while ab.undecided:
        for case in ab.undecided:
            done[case] = ab.pairs_needed
        ab.look({c: ratios(times[c], done[c]) for c in ab.undecided})
    assert len({*done.values()}) > 1  # some dropped out
    rows = [
        [
            with_plan(r, 12)
            for c, n in done.items()
            for r in pairs(f"{s}{c}", times[c][i][:n], case_id=c)
        ]
        for i, s in enumerate("bh")
    ]
    report = gate(rows[0], rows[1], Policy())
    for case, judged in ab.verdicts.items():
        found = line(report, TIME, case)
        assert (found.verdict, found.n, found.reason) == (
            judged.verdict,
            judged.n,
            judged.reason,
        ), case


def ratios(times_s: tuple[Sequence[float], Sequence[float]], n: int) -> list[float]:
    case = Case("x", tuple(pairs("b", times_s[0][:n])), tuple(pairs("h", times_s[1][:n])))
    return list(pairs_of(case).log_ratios.values())


def test_verdicts_that_an_ab_hands_in_are_taken_as_they_are() -> None:
    judged = Judged(Verdict.REGRESSION, 0.5, 0.4, 0.6, 8, None, "as told")
    report = gate(pairs("b", SLOWER), pairs("h", SLOWER), Policy(), verdicts={"batch/step": judged})
    found = line(report, TIME)
    assert (found.verdict, found.reason, report.exit_code) == (Outcome.REGRESSION, "as told", 1)


def test_a_pair_with_a_spoilt_side_is_left_out_and_the_others_judged() -> None:
    head = pairs("h", slower(0.2))
    head[2] = changed(head[2], status="throttled")
    found = line(gate(pairs("b", SLOWER), head, Policy()), TIME)
    assert found.n == 5


def test_pairs_are_judged_by_their_ratio_whatever_the_machine_does_from_pair_to_pair() -> None:
    drift = [1e-3 * (1 + 0.3 * i) for i in range(8)]
    head = [t * (1.1 + 0.001 * (-1) ** i) for i, t in enumerate(drift)]
    assert line(gate(pairs("b", drift), pairs("h", head), Policy()), TIME).verdict == "regression"
    unpaired = gate(runs("b", drift), runs("h", head), Policy())
    assert line(unpaired, TIME).verdict == Outcome.INCONCLUSIVE


def test_pairs_that_agree_to_the_last_digit_have_bounds_that_are_numbers_or_nothing() -> None:
    report = gate(pairs("b", SLOWER[:4]), pairs("h", slower(0.5)[:4]), Policy())
    found = line(report, TIME)
    assert (found.verdict, found.lower_rel) == (Outcome.INCONCLUSIVE, None)
    assert "nan" not in found.reason


def test_runs_of_which_only_one_side_has_pairs_are_judged_as_runs() -> None:
    for base, head in (
        (pairs("b", SLOWER), runs("h", slower(0.2))),
        (runs("b", SLOWER), pairs("h", slower(0.2))),
    ):
        found = line(gate(base, head, Policy()), TIME)
        assert (found.verdict, "runs a side" in found.reason) == (Outcome.REGRESSION, True)


def test_fewer_pairs_than_the_first_look_needs_are_not_judged() -> None:
    report = gate(pairs("b", SLOWER[:3]), pairs("h", slower(1.0)[:3]), REQUIRED)
    found = line(report, TIME)
    assert (found.verdict, report.exit_code) == (Outcome.LEFT_OUT, 3)
    assert "3 pairs" in found.reason


def test_the_plan_of_an_ab_is_read_from_its_rows_and_shapes_the_looks() -> None:
    assert looks_for(6, 4) == Looks().within(6)
    assert looks_for(None, 6) == Looks()
    assert looks_for(None, 40).pairs[-1] == Looks().within(40).pairs[-1]
    noted = with_plan(row("b", notes="flops: none"), 6)
    assert noted.notes == "flops: none; pair: one of at most 6"


def test_cases_of_different_margins_share_alpha_as_if_they_had_one() -> None:
    """Else each group would have all of it."""
    base, head = tuple(pairs("b", SLOWER)), tuple(pairs("h", slower(0.02)))
    two = {c: pairs_of(Case(c, base, head)) for c in ("a", "b")}
    rules = {"a": Rule(), "b": Rule(margin_rel=0.1)}
    apart = replay(two, rules, Looks((6,)))
    together = replay(two, dict.fromkeys(two, Rule()), Looks((6,)))
    assert apart["a"].lower_rel == together["a"].lower_rel


def test_the_mean_of_a_suite_file_finds_what_every_case_hides() -> None:
    base, head = [], []
    for i in range(12):
        rng = random.Random(i)
        case = {"case_id": f"batch/case[n={i}]"}
        base += pairs(f"b{i}-", [1e-3 * (1 + rng.gauss(0, 0.01)) for _ in range(8)], **case)
        head += pairs(f"h{i}-", [1.024e-3 * (1 + rng.gauss(0, 0.01)) for _ in range(8)], **case)
    report = gate(base, head, Policy())
    mean = line(report, TIME, "batch/*")
    assert (mean.verdict, mean.exit_code) == (Outcome.REGRESSION, 1)
    assert "mean of 12 cases" in mean.reason
    singles = [v for v in report.verdicts if v.metric == TIME and v is not mean]
    assert len(singles) == 12 and not all(v.verdict == Outcome.REGRESSION for v in singles)


def test_energy_of_the_first_pair_alone_is_inconclusive_and_exact_metrics_are_taken_from_it() -> (
    None
):
    base, head = pairs("b", SLOWER), pairs("h", SLOWER)
    empty = {"flops": None, "aten_ops": None, "step_peak_bytes": None}
    base[1:], head[1:] = ([changed(r, **empty) for r in rows[1:]] for rows in (base, head))
    base[0] = changed(base[0], gpu_energy_j=1.0)
    head[0] = changed(head[0], gpu_energy_j=1.1, flops=1001)
    report = gate(base, head, REQUIRED)
    assert line(report, "gpu_energy_j").verdict == Outcome.INCONCLUSIVE
    assert line(report, "flops").verdict == Outcome.GREW


def test_what_fails_late_in_an_ab_fails_and_still_counts_as_one_of_its_cases() -> None:
    other = {"case_id": "batch/other"}
    base = [*pairs("b", SLOWER), *pairs("c", SLOWER, **other)]
    broken = pairs("i", SLOWER, **other)
    broken[5] = changed(broken[5], status="error")
    head = pairs("h", noisy(0.03, 6, 1))
    with_it = gate(base, [*head, *broken], Policy())
    without = gate(pairs("b", SLOWER), head, Policy())
    assert line(with_it, "", "batch/other").verdict == Outcome.FAILED
    two, one = line(with_it, TIME).lower_rel, line(without, TIME).lower_rel
    assert two is not None and one is not None and two < one


def test_regressions_come_first_and_then_what_is_undecided() -> None:
    base = [row("b", case_id=f"batch/{c}") for c in "abc"]
    head = [row("h", case_id="batch/a"), row("h", case_id="batch/b", flops=1001)]
    report = gate(base, [*head, row("h", case_id="batch/c")], Policy(required=("batch/c",)))
    assert [v.exit_code for v in report.verdicts][:3] == [1, 3, 0]
    assert ROW.suite == "batch"
