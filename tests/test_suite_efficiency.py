"""Ways to make a step cheaper: what they save and cost by counts, and that they learn the same."""

from __future__ import annotations

import math
import os
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from project import ROOT, SHORT_CASES, run_pytest, write_project
from torch import Tensor

from traincost.assemble import workload_of
from traincost.data.case import case_from_test
from traincost.instruments.arithmetic import Arithmetic, count
from traincost.instruments.memory import Memory, measure_memory
from traincost.machine.device import CpuDevice
from traincost.measure import Work
from traincost.snapshot import take_snapshot
from traincost_suites.efficiency.cold import cold_compiler
from traincost_suites.efficiency.same_loss import (
    LOSS_GAP_REL,
    STEPS,
    loss_gap_rel,
    losses_of,
    plain_losses,
)
from traincost_suites.efficiency.way import Way, train_step
from traincost_suites.efficiency.ways import FP16, N_MICRO_BATCHES, WAYS, way_of
from traincost_suites.grids import grid
from traincost_suites.lacking import ImplUnavailableError
from traincost_suites.models.gpt import SIZES
from traincost_suites.work import training_step

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH, SEQ_LEN = 4, 128
GPT, CONVNET = "gpt-100k", "convnet-100k"
ON_A_CPU = ("eager", "checkpoint", "accumulate-4", "fused-adamw", "sdpa-math", "sdpa-flash")


def way(impl: str, model: str = GPT, dtype: str = "fp32", batch_size: int = BATCH) -> Way:
    return way_of(impl, training_step(model, batch_size, "cpu", dtype), dtype)


def counted(impl: str, model: str = GPT) -> Arithmetic:
    """A step that is not the first: the optimizer's state is there."""
    step = partial(train_step, way(impl, model))
    step()
    return count(step, phase="step")


def memory_of(impl: str, model: str = GPT) -> Memory:
    made = way(impl, model)
    step = partial(train_step, made)
    step()
    return measure_memory(step, CpuDevice(), made.model, made.optimizer)


# --- known truths, from counts -----------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt-10k", GPT])
def test_checkpointing_raises_flops_by_the_recompute_exactly(model: str) -> None:
    plain, checkpointed = counted("eager", model), counted("checkpoint", model)
    config = SIZES[model.removeprefix("gpt-")]
    d = config.width
    products = 2 * BATCH * SEQ_LEN * 8 * d * d  # qkv, attention_out, mlp_in; mlp_out is not run
    attention = 4 * BATCH * SEQ_LEN**2 * d
    assert plain.flops is not None
    assert checkpointed.flops == plain.flops + config.n_layers * (products + attention)
    assert checkpointed.model_flops == plain.model_flops, "recomputation is no part of the model"


def test_checkpointing_lowers_peak_memory_and_leaves_the_state_as_it_is() -> None:
    plain, checkpointed = memory_of("eager"), memory_of("checkpoint")
    assert plain.step_peak_bytes is not None
    assert checkpointed.step_peak_bytes is not None
    assert 2 * checkpointed.step_peak_bytes < plain.step_peak_bytes
    assert checkpointed.live_before_bytes == plain.live_before_bytes


@pytest.mark.thorough
def test_the_deeper_the_net_the_more_checkpointing_saves() -> None:
    shares = [
        (memory_of("checkpoint", model).step_peak_bytes or 0)
        / (memory_of("eager", model).step_peak_bytes or 1)
        for model in ("gpt-10k", "gpt-1M")  # 1 layer, 5 layers
    ]
    assert shares[1] < 0.5 * shares[0]


def test_accumulation_lowers_peak_memory_for_the_same_flops_and_more_operations() -> None:
    plain, parts = counted("eager"), counted("accumulate-4")
    assert parts.flops == plain.flops
    assert parts.model_flops == plain.model_flops
    assert 2 * plain.aten_ops < parts.aten_ops < N_MICRO_BATCHES * plain.aten_ops
    peaks = [memory_of(impl).step_peak_bytes or 0 for impl in ("eager", "accumulate-4")]
    assert 0 < 2 * peaks[1] < peaks[0]


def test_fused_adamw_costs_no_more_than_single_in_a_step_and_keeps_the_same() -> None:
    single, fused = counted("eager"), counted("fused-adamw")
    assert fused.flops == single.flops
    assert fused.aten_ops < 0.7 * single.aten_ops
    assert fused.ops_bytes < single.ops_bytes
    kept = [memory_of(impl) for impl in ("eager", "fused-adamw")]
    assert kept[1].live_before_bytes == kept[0].live_before_bytes
    assert (kept[1].step_peak_bytes or 0) <= (kept[0].step_peak_bytes or 0)


def test_attention_by_plain_products_keeps_the_scores_and_recomputes_none() -> None:
    config = SIZES[GPT.removeprefix("gpt-")]
    recomputed = config.n_layers * 2 * BATCH * SEQ_LEN**2 * config.width
    flash, plain = counted("sdpa-flash"), counted("sdpa-math")
    assert plain.flops is not None
    assert flash.flops == plain.flops + recomputed
    peaks = [memory_of(impl).step_peak_bytes or 0 for impl in ("sdpa-flash", "sdpa-math")]
    assert 0 < 1.2 * peaks[0] < peaks[1]


