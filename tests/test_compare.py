"""Comparing results: ratios known by hand, in every quantity, and over measured peaks."""

from dataclasses import replace
from typing import Any

import pytest
from comparing import cases, lines, runs
from two_machines import A100, H100, Box, peaks, results, step

from traincost.data.record import Record
from traincost.judge.compare import compare
from traincost.judge.lines import METRICS


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
