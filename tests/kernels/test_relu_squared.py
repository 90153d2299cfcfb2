"""Squared ReLU, beyond what holds of every op."""

import math

import pytest
import torch
from kernel_agreement import assert_agrees
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels import relu_squared
from traincost_kernels.errors import KernelInputError


def eager(x: Tensor) -> Tensor:
    return F.relu(x).square()


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4), (2, 1, 3, 4)], ids=str)
def test_any_rank_is_taken(shape: tuple[int, ...], kernel_device: str) -> None:
    x = torch.linspace(-2, 2, math.prod(shape)).reshape(shape).to(kernel_device)
    assert_agrees(relu_squared, eager, {"x": x}, ["x"])


@pytest.mark.parametrize("n_elements", [1023, 1024, 1025, 2048, 2053])
def test_full_tiles_and_the_tail_are_right(n_elements: int, kernel_device: str) -> None:
    x = torch.linspace(-2, 2, n_elements).to(kernel_device)
    assert_agrees(relu_squared, eager, {"x": x}, ["x"])


def test_nan_and_infinities_go_through_as_in_eager(kernel_device: str) -> None:
    x = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e30], device=kernel_device)
    assert_agrees(relu_squared, eager, {"x": x}, ["x"])


def test_the_op_is_registered_soundly(kernel_device: str) -> None:
    x = torch.linspace(-2, 2, 6, device=kernel_device).reshape(2, 3)
    torch.library.opcheck(torch.ops.traincost.relu_squared, (x.requires_grad_(),))
    torch.library.opcheck(torch.ops.traincost.relu_squared_backward, (x.detach(), x.detach()))


def test_integers_are_refused() -> None:
    with pytest.raises(KernelInputError, match=r"relu_squared: x has dtype torch.int64, expected"):
        relu_squared(torch.arange(3))


def test_a_list_is_refused() -> None:
    with pytest.raises(KernelInputError, match="relu_squared: x is list, expected a tensor"):
        relu_squared([1.0])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
