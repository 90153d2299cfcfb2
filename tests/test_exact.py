"""Counted metrics: any growth is called, and only between builds that count alike."""

import pytest
from gate_rows import ROW, changed, line, row
from hypothesis import given
from hypothesis import strategies as st

from traincost.data.record import Record
from traincost.judge.exact import EXACT, SAME, compare, environment
from traincost.judge.gate import gate
from traincost.judge.line import Outcome
from traincost.judge.policy import Policy, Threshold

SIZES = st.integers(min_value=0, max_value=10**20)
KERNEL = {"arch": "sm_90", "registers": 64, "spill_bytes": 0, "bytes_per_element": 8.0}


def one(metric: str, base: Record, head: Record, policy: Policy | None = None) -> object:
    return line(gate([base], [head], policy or Policy()), metric)


@pytest.mark.parametrize(
    ("metric", "old", "new", "says"),
    [
        ("aten_ops", 31, 32, "31 → 32 (+1, +3.23%)"),
        ("launches", 7, 8, "7 → 8 (+1, +14.29%)"),
        ("flops", 10**9, 10**9 + 1, "1,000,000,000 → 1,000,000,001 (+1, +0.00%)"),
        ("model_flops", 100, 101, "100 → 101 (+1, +1.00%)"),
        ("compulsory_bytes", 1000, 1004, "1,000 B → 1,004 B (+4 B, +0.40%)"),
        ("live_before_bytes", 8, 16, "8 B → 16 B (+8 B, +100.00%)"),
        ("step_peak_bytes", 4096, 8192, "4,096 B → 8,192 B (+4,096 B, +100.00%)"),
        ("registers", 64, 65, "64 → 65 (+1, +1.56%)"),
        ("spill_bytes", 0, 4, "0 B → 4 B (+4 B)"),
        ("shared_bytes", 128, 256, "128 B → 256 B (+128 B, +100.00%)"),
        ("ptx_instructions", 90, 91, "90 → 91 (+1, +1.11%)"),
        ("bytes_per_element", 8.0, 12.0, "8 → 12 (+4, +50.00%)"),
    ],
)
def test_any_growth_is_a_regression_that_says_how_much(
    metric: str, old: float, new: float, says: str
) -> None:
    base, head = row("b", **{metric: old}), row("h", **{metric: new})
    report = gate([base], [head], Policy())
    found = line(report, metric)
    assert (found.verdict, found.reason, found.exit_code) == (Outcome.GREW, says, 1)
    assert (found.base, found.head) == (old, new)
    assert report.exit_code == 1
    back = gate([head], [base], Policy())
    assert (line(back, metric).verdict, back.exit_code) == (Outcome.SHRANK, 0)
    same = gate([base], [changed(base, run_id="h")], Policy())
    assert (line(same, metric).verdict, same.exit_code) == (Outcome.EQUAL, 0)


def test_traffic_that_is_counted_is_gated_and_traffic_that_is_measured_is_not() -> None:
    for source, lines in (("ops", 1), ("compulsory", 1), ("gpm", 0), ("counter", 0)):
        base = row("b", traffic_bytes=100, traffic_source=source)
        report = gate([base], [changed(base, run_id="h", traffic_bytes=101)], Policy())
        found = [v for v in report.verdicts if v.metric == "traffic_bytes"]
        assert [v.verdict for v in found] == [Outcome.GREW] * lines


CHANGES = [
    ("torch", "2.12.0", EXACT),
    ("triton", "3.6.0", EXACT),
    ("arch", "sm_80", EXACT),
    ("python", "3.14.0", ("launches",)),
    ("cuda", "12.8", ("launches", "live_before_bytes", "step_peak_bytes")),
    ("flops_convention", "other", ("flops", "model_flops")),
]
FULL = row(
    "b",
    **{metric: 100 for metric in EXACT if metric != "bytes_per_element"},
    bytes_per_element=8.0,
    traffic_source="ops",
    gpu="a GPU",
    cuda="13.0",
    arch="sm_90",
)


@pytest.mark.parametrize(("column", "value", "metrics"), CHANGES)
def test_a_metric_is_not_gated_where_what_it_depends_on_differs(
    column: str, value: str, metrics: tuple[str, ...]
) -> None:
    head = changed(FULL, run_id="h", **{column: value}, **{m: 101 for m in EXACT})
    report = gate([FULL], [head], Policy())
    apart = {v.metric for v in report.verdicts if v.verdict == Outcome.NOT_COMPARABLE}
    assert apart == set(metrics)
    assert all(f"{column} " in line(report, m).reason for m in metrics)
    assert {v.metric for v in report.verdicts if v.verdict == Outcome.GREW} == {*EXACT} - apart
    assert any(d.startswith(f"{column}:") for d in report.differences) or "conv" in column


def test_the_peak_of_a_cpu_step_depends_on_cpu_and_threads_and_that_of_a_gpu_step_does_not() -> (
    None
):
    for column, value in (("cpu", "another"), ("threads", 2)):
        cpu = row("b")
        gpu = row("b", gpu="a GPU", cuda="13.0")
        apart = [
            one("step_peak_bytes", r, changed(r, run_id="h", **{column: value})) for r in (cpu, gpu)
        ]
        verdicts = [getattr(found, "verdict", None) for found in apart]
        assert verdicts == [Outcome.NOT_COMPARABLE, Outcome.EQUAL]


