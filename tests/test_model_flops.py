"""`model_flops`: one forward pass, whatever else the step does."""

from collections.abc import Callable
from typing import cast

import closed_forms
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from traincost.instruments.arithmetic import count

ROWS = 6
WIDTHS = (8, 16, 4)
F = closed_forms.mlp_forward_flops(ROWS, WIDTHS)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def loss_of(model: Callable[[Tensor], Tensor]) -> Tensor:
    labels = torch.zeros(ROWS, dtype=torch.long)
    return functional.cross_entropy(model(torch.ones(ROWS, 8)), labels)


def backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_recomputation_counts_as_executed_but_not_by_definition(use_reentrant: bool) -> None:
    model = net()

    def checkpointed(x: Tensor) -> Tensor:
        x.requires_grad_()
        out: Tensor = checkpoint(model, x, use_reentrant=use_reentrant)
        return out

    counted = count(lambda: backward(loss_of(checkpointed)), phase="step")
    assert counted.model_flops == 3 * F
    # Non-reentrant recomputation stops once it has what it needs: before the last product.
    recomputed = F if use_reentrant else closed_forms.mlp_forward_flops(ROWS, WIDTHS[:2])
    assert counted.flops == 3 * F + recomputed


def test_every_microbatch_of_gradient_accumulation_counts() -> None:
    model = net()

    def step() -> None:
        for _ in range(3):
            backward(loss_of(model))

    assert count(step, phase="step").model_flops == 3 * 3 * F


def test_an_epoch_counts_its_steps_and_not_the_products_of_its_optimizer() -> None:
    model = net()
    optimizer = torch.optim.Adafactor(model.parameters())  # its factored moments are a product

    def epoch() -> None:
        for _ in range(2):
            optimizer.zero_grad()
            backward(loss_of(model))
            optimizer.step()  # type: ignore[no-untyped-call]

    counted = count(epoch, phase="epoch")
    assert counted.model_flops == 2 * 3 * F
    assert counted.flops is not None
    assert counted.flops > 2 * closed_forms.mlp_step_flops(ROWS, WIDTHS)


def test_an_optimizer_written_by_hand_is_no_forward() -> None:
    model = net()

    def step() -> None:
        backward(loss_of(model))
        with torch.no_grad():
            for p in model.parameters():
                if p.ndim == 2:
                    p.addmm_(p @ p.mT, p, alpha=-0.1)

    assert count(step, phase="step").model_flops == 3 * F


def test_the_forwards_in_a_closure_of_the_optimizer_count() -> None:
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model)
        backward(loss)
        return loss

    assert count(lambda: optimizer.step(closure), phase="step").model_flops == 3 * F  # type: ignore[no-untyped-call]


def test_a_step_without_a_backward_is_one_forward_with_a_note() -> None:
    counted = count(lambda: loss_of(net()), phase="step")
    assert counted.model_flops == F
    assert counted.notes == {"model_flops": "no backward ran: one forward pass"}


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_forward_has_the_same_flops(context: Callable[[], object]) -> None:
    with context():  # type: ignore[attr-defined]
        counted = count(lambda: loss_of(net()), phase="forward")
    assert (counted.flops, counted.model_flops) == (F, F)


def test_phases_are_multiples_of_the_forward() -> None:
    model = net()
    loss = loss_of(model)

    def retained() -> None:
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]

    optimizer = torch.optim.SGD(model.parameters())
    executed = closed_forms.mlp_step_flops(ROWS, WIDTHS) - F
    forward = count(lambda: loss_of(model), phase="forward")
    backward_only = count(retained, phase="backward", forward=lambda: loss_of(model))
    stepping = count(optimizer.step, phase="optimizer")
    assert (forward.flops, forward.model_flops) == (F, F)
    assert (backward_only.flops, backward_only.model_flops) == (executed, 2 * F)
    assert (stepping.flops, stepping.model_flops) == (0, 0)


def test_a_backward_whose_forward_is_unknown_has_a_note_and_no_number() -> None:
    loss = loss_of(net())
    counted = count(lambda: backward(loss), phase="backward")
    assert counted.model_flops is None
    assert "no forward pass" in counted.notes["model_flops"]


def test_a_phase_that_has_no_definition_has_a_note_and_no_number() -> None:
    counted = count(lambda: loss_of(net()), phase="tokenize")
    assert counted.model_flops is None
    assert "tokenize" in counted.notes["model_flops"]


def test_a_compiled_model_is_counted_as_its_eager_program_and_stays_compiled() -> None:
    runs: list[int] = []

    def backend(graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> Callable[..., object]:
        def run(*args: Tensor) -> object:
            runs.append(1)
            return graph(*args)

        return run

    eager = net()
    compiled = cast(nn.Module, torch.compile(eager, backend=backend))

    def step() -> None:
        backward(loss_of(compiled))

    step()
    before = len(runs)
    counted = count(step, phase="step", model=compiled)
    assert len(runs) == before
    assert counted.flops == count(lambda: backward(loss_of(eager)), phase="step").flops
    assert "eager program" in counted.notes["aten_ops"]
    step()
    assert len(runs) == before + 1
