"""The verdict on one case: what it needs, and what it never says."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traincost.judge.bounds import Errors, paired_bounds, plain, trimmed, trimmed_at_each_end
from traincost.judge.planning import resolvable_rel
from traincost.judge.rule import (
    Rule,
    Verdict,
    judge_cases,
    judge_paired,
    judge_suite_mean,
    judge_unpaired,
    typical_sd,
)
from traincost.judge.unpaired import typical_run_sd, welch

RULE = Rule()


def noisy(effect_rel: float, n: int, sd: float = 0.014, seed: int = 1) -> list[float]:
    """Log ratios of a case that became slower by `effect_rel`: their mean exactly that."""
    noise = np.random.default_rng(seed).standard_normal(n)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return list(math.log1p(effect_rel) + sd * noise)


@pytest.mark.parametrize(
    ("effect_rel", "verdict"),
    [
        (0.08, Verdict.REGRESSION),
        (0.03, Verdict.REGRESSION),
        (0.001, Verdict.HELD),
        (-0.015, Verdict.HELD),
        (-0.08, Verdict.FASTER),
    ],
)
def test_twelve_pairs_decide_what_lies_clear_of_floor_and_margin(
    effect_rel: float, verdict: Verdict
) -> None:
    judged = judge_paired(noisy(effect_rel, 12, sd=0.005), RULE, n_cases=30)
    assert judged.verdict is verdict
    assert judged.n == 12
    assert judged.pairs_to_decide is None


def test_a_proven_slow_down_below_the_floor_is_held() -> None:
    judged = judge_paired(noisy(0.015, 24, sd=0.001), RULE, n_cases=30)
    assert judged.lower_rel is not None and judged.lower_rel > 0
    assert judged.verdict is Verdict.HELD


def test_a_floor_above_the_margin_is_taken_at_the_margin() -> None:
    narrow = Rule(margin_rel=0.01, floor_rel=0.02)
    assert judge_paired(noisy(0.015, 24, sd=0.001), narrow, n_cases=30).verdict is (
        Verdict.REGRESSION
    )


@pytest.mark.parametrize("margin_rel", [0.1, 0.5])
def test_a_proven_slow_down_far_under_the_margin_is_held_and_one_of_the_margin_called(
    margin_rel: float,
) -> None:
    wide = Rule(margin_rel=margin_rel)
    far, at = (noisy(effect, 24, sd=0.005) for effect in (0.029, margin_rel))
    assert judge_paired(far, wide, n_cases=30).verdict is Verdict.HELD
    assert judge_paired(at, wide, n_cases=30).verdict is Verdict.REGRESSION
    assert judge_paired(noisy(-0.029, 24, sd=0.005), wide, n_cases=30).verdict is Verdict.FASTER


@pytest.mark.parametrize(("margin_rel", "floor_rel"), [(0.01, 0.01), (0.03, 0.02), (0.05, 0.02)])
def test_up_to_a_margin_of_5_percent_the_floor_is_2_percent_or_the_margin(
    margin_rel: float, floor_rel: float
) -> None:
    assert Rule(margin_rel=margin_rel).slower_floor_rel == pytest.approx(floor_rel, abs=1e-12)


def test_a_case_of_the_margin_is_called_as_surely_at_any_margin_from_5_percent_on() -> None:
    room = [math.log1p(m) - math.log1p(Rule(margin_rel=m).slower_floor_rel) for m in (0.05, 0.1, 1)]
    assert room == pytest.approx([room[0]] * 3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_up_to_three_pairs_decide_nothing(n: int) -> None:
    for effect_rel in (0.0, 0.5):
        log_ratios = [math.log1p(effect_rel)] * n
        assert judge_paired(log_ratios, RULE, n_cases=1).verdict is Verdict.INCONCLUSIVE


def test_five_pairs_that_agree_are_no_regression_and_six_are() -> None:
    five, six = ([math.log1p(0.5) + 1e-4 * i for i in range(n)] for n in (5, 6))
    assert judge_paired(five, RULE, n_cases=30).verdict is Verdict.INCONCLUSIVE
    assert judge_paired(six, RULE, n_cases=30).verdict is Verdict.REGRESSION


def test_a_spread_small_by_chance_proves_nothing_where_the_other_cases_are_noisy() -> None:
    agreeing = [0.04 + 1e-5 * i for i in range(6)]
    others = {f"case{i}": noisy(0.0, 6, sd=0.03, seed=i) for i in range(9)}
    assert judge_cases({"case": agreeing}, RULE)["case"].verdict is Verdict.REGRESSION
    judged = judge_cases({"case": agreeing, **others}, RULE)["case"]
    assert judged.verdict is Verdict.INCONCLUSIVE


def test_one_stalled_run_in_twelve_changes_no_verdict() -> None:
    for effect_rel, verdict in ((0.0, Verdict.HELD), (0.08, Verdict.REGRESSION)):
        for stall in (math.log(5), -math.log(5)):
            log_ratios = noisy(effect_rel, 12)
            log_ratios[3] += stall
            assert judge_paired(log_ratios, RULE, n_cases=30).verdict is verdict


def test_an_inconclusive_case_says_how_many_pairs_would_decide_and_they_do() -> None:
    for effect_rel in (0.0, 0.03, 0.08):
        judged = judge_paired(noisy(effect_rel, 6, sd=0.06), RULE, n_cases=30)
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert judged.pairs_to_decide is not None and judged.pairs_to_decide > 6
        assert f"about {judged.pairs_to_decide} pairs would decide" in judged.reason
        more = noisy(effect_rel, round(1.3 * judged.pairs_to_decide), sd=0.06)
        assert judge_paired(more, RULE, n_cases=30).verdict is not Verdict.INCONCLUSIVE


def test_the_reason_gives_estimate_and_bound() -> None:
    judged = judge_paired(noisy(0.004, 12), RULE, n_cases=30)
    assert judged.upper_rel is not None
    assert judged.reason == (
        f"{judged.estimate_rel:+.1%}, at most {judged.upper_rel:+.1%}, in 12 pairs"
    )


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=30),
    st.floats(0, 0.2),
    st.integers(1, 300),
)
def test_a_regression_is_above_the_floor_and_a_held_case_under_the_margin(
    log_ratios: list[float], typical: float, n_cases: int
) -> None:
    judged = judge_paired(log_ratios, RULE, n_cases=n_cases, typical_sd=typical)
    assert -1 < judged.estimate_rel < math.e
    if judged.verdict is Verdict.REGRESSION:
        assert judged.estimate_rel >= 0.02 - 1e-12
        assert judged.lower_rel is not None and judged.lower_rel > 0
        assert judged.n >= 6
    if judged.verdict is Verdict.HELD:
        assert judged.upper_rel is not None and judged.upper_rel < 0.05
        assert judged.n >= 4


@given(st.lists(st.floats(-0.3, 0.3), min_size=6, max_size=24), st.integers(2, 300))
def test_more_cases_never_make_a_regression(log_ratios: list[float], n_cases: int) -> None:
    verdicts = [judge_paired(log_ratios, RULE, n_cases=m).verdict for m in (1, n_cases)]
    if verdicts[1] is Verdict.REGRESSION:
        assert verdicts[0] is Verdict.REGRESSION


def test_turning_the_sides_round_turns_regression_into_faster() -> None:
    log_ratios = noisy(0.1, 12)
    turned = [-x for x in log_ratios]
    assert judge_paired(log_ratios, RULE, n_cases=9).verdict is Verdict.REGRESSION
    assert judge_paired(turned, RULE, n_cases=9).verdict is Verdict.FASTER


@pytest.mark.parametrize("bad", [[], [math.nan, 0.0], [math.inf] * 6])
def test_a_ratio_that_is_no_number_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        judge_paired(bad, RULE, n_cases=1)


@pytest.mark.parametrize(
    "knobs", [{"alpha": 0.0}, {"beta": 1.0}, {"margin_rel": 0.0}, {"floor_rel": math.nan}]
)
def test_a_rule_that_no_test_can_be_built_on_is_refused(knobs: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(knobs))):
        Rule(**knobs)


def test_the_trimmed_mean_and_its_error_are_those_of_scipy() -> None:
    from scipy import stats

    d = np.asarray([noisy(0.02, 24)])
    g = trimmed_at_each_end(24)
    at = trimmed(d, g)
    assert g == 2
    assert at.mean[0] == pytest.approx(stats.trim_mean(d[0], g / 24 + 1e-9))
    winsorised = np.asarray(stats.mstats.winsorize(d[0], limits=(g / 24 + 1e-9, g / 24 + 1e-9)))
    error = winsorised.std(ddof=1) / ((1 - 2 * g / 24) * np.sqrt(24))
    # Yuen divides by h(h-1) where Tukey and McLaughlin divide by (1-2g/n)² n(n-1): h/n apart
    assert at.se[0] == pytest.approx(error * np.sqrt((23 / 24) * (20 / 19)), rel=1e-12)


def test_without_trimming_the_lower_end_is_that_of_a_t_test() -> None:
    from scipy import stats

    d = np.asarray([noisy(0.02, 6)])
    bounds = paired_bounds(d, Errors(alpha=0.01, beta=0.01), 0.0)
    test = stats.ttest_1samp(d[0], 0.0, alternative="greater").confidence_interval(0.99)
    assert bounds.lower[0] == pytest.approx(test.low)
    assert plain(d).mean[0] == bounds.estimate[0]


def test_welch_is_that_of_scipy() -> None:
    from scipy import stats

    base, head = np.asarray([noisy(0, 5)]), np.asarray([noisy(0.1, 7, sd=0.03, seed=2)])
    at = welch(base, head)
    theirs: Any = stats.ttest_ind(head[0], base[0], equal_var=False)
    assert at.mean[0] / at.se[0] == pytest.approx(theirs.statistic)
    assert np.asarray(at.df)[0] == pytest.approx(theirs.df)


def test_one_run_a_side_calls_only_what_exceeds_the_recorded_spread() -> None:
    def judged(effect_rel: float, spread_rel: float | None) -> Verdict:
        return judge_unpaired(
            [0.0], [math.log1p(effect_rel)], RULE, n_cases=30, spread_rel=spread_rel, spread_n=24
        ).verdict

    assert judged(0.5, None) is Verdict.INCONCLUSIVE
    assert judged(0.5, 0.0) is Verdict.INCONCLUSIVE
    assert judged(0.5, 0.01) is Verdict.REGRESSION
    assert judged(0.04, 0.01) is Verdict.INCONCLUSIVE
    assert judged(0.0, 0.01) is Verdict.HELD


def test_runs_that_agree_by_chance_are_taken_for_as_noisy_as_the_recorded_spread() -> None:
    base, head = [0.0, 0.0001, 0.0002, 0.0], [0.03, 0.0301, 0.0302, 0.03]
    assert judge_unpaired(base, head, RULE, n_cases=30).verdict is Verdict.REGRESSION
    recorded = judge_unpaired(base, head, RULE, n_cases=30, spread_rel=0.02)
    typical = judge_unpaired(base, head, RULE, n_cases=30, typical_sd=0.02)
    assert recorded.verdict is typical.verdict is Verdict.INCONCLUSIVE


def test_the_typical_spread_is_the_median_over_cases_with_two_numbers_or_more() -> None:
    assert typical_sd([[0.0], [0.0, 2.0], [0.0, 4.0], [0.0, 6.0]]) == pytest.approx(
        4 / math.sqrt(2)
    )
    assert typical_sd([[0.0]]) is None
    assert typical_run_sd([([0.0, 2.0], [0.0])]) == pytest.approx(math.sqrt(2))


def test_a_slow_down_of_all_cases_that_none_proves_is_called_by_their_mean() -> None:
    cases = {f"case{i}": noisy(0.03, 4, sd=0.014, seed=i) for i in range(30)}
    assert {j.verdict for j in judge_cases(cases, RULE).values()} <= {
        Verdict.HELD,
        Verdict.INCONCLUSIVE,
    }
    assert judge_suite_mean(cases, RULE).verdict is Verdict.REGRESSION


def test_what_can_be_resolved_shrinks_with_pairs_and_grows_with_cases_and_spread() -> None:
    def resolvable(pairs: int, cases: int = 30, spread_rel: float = 0.01) -> float:
        return resolvable_rel(RULE, n_cases=cases, n_pairs=pairs, spread_rel=spread_rel)

    assert resolvable(5) == math.inf
    assert all(a > b for a, b in pairwise(map(resolvable, (6, 8, 12, 24))))
    assert resolvable(12, cases=300) > resolvable(12)
    assert resolvable(12, spread_rel=0.02) > resolvable(12)