def test_another_patch_release_of_python_counts_alike() -> None:
    base = row("b", launches=7)
    assert one("launches", base, changed(base, run_id="h", python="3.13.9")) == line(
        gate([base], [changed(base, run_id="h")], Policy()), "launches"
    )


def test_rows_without_a_torch_are_not_gated() -> None:
    base = row("b", torch=None)
    found = line(gate([base], [changed(base, run_id="h", flops=9999)], Policy()), "flops")
    assert (found.verdict, found.reason) == (Outcome.NOT_COMPARABLE, "torch not recorded")


def test_a_required_count_of_another_torch_is_undecided() -> None:
    base, head = row("b", run_spread_rel=0.01), row("h", torch="2.12.0")
    for metrics, code in ((("flops",), 3), ((), 0)):
        policy = Policy(required=("batch/*",), required_metrics=metrics)
        assert gate([base], [head], policy).exit_code == code


def test_every_exact_metric_is_bound_to_torch_triton_and_architecture() -> None:
    assert all({"torch", "triton", "arch"} <= set(SAME[m]) for m in EXACT)
    assert dict(environment("flops", ROW))["torch"] == "2.13.0"


@given(st.lists(SIZES, min_size=1, max_size=4), st.lists(SIZES, min_size=1, max_size=4))
def test_what_varies_between_runs_grew_only_if_all_runs_of_head_are_above_all_of_base(
    base: list[int], head: list[int]
) -> None:
    found = compare("flops", base, head)
    assert (found.outcome is Outcome.GREW) == (min(head) > max(base))
    assert (found.outcome is Outcome.SHRANK) == (max(head) < min(base))
    assert ("varies" in found.reason) == (len({*base}) > 1 or len({*head}) > 1)


def test_where_runs_vary_the_largest_of_each_side_is_shown() -> None:
    found = compare("flops", [1, 3], [2])
    assert (found.outcome, found.base, found.head, found.n) == (Outcome.EQUAL, 3, 2, 1)


@given(SIZES, st.integers(min_value=1, max_value=3))
def test_one_byte_is_seen_at_any_size(size: int, more: int) -> None:
    assert compare("flops", [size], [size + more]).outcome is Outcome.GREW
    assert compare("flops", [size + more], [size]).outcome is Outcome.SHRANK
    assert compare("flops", [size], [size]).outcome is Outcome.EQUAL


def test_the_last_digit_of_a_quotient_is_no_growth() -> None:
    assert compare("bytes_per_element", [0.1 + 0.2], [0.3]).outcome is Outcome.EQUAL
    assert compare("bytes_per_element", [0.3], [0.1 + 0.2]).outcome is Outcome.EQUAL


def test_a_threshold_allows_growth_up_to_it_and_off_all_of_it() -> None:
    allowed = Policy(thresholds=(Threshold("batch/*", "step_peak_bytes", 0.01),))
    off = Policy(thresholds=(Threshold("*", "step_peak_bytes", None),))
    for growth, policy, code, verdict in (
        (40, allowed, 0, Outcome.GREW),
        (41, allowed, 1, Outcome.GREW),
        (4096, off, 0, Outcome.NOT_GATED),
    ):
        head = row("h", step_peak_bytes=4096 + growth)
        report = gate([row("b")], [head], policy)
        assert (line(report, "step_peak_bytes").verdict, report.exit_code) == (verdict, code)
    from_nothing = gate(
        [row("b", spill_bytes=0)],
        [row("h", spill_bytes=1)],
        Policy(thresholds=(Threshold("*", "spill_bytes", 0.5),)),
    )
    assert from_nothing.exit_code == 1


def test_throttled_and_unstable_rows_count_as_well() -> None:
    for status in ("throttled", "unstable"):
        head = row("h", status=status, aten_ops=32)
        assert line(gate([row("b")], [head], Policy()), "aten_ops").verdict == Outcome.GREW


def test_a_count_that_head_has_no_more_is_missing_with_its_reason() -> None:
    head = row("h", flops=None, notes="flops: no formula for aten::x")
    report = gate([row("b")], [head], Policy())
    assert line(report, "flops").verdict == Outcome.MISSING
    assert "no formula for aten::x" in line(report, "flops").reason
    assert report.exit_code == 0
    asked = Policy(required=("batch/*",), required_metrics=("flops",))
    assert gate([row("b")], [head], asked).exit_code == 1


def test_each_build_that_both_sides_have_is_compared_and_named() -> None:
    base = [row("b1"), row("b2", torch="2.12.0", flops=900)]
    head = [row("h1"), row("h2", torch="2.12.0", flops=901)]
    found = [v for v in gate(base, head, Policy()).verdicts if v.metric == "flops"]
    assert {(v.verdict, v.reason) for v in found} == {
        (Outcome.EQUAL, "torch 2.13.0"),
        (Outcome.GREW, "torch 2.12.0: 900 → 901 (+1, +0.11%)"),
    }
