"""From measured passes to a row: sources, workloads, notes."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from traincost.assemble import Metrics, Origin, record_of, workload_of
from traincost.data.case import Case, case_from_test
from traincost.instruments.arithmetic import Arithmetic
from traincost.instruments.clock import MIN_ROUNDS
from traincost.instruments.energy import Energy
from traincost.instruments.gpm import Activity
from traincost.instruments.memory import Memory
from traincost.measure import Losses, Measured, Timing, Work

ORIGIN = Origin("r1", "2026-11-24T08:00:00+00:00", {"machine_id": "m", "threads": 1})
COUNTED = Arithmetic(5, 100, 90, "convention", ops_bytes=800, compulsory_bytes=200)
MEASURED = Measured(
    Timing(0.5, (2.0,) * MIN_ROUNDS, 1, steady=True),
    COUNTED,
    None,
    Memory(step_peak_bytes=7),
    Losses(2.0, 1.0, 8),
    Energy(),
)


def step() -> None:
    """A step of no work."""


WORK = Work(step, samples=4, phase="step")


def case_of(**params: Any) -> Case:
    return case_from_test("test_a", "test_step", params)


def test_eager_traffic_is_counted_op_by_op_and_fused_traffic_is_the_compulsory_bytes() -> None:
    eager = record_of(case_of(), WORK, MEASURED, ORIGIN, None, {})
    fused = record_of(case_of(impl="compile"), WORK, MEASURED, ORIGIN, None, {})
    assert (eager.traffic_bytes, eager.traffic_source) == (800, "ops")
    assert (fused.traffic_bytes, fused.traffic_source) == (200, "compulsory")
    assert eager.compulsory_bytes == fused.compulsory_bytes == 200


def test_traffic_that_the_gpu_counted_comes_first_and_its_shares_are_metrics() -> None:
    seen = Activity(traffic_bytes=500.4, tensor_share=0.5, sm_share=0.9)
    measured = replace(MEASURED, energy=Energy(activity=seen))
    for impl in ("eager", "compile"):
        record = record_of(case_of(impl=impl), WORK, measured, ORIGIN, None, {})
        assert (record.traffic_bytes, record.traffic_source) == (500, "gpm")
        assert record.intensity_flop_per_byte == 100 / 500
        assert dict(record.metrics) == {"gpm_tensor_share": 0.5, "gpm_sm_share": 0.9}


def test_fewer_rounds_than_the_least_are_noted() -> None:
    few = replace(MEASURED, timing=replace(MEASURED.timing, rounds_s=(2.0,) * 3))
    record = record_of(case_of(), WORK, few, ORIGIN, None, {})
    assert record.rounds == 3
    assert "rounds: 3 in the budget" in (record.notes or "")


def test_a_metric_named_as_a_column_fills_it_and_any_other_is_the_suites_own() -> None:
    metrics: Metrics = {"accuracy_heldout": 0.5, "glow_s": lambda: 3}
    record = record_of(case_of(), WORK, MEASURED, ORIGIN, None, metrics)
    assert record.accuracy_heldout == 0.5
    assert dict(record.metrics) == {"glow_s": 3.0}


def test_a_metric_that_is_no_number_is_left_out_and_noted() -> None:
    metrics: Metrics = {"accuracy_heldout": float("nan"), "glow_s": float("inf")}
    record = record_of(case_of(), WORK, MEASURED, ORIGIN, None, metrics)
    assert record.accuracy_heldout is None
    assert dict(record.metrics) == {}
    assert "accuracy_heldout: nan" in (record.notes or "")
    assert "metric_glow_s: inf" in (record.notes or "")


def test_a_warm_up_that_did_not_settle_is_noted() -> None:
    restless = replace(MEASURED, timing=replace(MEASURED.timing, steady=False))
    record = record_of(case_of(), WORK, restless, ORIGIN, None, {})
    assert record.status == "ok"
    assert "time_median_s: the warm-up ended with its budget" in (record.notes or "")


def linear(width: int = 4) -> Work:
    model = torch.nn.Linear(width, width)
    return replace(WORK, model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1))


BASE = workload_of(case_of(), linear())


@pytest.mark.parametrize(
    "same",
    [{"impl": "compile"}, {"device": "cuda"}, {"dtype": "tf32"}, {"data_sha256": "abc"}],
)
def test_a_workload_is_the_same_on_every_device_by_every_implementation(
    same: dict[str, str],
) -> None:
    params = {"dtype": "fp32", **same}
    assert workload_of(case_of(**params), linear()) == workload_of(case_of(dtype="fp32"), linear())


def test_a_workload_is_the_same_however_the_optimizer_is_run() -> None:
    work = linear()
    assert work.model is not None
    made = [torch.optim.AdamW(work.model.parameters(), foreach=way) for way in (None, True, False)]
    made.append(torch.optim.AdamW(work.model.parameters(), fused=True))
    found = {workload_of(case_of(), replace(work, optimizer=optimizer)) for optimizer in made}
    assert len(found) == 1


def test_a_workload_changes_with_model_optimizer_samples_axes_and_step() -> None:
    def other_step() -> int:
        return 1

    work = linear()
    assert work.model is not None
    others = [
        workload_of(case_of(), linear(8)),
        workload_of(case_of(), replace(work, optimizer=None)),
        workload_of(
            case_of(), replace(work, optimizer=torch.optim.SGD(work.model.parameters(), lr=0.2))
        ),
        workload_of(case_of(), replace(work, samples=5)),
        workload_of(case_of(), replace(work, phase="forward")),
        workload_of(case_of(dtype="bf16"), work),
        workload_of(case_of(), replace(work, step=other_step)),
    ]
    assert len({BASE, *others}) == 1 + len(others)


def test_shared_parameters_are_counted_once_and_frozen_ones_not_at_all() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model[1].bias.requires_grad_(False)
    record = record_of(case_of(), replace(WORK, model=model), MEASURED, ORIGIN, None, {})
    assert record.n_params == 3 * 3 + 3
