"""Comparing results: ratios known by hand, and nothing compared that is not the same."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from two_machines import A100, H100, IMPLS, Box, again, peaks, results, row, step

from traincost.data.errors import BadInputError
from traincost.data.frames import frame_of_rows, one_frame
from traincost.data.record import Record
from traincost.data.results import to_row
from traincost.judge.cases import COLUMNS, Cases, cases_of_frame
from traincost.judge.compare import Comparison, compare
from traincost.judge.derived import costs, speedups, without_impl
from traincost.judge.intervals import median_weights, ratios, typical
from traincost.judge.lines import METRICS, Line


def frame_of(*sides: Iterable[Record]) -> pd.DataFrame:
    """A frame with an argument of the command line a side."""
    rows = [[(n + 2, to_row(r)) for n, r in enumerate(records)] for records in sides]
    names = [f"side{i}" for i in range(len(rows))]
    return one_frame([(frame_of_rows(r, COLUMNS), n, n) for r, n in zip(rows, names, strict=True)])


def cases(*sides: Iterable[Record], **options: Any) -> Cases:
    return cases_of_frame(frame_of(*sides), **options)


def runs(box: Box, n: int) -> list[Record]:
    return [record for run in range(n) for record in again(results(box), run)]


def lines(found: Comparison, metric: str) -> list[Line]:
    return [line for line in found.lines if line.metric == metric]


# intervals


def test_the_weights_of_a_median_are_the_chances_that_a_resamples_median_is_that_run() -> None:
    assert median_weights(1) == pytest.approx([1.0])
    rng = np.random.default_rng(1)
    medians = np.median(rng.integers(5, size=(200_000, 5)), axis=1)
    shares = [float((medians == i).mean()) for i in range(5)]
    assert median_weights(5) == pytest.approx(shares, abs=0.01)
    assert sum(median_weights(24)) == pytest.approx(1)


def test_a_group_has_the_median_of_its_runs_and_none_where_nothing_was_measured() -> None:
    values = np.array([3.0, 1.0, 2.0, 8.0, np.nan, 4.0, 7.0])
    found = typical(values, np.array([0, 0, 0, 1, 1, 1, -1]), 3)
    assert found.median.tolist()[:2] == [2.0, 6.0]
    assert np.isnan(found.median[2])
    assert found.runs.tolist() == [3, 2, 0]


def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    n_cases, n_runs = 4000, 5
    group = np.repeat(np.arange(n_cases), n_runs)
    noise = [np.exp(rng.normal(0, 0.02, n_cases * n_runs)) for _ in range(2)]
    base, other = (typical(v * k, group, n_cases) for v, k in zip(noise, (1.0, 3.0), strict=True))
    found = ratios(base, other)
    covered = float(((found.low <= 3) & (found.high >= 3)).mean())
    assert 0.95 <= covered <= 0.99


def test_equal_runs_have_an_interval_of_no_width() -> None:
    same = typical(np.array([5.0, 5.0, 5.0]), np.zeros(3, np.int64), 1)
    found = ratios(same, same)
    assert (found.low[0], found.ratio[0], found.high[0]) == (1, 1, 1)


# ratios


def test_two_machines_are_compared_case_by_case_in_every_quantity() -> None:
    found = compare(cases(runs(A100, 5), runs(H100, 5)))
    eager = {line.metric: line for line in found.lines if line.case_id.endswith("[batch_size=4]")}
    times = eager["time_median_s"]
    assert (times.base, times.other) == ("A100-SXM4-80GB", "H100 80GB HBM3")
    assert times.base_value == pytest.approx(0.2)
    assert times.ratio == pytest.approx(0.8)  # 200/500 of the time, and twice as inefficient
    assert times.low is not None and times.high is not None
    assert 0.78 < times.low < 0.8 < times.high < 0.82
    assert (times.interval, times.base_runs, times.other_runs) == ("runs", 5, 5)
    assert eager["time_over_roofline"].base_value == pytest.approx(10)
    assert eager["time_over_roofline"].ratio == pytest.approx(2)
    assert eager["step_peak_bytes"].ratio == 1
    assert eager["mfu"].ratio == pytest.approx(0.5)
    assert eager["intensity_flop_per_byte"].ratio == 1
    assert eager["gpu_energy_j"].ratio == pytest.approx(0.8 * 650 / 400)
    assert {m.name for m in METRICS} >= set(eager)


def test_one_run_a_side_has_no_interval_and_says_so() -> None:
    (line, *_) = lines(compare(cases(results(A100), results(H100))), "time_median_s")
    assert (line.low, line.high, line.interval) == (None, None, "none: 1 run")


def test_a_recorded_spread_between_runs_makes_an_interval_of_time_and_of_nothing_else() -> None:
    sides = [
        [replace(r, run_spread_rel=0.02, run_spread_n=30) for r in results(box)]
        for box in (A100, H100)
    ]
    found = compare(cases(*sides))
    (line, *_) = lines(found, "time_median_s")
    assert line.interval == "run_spread_rel"
    assert line.low == pytest.approx(0.8 / 1.0577, rel=0.01)  # t(58) · sqrt(2) · log 1.02
    assert {x.interval for x in lines(found, "step_peak_bytes")} == {"none: 1 run"}


def test_several_runs_are_believed_more_than_a_recorded_spread() -> None:
    known = [
        [replace(r, run_spread_rel=0.5, run_spread_n=30) for r in runs(box, 5)]
        for box in (A100, H100)
    ]
    (with_spread, *_) = lines(compare(cases(*known)), "time_median_s")
    (without, *_) = lines(compare(cases(runs(A100, 5), runs(H100, 5))), "time_median_s")
    assert with_spread == without


def test_the_error_of_an_energy_is_in_its_interval() -> None:
    (line, *_) = lines(compare(cases(results(A100), results(H100))), "gpu_energy_j")
    assert line.interval == "error bound"
    assert line.ratio and line.low == pytest.approx(line.ratio * 0.98 / 1.02)
    assert line.high == pytest.approx(line.ratio * 1.02 / 0.98)
    (wider, *_) = lines(compare(cases(runs(A100, 3), runs(H100, 3))), "gpu_energy_j")
    assert wider.interval == "runs and error bound"


def test_a_metric_of_zero_has_values_and_no_ratio() -> None:
    sides = [[step(A100, 1)], [step(H100, 1)]]
    sides = [[replace(r, step_peak_bytes=0) for r in side] for side in sides]
    (line,) = lines(compare(cases(*sides)), "step_peak_bytes")
    assert (line.base_value, line.other_value, line.ratio, line.interval) == (0, 0, None, None)


# which rows


def test_rows_that_are_not_ok_count_only_where_no_other_does_and_it_is_said() -> None:
    slow = replace(step(A100, 1), run_id="x", time_median_s=9.0, status="throttled")
    (line,) = lines(compare(cases([step(A100, 1), slow], [step(H100, 1)])), "time_median_s")
    assert line.base_value == pytest.approx(0.05)
    assert line.note == "1 throttled left out (base)"
    (line,) = lines(compare(cases([slow], [step(H100, 1)])), "time_median_s")
    assert (line.base_value, line.note) == (9.0, "1 throttled (base)")


@pytest.mark.parametrize("status", ["invalid", "error", "oom", "unavailable"])
def test_a_failed_case_has_no_ratio_and_is_listed(status: str) -> None:
    sides = [step(A100, 1), step(A100, 4)], [step(H100, 1), replace(step(H100, 4), status=status)]
    found = compare(cases(*sides))
    assert {line.case_id for line in found.lines} == {"kernels/step[batch_size=1]"}
    (left,) = found.unmatched
    assert left.reason == f"{status} on H100 80GB HBM3"


def test_one_invalid_run_makes_the_case_invalid_whatever_the_others_say() -> None:
    wrong = replace(step(H100, 1), run_id="x", status="invalid")
    found = compare(cases([step(A100, 1)], [step(H100, 1), wrong]))
    assert not found.lines


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"workload": "w2"}, "not comparable: the workload changed"),
        ({"dtype": "fp32"}, "not comparable: dtype bf16, fp32"),
        ({"matmul_precision": "tf32"}, "not comparable: matmul_precision ieee, tf32"),
        ({"batch_size": 9}, "not comparable: batch_size 1, 9"),
        ({"n_params": 9}, None),  # unknown on the other side
    ],
)
def test_other_work_under_the_same_name_is_not_compared(
    change: dict[str, Any], reason: str | None
) -> None:
    other = [replace(step(H100, 1), **change), step(H100, 4)]
    found = compare(cases([step(A100, 1), step(A100, 4)], other))
    assert [u.reason for u in found.unmatched] == ([reason] if reason else [])
    assert len(lines(found, "time_median_s")) == (1 if reason else 2)


def test_runs_of_one_side_that_did_other_work_are_not_pooled() -> None:
    mixed = [step(A100, 1), replace(step(A100, 1), run_id="x", workload="w2")]
    (left,) = compare(cases(mixed, [step(H100, 1)])).unmatched
    assert left.reason == "not comparable: several values of workload among the runs of a side"


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"traffic_source": "gpm"}, "intensity_flop_per_byte"),
        ({"flops_convention": "fma"}, "intensity_flop_per_byte"),
        ({"peak_source": "measured"}, "mfu"),
    ],
)
def test_quantities_of_another_convention_are_not_compared_and_the_time_is(
    change: dict[str, Any], metric: str
) -> None:
    found = compare(cases([step(A100, 1)], [replace(step(H100, 1), **change)]))
    assert metric in {u.metric for u in found.unmatched}
    assert not lines(found, metric)
    assert lines(found, "time_median_s")


def test_cases_on_one_side_only_are_listed() -> None:
    found = compare(cases([step(A100, 1), step(A100, 4)], [step(H100, 1), step(H100, 16)]))
    assert {(u.case_id, u.reason) for u in found.unmatched} == {
        ("kernels/step[batch_size=4]", "on A100-SXM4-80GB only"),
        ("kernels/step[batch_size=16]", "on H100 80GB HBM3 only"),
    }


def test_no_case_in_common_is_bad_input_that_names_a_case_of_each() -> None:
    data = cases([step(A100, 1)], [step(H100, 4)])
    with pytest.raises(BadInputError, match=r"no case in common: A100.*batch_size=1\] and H100"):
        compare(data)


# sides


def test_cpu_and_cuda_rows_of_a_box_are_different_sides_that_never_meet() -> None:
    def cpu(record: Record) -> Record:
        case = record.case_id.replace("step", "cpu_step")
        return replace(record, device="cpu", gpu=None, machine_id="cpu", case_id=case)

    boxes = [[step(box, 1), cpu(step(box, 1))] for box in (A100, H100)]
    data = cases(*boxes)
    assert [(s.name, s.device) for s in data.sides.sides] == [
        ("A100-SXM4-80GB", "cuda"),
        ("EPYC", "cpu"),  # the same machine for CPU rows, whatever card is in it
        ("H100 80GB HBM3", "cuda"),
    ]
    assert data.sides.pairs(None) == [(0, 2)]


def test_machines_of_one_gpu_are_told_apart_by_what_differs() -> None:
    newer = replace(A100, machine_id="c3" * 6, driver="570.1")
    data = cases([step(A100, 1)], [replace(step(newer, 1), torch="2.14.0")])
    assert [s.name for s in data.sides.sides] == [
        "A100-SXM4-80GB, driver 550.54",
        "A100-SXM4-80GB, driver 570.1",
    ]


def test_what_differs_is_named_clocks_and_measured_peaks_included() -> None:
    found = compare(cases(results(A100), results(H100)))
    (facts,) = found.facts.values()
    differs = {f.name: (f.base, f.other) for f in facts if f.differs}
    assert differs["driver"] == ("550.54", "580.95")
    assert differs["sm_clock_mean_hz"] == (1.41e9, 1.98e9)
    assert differs["measured peak, bf16"] == (200e12, 500e12)
    assert differs["measured peak, memory"] == (1.5e12, 2.5e12)
    assert {"torch", "python", "threads"} <= {f.name for f in facts if not f.differs}


def test_sides_are_machines_else_commits_else_arguments_else_runs() -> None:
    one = step(A100, 1)
    commit = replace(one, run_id="x", commit="b" * 12)
    run = replace(one, run_id="x")
    assert cases([one, step(H100, 1)]).sides.by == "machine"
    by_commit = cases([one, commit]).sides
    assert (by_commit.by, [s.name for s in by_commit.sides]) == ("commit", ["012345678", "b" * 9])
    assert cases([one], [run]).sides.by == "argument"
    assert cases([one, run]).sides.by == "run"
    assert len(cases([one], [run], by="machine").sides.sides) == 1


def test_the_base_can_be_asked_for_by_any_name_of_it() -> None:
    for name in ("H100 80GB HBM3", "h100", "b2" * 6, "box-b2", "NVIDIA H100 80GB HBM3"):
        data = cases(results(A100), results(H100), base=name)
        assert data.sides.pairs(data.base) == [(1, 0)], name
    for name, says in (("V100", "unknown"), ("100", "fits several")):
        with pytest.raises(BadInputError, match=f"side '{name}': {says}; expected one of 'A100"):
            compare(cases(results(A100), results(H100), base=name))


def test_three_machines_are_each_compared_with_the_first() -> None:
    b200 = replace(H100, gpu="NVIDIA B200", machine_id="d4" * 6)
    found = compare(cases(results(A100), results(H100), results(b200)))
    assert {(s.base, s.other) for s in found.summaries} == {
        ("A100-SXM4-80GB", "H100 80GB HBM3"),
        ("A100-SXM4-80GB", "B200"),
    }


# normalised by peaks


def test_without_measured_peaks_time_is_not_normalised_and_it_is_said() -> None:
    sides = [[r for r in results(box) if r.suite != "machine"] for box in (A100, H100)]
    found = compare(cases(*sides))
    assert not lines(found, "time_over_roofline")
    assert sum("no measured peaks" in note for note in found.notes) == 2


def test_a_peak_that_rows_were_divided_by_serves_if_it_was_measured() -> None:
    def stated(box: Box, source: str) -> Record:
        known: Any = {
            "peak_flops_per_s": box.peak_flops_per_s,
            "peak_bytes_per_s": box.peak_bytes_per_s,
        }
        return replace(step(box, 1), peak_source=source, **known)

    found = compare(cases([stated(A100, "measured")], [stated(H100, "measured")]))
    assert [line.ratio for line in lines(found, "time_over_roofline")] == pytest.approx([2])
    found = compare(cases([stated(A100, "datasheet")], [stated(H100, "datasheet")]))
    assert not lines(found, "time_over_roofline")


def test_a_step_bound_by_memory_is_measured_against_the_copy() -> None:
    sides = [
        [*peaks(box), replace(step(box, 1), flops=1, compulsory_bytes=3 * 10**9)]
        for box in (A100, H100)
    ]
    (line,) = lines(compare(cases(*sides)), "time_over_roofline")
    assert line.base_value == pytest.approx(0.05 / (3e9 / 1.5e12))


# speedups


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


# costs


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


def test_a_row_without_a_case_of_its_own_kind_is_no_trouble() -> None:
    data = cases(
        [row(A100, "a/b", dtype=None, impl=None)], [row(H100, "a/b", dtype=None, impl=None)]
    )
    found = compare(data)
    assert not found.lines
    assert speedups(data) == ([], [], [])


def test_no_rows_at_all_are_bad_input() -> None:
    with pytest.raises(BadInputError, match="no row in any file"):
        cases([])
