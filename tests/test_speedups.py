"""Speedups within each machine and across, and what work costs."""

from dataclasses import replace
from typing import Any

import pytest
from comparing import cases, runs
from two_machines import A100, H100, IMPLS, results, step

from traincost.data.errors import BadInputError
from traincost.judge.derived import costs, speedups, without_impl


def test_speedups_are_derived_within_each_machine_over_a_named_baseline_and_compared() -> None:
    faster = [
        replace(r, time_median_s=r.time_median_s / 2)
        if r.impl == "liger" and r.time_median_s
        else r
        for r in results(H100)
    ]
    within, across, without = speedups(cases(results(A100), faster))
    assert not without
    liger = {(x.side, x.case_id): x for x in within if x.impl == "liger"}
    x = liger["A100-SXM4-80GB", "kernels/step[batch_size=4]"]
    assert x.baseline == "eager"
    assert x.base_value == pytest.approx(0.2)
    assert x.ratio == pytest.approx(2.5)
    both = {(x.impl, x.case_id): x for x in across}
    y = both["liger", "kernels/step[batch_size=4]"]
    assert (y.base_value, y.other_value, y.ratio) == pytest.approx((2.5, 5.0, 2.0))
    assert len(within) == 2 * 3 * (len(IMPLS) - 1)


def test_a_speedup_over_several_runs_has_an_interval_and_one_that_loses_is_shown() -> None:
    slow = [
        replace(r, time_median_s=r.time_median_s * 4)
        if r.impl == "liger" and r.time_median_s
        else r
        for r in runs(A100, 5)
    ]
    within, _, _ = speedups(cases(slow))
    (line, *_) = [x for x in within if x.impl == "liger"]
    assert line.ratio == pytest.approx(1 / 1.6)
    assert line.low and line.high and line.low < 1 / 1.6 < line.high < 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "invalid"}, "liger: liger is invalid"),
        ({"status": "oom"}, "liger: liger is oom"),
        ({"workload": "w2"}, "liger: not the same work as eager: the workload changed"),
        ({"dtype": "fp32"}, "liger: not the same work as eager: dtype bf16, fp32"),
    ],
)
def test_a_wrong_answer_or_other_work_gets_no_speedup(change: dict[str, Any], reason: str) -> None:
    found = [step(A100, 1), replace(step(A100, 1, "liger"), **change)]
    within, _, without = speedups(cases(found))
    assert not within
    assert [u.reason for u in without] == [reason]


def test_an_invalid_baseline_leaves_no_speedup_and_another_can_be_asked_for() -> None:
    found = [
        replace(step(A100, 1), status="invalid"),
        step(A100, 1, "compile"),
        step(A100, 1, "liger"),
    ]
    within, _, without = speedups(cases(found))
    assert not within
    assert {u.reason for u in without} == {"compile: eager is invalid", "liger: eager is invalid"}
    within, _, _ = speedups(cases(found), ["compile"])
    assert [(x.baseline, x.impl) for x in within] == [("compile", "liger")]
    assert within[0].ratio == pytest.approx(1.25)


def test_the_implementation_is_taken_out_of_a_case_id_wherever_it_stands() -> None:
    assert without_impl("a/b[impl=x]") == "a/b"
    assert without_impl("a/b[impl=x,n=1]") == "a/b[n=1]"
    assert without_impl("a/b[h=2,impl=x,n=1]") == "a/b[h=2,n=1]"
    assert without_impl("a/b[h=2,impl=x]") == "a/b[h=2]"
    assert without_impl("a/b[simpl=x]") == "a/b[simpl=x]"


def test_the_cost_of_a_million_follows_from_the_rate_and_the_price() -> None:
    data = cases(results(A100), results(H100))
    found = {(x.metric, x.case_id): x for x in costs(data, {"A100": 2.0, "H100": 4.0})}
    x = found["cost_per_million_samples", "kernels/step[batch_size=4]"]
    assert x.base_value == pytest.approx(2 / 3600 * 1e6 / 20)
    assert x.ratio == pytest.approx(0.8 * 2)
    tokens = found["cost_per_million_tokens", "kernels/step[batch_size=4]"]
    assert tokens.base_value == pytest.approx((x.base_value or 0) / 128)
    alone = costs(data, {"A100": 2.0})
    assert {x.other for x in alone} == {None}


def test_a_price_for_an_unknown_machine_is_bad_input() -> None:
    with pytest.raises(BadInputError, match="side 'V100': unknown"):
        costs(cases(results(A100), results(H100)), {"V100": 1.0})
