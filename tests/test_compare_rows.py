"""Which rows count in a comparison, and that nothing is compared that is not the same."""

from dataclasses import replace
from typing import Any

import pytest
from comparing import cases, lines
from two_machines import A100, H100, row, step

from traincost.data.errors import BadInputError
from traincost.judge.compare import compare
from traincost.judge.derived import speedups


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
