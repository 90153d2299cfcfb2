"""A snapshot brings a training back to where it was."""

import pytest
import torch

from traincost.snapshot import take_snapshot


@pytest.mark.parametrize(
    "optimizer_type", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adagrad]
)
@pytest.mark.parametrize("steps_before", [0, 2])
def test_losses_after_restoring_are_those_of_the_first_time(
    optimizer_type: type[torch.optim.Optimizer], steps_before: int
) -> None:
    torch.manual_seed(3)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
    )
    optimizer = optimizer_type(model.parameters(), lr=0.1)  # type: ignore[call-arg]
    x = torch.randn(16, 8)

    def step() -> float:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    for _ in range(steps_before):
        step()
    start = take_snapshot(model, optimizer)
    start.restore()
    first = [step() for _ in range(4)]
    start.restore()
    assert [step() for _ in range(4)] == first
    start.restore()  # a second use is as good: nothing in the snapshot was changed by training
    assert [step() for _ in range(4)] == first


def test_buffers_are_brought_back_too() -> None:
    model = torch.nn.BatchNorm1d(4)
    start = take_snapshot(model, None)
    before = [b.clone() for b in model.buffers()]
    model(torch.randn(8, 4))
    assert not all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))
    start.restore()
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


def test_parameters_keep_their_storage() -> None:
    model = torch.nn.Linear(2, 2)
    before = model.weight.data_ptr()
    start = take_snapshot(model, None)
    start.restore()
    assert model.weight.data_ptr() == before


def test_nothing_to_keep_is_no_error() -> None:
    take_snapshot(None, None).restore()