# --- the same work, and the same loss ----------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "impl", "dtype"),
    [
        *((GPT, impl, "fp32") for impl in ON_A_CPU),
        *((GPT, impl, "autocast-bf16") for impl in ON_A_CPU),
        (CONVNET, "channels-last", "fp32"),
        (CONVNET, "eager", "autocast-bf16"),
        (CONVNET, "channels-last", "autocast-bf16"),
        pytest.param(GPT, "eager", FP16, marks=pytest.mark.slow),
        pytest.param(GPT, "fused-adamw", FP16, marks=pytest.mark.slow),
        pytest.param(GPT, "compile", "fp32", marks=pytest.mark.slow),
        pytest.param(GPT, "stack", "autocast-bf16", marks=pytest.mark.slow),
    ],
)
def test_every_way_learns_what_the_plain_step_learns(model: str, impl: str, dtype: str) -> None:
    batch_size = 64 if model == CONVNET else BATCH
    plain = plain_losses(model, batch_size, "cpu")
    made = way(impl, model, dtype, batch_size)
    start = take_snapshot(made.model, made.optimizer)
    for _ in range(3):  # somewhere else, as after the timed rounds
        train_step(made)
    assert loss_gap_rel(losses_of(made, start), plain, dtype) <= LOSS_GAP_REL[dtype]
    assert plain[-1] < 0.95 * plain[0], "losses that do not move would always agree"


def test_quarters_of_a_batch_are_another_training_where_batch_norm_sees_them() -> None:
    plain = plain_losses(CONVNET, 64, "cpu")
    with pytest.raises(AssertionError, match=r"losses part by \d\.\d+% within 20 steps, over 0\.2"):
        loss_gap_rel(losses_of(way("accumulate-4", CONVNET, batch_size=64)), plain, "fp32")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_never_the_same(value: float) -> None:
    plain = torch.ones(STEPS)
    ours = plain.clone()
    ours[3] = value
    with pytest.raises(AssertionError, match=r"losses part by (nan|inf)%"):
        loss_gap_rel(ours, plain, "fp32")


def test_every_way_is_one_workload_so_that_a_speedup_can_be_told() -> None:
    found: set[str] = set()
    for impl in ON_A_CPU:
        made = way(impl)
        step = partial(train_step, made)
        work = Work(step, BATCH, "step", BATCH * SEQ_LEN, made.model, made.optimizer)
        found.add(workload_of(case_from_test("test_efficiency.py", "test_train_step", {}), work))
    assert len(found) == 1


def test_a_gradient_that_overflows_in_fp16_skips_its_step_and_halves_the_scale() -> None:
    made = way("eager", "gpt-10k", FP16)
    assert made.scaler is not None
    train_step(made)
    scale = made.scaler.get_scale()
    before = [p.detach().clone() for p in made.model.parameters()]

    def overflowing(grad: Tensor) -> Tensor:
        return grad * math.inf

    hook = next(made.model.parameters()).register_hook(overflowing)  # type: ignore[no-untyped-call]
    train_step(made)
    assert made.scaler.get_scale() == scale / 2
    assert all(torch.equal(p, b) for p, b in zip(made.model.parameters(), before, strict=True))
    hook.remove()
    train_step(made)
    assert not torch.equal(next(made.model.parameters()), before[0])


# --- what cannot be had ------------------------------------------------------------------------


@pytest.mark.parametrize("impl", ["triton", "cuda-graph"])
def test_what_runs_on_a_gpu_only_is_unavailable_on_a_cpu(impl: str) -> None:
    with pytest.raises(ImplUnavailableError, match=r"GPU only|no CUDA graphs"):
        way(impl)


def test_bad_input_is_refused_with_what_was_expected() -> None:
    with pytest.raises(ValueError, match="impl 'magic': expected one of eager, checkpoint"):
        way("magic")
    with pytest.raises(ValueError, match="batch_size 6: expected a multiple of 4"):
        way("accumulate-4", batch_size=6)


def test_every_way_of_the_grid_is_known_and_every_known_one_is_measured() -> None:
    names, cases = grid("efficiency", "full")
    values = [dict(zip(names, c.values, strict=True)) for c in cases]  # type: ignore[attr-defined]
    assert {v["impl"] for v in values} == set(WAYS)
    assert {v["dtype"] for v in values} == set(LOSS_GAP_REL)
    baselines = {(v["model"], v["device"], v["dtype"]) for v in values if v["impl"] == "eager"}
    assert {(v["model"], v["device"], v["dtype"]) for v in values} == baselines


def test_the_compiler_finds_nothing_compiled_and_leaves_nothing() -> None:
    before = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    with cold_compiler():
        folder = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
        assert not list(folder.iterdir())
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == before
    assert not folder.exists()


OFF = """
    from traincost_suites.efficiency import same_loss
    same_loss.LOSS_GAP_REL["fp32"] = -1.0
"""


@pytest.mark.thorough
def test_a_case_whose_loss_is_off_is_an_invalid_row(tmp_path: Path) -> None:
    project = write_project(tmp_path, {}, SHORT_CASES + OFF)
    shutil.copy(ROOT / "suites/test_efficiency.py", project)
    chosen = f"{GPT} and cpu-fp32 and (eager or fused)"
    outcome = run_pytest(project, "--cost-device", "cpu", "-k", chosen)
    assert outcome.code == 1, outcome.output
    rows = {r.impl: r for r in outcome.records}
    assert {impl: r.status for impl, r in rows.items()} == {"eager": "ok", "fused-adamw": "invalid"}
    assert "losses part by" in (rows["fused-adamw"].notes or "")
