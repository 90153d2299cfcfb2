"""The optimizers of the suite: what they keep, what they do alike, what a step of each asks."""

from __future__ import annotations

import statistics
import time

import pytest
import torch
from torch import Tensor, nn

from traincost.instruments.arithmetic import count
from traincost.instruments.memory import state_tensors
from traincost.snapshot import take_snapshot
from traincost_suites.models import build
from traincost_suites.muon import muon_parameters
from traincost_suites.optimizer_step import OptimizerStep, optimizer_step
from traincost_suites.optimizers import (
    HISTORY,
    OPTIMIZERS,
    expected_state_bytes,
    make_optimizer,
    state_bytes,
    take_step,
)

pytestmark = pytest.mark.usefixtures("one_thread")


class Sizes(nn.Module):
    """A matrix of 6 x 4 and a vector of 5: 29 parameters in two tensors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(6, 4))
        self.vector = nn.Parameter(torch.randn(5))

    def forward(self) -> Tensor:
        return self.matrix.pow(4).sum() + self.vector.pow(2).sum()


def trained(name: str, model: nn.Module, steps: int, rate: float = 1e-3) -> torch.optim.Optimizer:
    optimizer = make_optimizer(name, model, rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model()
        loss.backward()
        take_step(optimizer, loss)
    return optimizer


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", 0),
        ("momentum", 29 * 4),
        ("nesterov", 29 * 4),
        ("rmsprop", 29 * 4 + 2 * 4),
        ("adagrad", 29 * 4 + 2 * 4),
        ("adam", 2 * 29 * 4 + 2 * 4),
        ("adamw-single", 2 * 29 * 4 + 2 * 4),
        ("adamw-foreach", 2 * 29 * 4 + 2 * 4),
        ("adamw-fused", 2 * 29 * 4 + 2 * 4),
        ("adafactor", (6 + 4 + 5) * 4 + 2 * 4),
        ("muon", 24 * 4 + 2 * 5 * 4 + 4),
        ("lbfgs", (2 * HISTORY + 2) * 29 * 4 + (2 * HISTORY + 1) * 4),
    ],
)
def test_the_state_is_that_of_the_closed_form_written_out(name: str, expected: int) -> None:
    model = Sizes()
    optimizer = trained(name, model, HISTORY + 2)
    assert state_bytes(optimizer) == expected == expected_state_bytes(name, model)


@pytest.mark.parametrize("model", ["mlp-10k", "gpt-10k"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_over_a_models_parameters_is_that_of_the_closed_form(
    name: str, model: str
) -> None:
    work = optimizer_step(model, name, "cpu")
    assert work.state_bytes() == expected_state_bytes(name, work.model)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_live_memory_has_all_that_an_optimizer_keeps(name: str) -> None:
    work = optimizer_step("mlp-10k", name, "cpu")
    live = {t.untyped_storage().data_ptr(): t.nbytes for t in state_tensors(None, work.optimizer)}
    parameters = sum(p.nbytes for p in work.model.parameters())
    assert sum(live.values()) == 2 * parameters + work.state_bytes()  # and the gradients


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_optimizer_takes_the_same_steps_again(name: str) -> None:
    work = optimizer_step("mlp-10k", name, "cpu")
    start = take_snapshot(work.model, work.optimizer)
    ends: list[list[Tensor]] = []
    for _ in range(2):
        start.restore()
        for _ in range(3):
            if work.setup is not None:
                work.setup()
            work.step()
        ends.append([p.detach().clone() for p in work.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_moves_every_parameter_downhill(name: str) -> None:
    model = Sizes()
    before = [p.detach().clone() for p in model.parameters()]
    height = float(model().detach())
    trained(name, model, 3)
    assert float(model().detach()) < height
    assert not any(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("name", ["adamw-foreach", "adamw-fused"])
def test_adamw_is_one_arithmetic_however_it_is_run(name: str) -> None:
    single, other = Sizes(), Sizes()
    trained("adamw-single", single, 20, 0.01)
    trained(name, other, 20, 0.01)
    for a, b in zip(single.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_fused_adamw_costs_no_more_than_a_loop_in_operations_and_traffic() -> None:
    single, fused = (
        count(optimizer_step("gpt-100k", f"adamw-{kind}", "cpu").step, phase="optimizer")
        for kind in ("single", "fused")
    )
    assert fused.aten_ops * 10 < single.aten_ops
    assert fused.ops_bytes * 2 < single.ops_bytes


def test_fused_adamw_costs_no_more_than_a_loop_in_time_taken_in_turns() -> None:
    single, fused = (optimizer_step("gpt-100k", f"adamw-{k}", "cpu") for k in ("single", "fused"))
    ratios = [seconds_of(fused) / seconds_of(single) for _ in range(15)]
    assert statistics.median(ratios) <= 1.0, ratios


def seconds_of(work: OptimizerStep, steps: int = 5) -> float:
    begun_s = time.perf_counter()
    for _ in range(steps):
        work.step()
    return time.perf_counter() - begun_s


def test_lbfgs_handed_its_loss_steps_as_with_a_closure_that_computes_it() -> None:
    ours, theirs = Sizes(), Sizes()
    trained("lbfgs", ours, 6, 0.1)
    optimizer = make_optimizer("lbfgs", theirs, 0.1)
    asked = 0

    def closure() -> Tensor:
        nonlocal asked
        asked += 1
        optimizer.zero_grad()
        loss: Tensor = theirs()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for _ in range(6):
        optimizer.step(closure)  # type: ignore[arg-type]
    assert asked == 6, "one gradient a step"
    assert all(
        torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True)
    )


def test_muon_takes_matrices_and_leaves_embeddings_and_vectors_to_adamw() -> None:
    model = build("gpt-10k")
    takes = {id(p) for p in muon_parameters(model)}
    names = {n for n, p in model.named_parameters() if id(p) in takes}
    left = {n for n, p in model.named_parameters() if id(p) not in takes}
    assert names == {f"blocks.0.{n}.weight" for n in ("qkv", "attention_out", "mlp_in", "mlp_out")}
    assert {"embed.weight", "position.weight", "norm.bias"} <= left


def test_a_rate_set_on_the_groups_is_that_of_muon_and_of_adamw() -> None:
    model = Sizes()
    optimizer = trained("muon", model, 1)
    before = [p.detach().clone() for p in model.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    model().backward()
    optimizer.step()
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ValueError, match="optimizer 'lion': expected one of sgd, momentum"):
        make_optimizer("lion", Sizes(), 0.1)
