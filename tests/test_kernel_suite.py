"""The cases of the kernel suite: all that exist, none that cannot, each judged before timing."""

import pytest
import torch

from traincost_kernels.catalog import CATALOG, IN_PLACE
from traincost_suites.grids.kernels import kernel_cases
from traincost_suites.kernel_work import (
    IMPLS,
    KernelWork,
    entry_named,
    kernel_work,
    least_bytes,
    op_of,
    wrong,
)
from traincost_suites.lacking import ImplUnavailableError


def cases(profile: str) -> list[dict[str, object]]:
    names, params = kernel_cases(profile)
    return [dict(zip(names, p.values, strict=True)) for p in params]


def test_on_a_gpu_every_op_is_timed_fused_and_against_eager_forward_and_backward() -> None:
    found = {(c["kernel"], c["impl"], c["phase"]) for c in cases("quick") if c["device"] == "cuda"}
    for entry in CATALOG:
        assert {
            (entry.name, impl, phase)
            for impl in ("eager", "triton")
            for phase in ("forward", "backward")
        } <= found
    assert {(e.name, "triton", "both") for e in IN_PLACE} <= found


def test_the_standard_profile_has_every_baseline_that_an_op_has() -> None:
    found = {(c["kernel"], c["impl"]) for c in cases("standard")}
    for entry in CATALOG:
        assert ((entry.name, "liger") in found) == (entry.liger is not None)
        assert ((entry.name, "composed") in found) == (entry.composed is not None)
        assert ((entry.name, "aten-fused") in found) == (entry.aten_fused is not None)
        assert (entry.name, "compile") in found


def test_no_case_stands_twice() -> None:
    found = cases("full")
    assert len({tuple(c.values()) for c in found}) == len(found)
    assert {str(c["impl"]) for c in found} == set(IMPLS)


@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
def test_every_baseline_of_every_op_runs_on_a_cpu_where_it_can(phase: str) -> None:
    for entry in CATALOG:
        for impl in ("eager", "composed"):
            try:
                work = kernel_work(entry.name, impl, 4, 8, "cpu", "fp32")
            except ImplUnavailableError as lacking:
                assert entry.composed is None, lacking
                continue
            step = work.phase(phase)
            step()
            step()  # a graph that is kept
            assert not wrong(work, 8, "cpu", "fp32")


@pytest.mark.parametrize("impl", ["triton", "liger"])
def test_what_runs_on_a_gpu_only_is_unavailable_on_a_cpu(impl: str) -> None:
    with pytest.raises(ImplUnavailableError, match="on a GPU only"):
        op_of(CATALOG[0], impl, "cpu")


def test_a_wrong_answer_is_found() -> None:
    work = kernel_work("swiglu", "eager", 4, 8, "cpu", "fp32")

    def off(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.silu(gate) * up * (1 + 1e-4)

    faulty = KernelWork(work.entry, "compile", off, work.inputs, work.n_elements)
    assert {fault.split()[0] for fault in wrong(faulty, 8, "cpu", "fp32")} == {"y0", "dgate", "dup"}


def test_least_bytes_are_those_of_the_catalog() -> None:
    work = kernel_work("relu_squared", "eager", 4, 8, "cpu", "bf16")
    assert least_bytes(work, "forward", "bf16", 8) == 4 * 32
    assert least_bytes(work, "both", "bf16", 8) == 10 * 32


def test_a_name_that_is_none_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="kernel 'gelu': expected one of relu_squared"):
        entry_named("gelu")
    with pytest.raises(ValueError, match="impl 'cuda': expected one of eager"):
        op_of(CATALOG[0], "cuda", "cpu")
    work = kernel_work("cross_entropy_", "eager", 4, 8, "cpu", "fp32")
    with pytest.raises(ValueError, match="its backward runs once"):
        work.phase("backward")
