"""The LSTM cell, beyond what holds of every op."""

import math

import pytest
import torch
from torch import Tensor

from traincost_kernels import lstm_cell
from traincost_kernels.agreement import assert_agrees
from traincost_kernels.entries.lstm_cell import ENTRY
from traincost_kernels.errors import KernelInputError
from traincost_kernels.ops.lstm_cell import tile_shape


def torchs_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """What `torch.nn.LSTMCell` makes of these gates as input, by an identity."""
    width = gates.shape[1]
    h = gates.new_zeros(c.shape)
    identity = torch.eye(width, dtype=gates.dtype, device=gates.device)
    return torch.lstm_cell(gates, (h, c), identity, gates.new_zeros(width, c.shape[1]))


def test_it_is_the_cell_of_torch(kernel_device: str) -> None:
    inputs = ENTRY.inputs(3, 20, torch.float64, kernel_device)
    assert_agrees(lstm_cell, torchs_cell, inputs, ["gates", "c"])


@pytest.mark.parametrize("shape", [(9, 16), (3, 250), (2, 512), (1, 513), (2, 1100)], ids=str)
def test_tiles_cover_batch_and_hidden(shape: tuple[int, int], kernel_device: str) -> None:
    inputs = ENTRY.inputs(*shape, torch.float32, kernel_device)
    assert_agrees(lstm_cell, ENTRY.eager, inputs, ["gates", "c"])


@pytest.mark.parametrize("hidden", [0, 1, 7, 96, 128, 650, 1024, 1031, 1500, 4096])
def test_tiles_are_wide_and_hold_little_beside_the_row(hidden: int) -> None:
    rows, cols = tile_shape(hidden, 1024)
    assert rows * cols == 1024
    assert cols <= max(128, -(-hidden // cols) * cols)
    assert cols <= 128 or -(-hidden // cols) * cols <= 1.125 * hidden


@pytest.mark.parametrize("used", [0, 1])
def test_one_output_alone_gives_its_gradients(used: int, kernel_device: str) -> None:
    inputs = ENTRY.inputs(2, 5, torch.float64, kernel_device)
    dy = {used: torch.linspace(-1, 1, 10, device=kernel_device).reshape(2, 5)}
    assert_agrees(lstm_cell, ENTRY.eager, inputs, ["gates", "c"], dy)


def test_small_gates_keep_their_accuracy(kernel_device: str) -> None:
    """Tanh as 2 s(2x) - 1 would lose them."""
    inputs = {
        name: value * 1e-4
        for name, value in ENTRY.inputs(2, 50, torch.float32, kernel_device).items()
    }
    assert_agrees(lstm_cell, ENTRY.eager, inputs, ["gates", "c"])


def test_nan_and_infinities_go_through_as_in_eager(kernel_device: str) -> None:
    special = torch.tensor([math.nan, math.inf, -math.inf, 0.0, 1.0], dtype=torch.float64)
    grid = torch.cartesian_prod(*[special] * 5).to(kernel_device)
    inputs = {"gates": grid[:, :4], "c": grid[:, 4:]}
    assert_agrees(lstm_cell, ENTRY.eager, inputs, ["gates", "c"])


def test_the_op_is_registered_soundly(kernel_device: str) -> None:
    inputs = ENTRY.inputs(2, 3, torch.float32, kernel_device)
    gates, c = inputs["gates"], inputs["c"]
    torch.library.opcheck(torch.ops.traincost.lstm_cell_backward, (gates, c, c + 1, c + 2))
    leaves = (gates.clone().requires_grad_(), c.clone().requires_grad_())
    torch.library.opcheck(torch.ops.traincost.lstm_cell, leaves)


def test_gates_that_do_not_fit_are_refused() -> None:
    c = torch.ones(2, 4)
    with pytest.raises(KernelInputError, match=r"gates has shape \(2, 8\), expected \(2, 16\)"):
        lstm_cell(torch.ones(2, 8), c)
    with pytest.raises(KernelInputError, match=r"c has shape \(4,\), expected 2 dimensions"):
        lstm_cell(torch.ones(16), c[0])
    with pytest.raises(KernelInputError, match=r"c has dtype torch.float64, expected torch.float3"):
        lstm_cell(torch.ones(2, 16), c.double())
