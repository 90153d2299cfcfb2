"""Runs of an A/B in the gate: judged by their ratios, in the looks that the A/B took."""

import random
from collections.abc import Callable, Sequence

import pytest
from gate_rows import REQUIRED, SLOWER, changed, line, noisy, pairs, row, runs, slower

from traincost.data.record import Record
from traincost.judge.gate import gate
from traincost.judge.line import Outcome
from traincost.judge.policy import TIME, Policy, Threshold
from traincost.judge.replay import looks_for, pairs_of, replay, with_plan
from traincost.judge.rule import Judged, Rule, Verdict
from traincost.judge.sequential import Looks, Sequential
from traincost.judge.sides import Case


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


def test_a_pair_has_the_alpha_of_one_case_beside_runs_that_are_not_paired() -> None:
    def lower(beside: Callable[..., list[Record]]) -> float | None:
        base, head = (
            [*pairs(side, t), *beside(f"{side}-other-", SLOWER, case_id="batch/other")]
            for side, t in (("b", noisy(0, 6, 1)), ("h", noisy(0.05, 6, 2)))
        )
        return line(gate(base, head, Policy()), TIME).lower_rel

    assert lower(runs) == pytest.approx(lower(pairs))


def test_energy_of_different_margins_shares_one_alpha() -> None:
    def lower(policy: Policy) -> float | None:
        base, head = (
            [
                changed(r, gpu_energy_j=r.time_median_s)
                for case in "ab"
                for r in pairs(f"{side}{case}", t, case_id=f"batch/{case}")
            ]
            for side, t in (("b", noisy(0, 6, 1)), ("h", noisy(0.05, 6, 2)))
        )
        return line(gate(base, head, policy), "gpu_energy_j", "batch/a").lower_rel

    apart = Policy(thresholds=(Threshold("batch/b", "gpu_energy_j", 0.04),))
    assert lower(apart) == pytest.approx(lower(Policy()))
