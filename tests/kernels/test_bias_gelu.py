"""Bias and GELU, beyond what holds of every op."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels import bias_gelu
from traincost_kernels.agreement import assert_agrees
from traincost_kernels.errors import KernelInputError


def eager(x: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(x + bias)


def numbers(shape: tuple[int, ...], device: str) -> Tensor:
    return torch.linspace(-3, 3, math.prod(shape), device=device).reshape(shape)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (2, 1, 3, 4), (0,), (2, 0, 3), (3, 0)], ids=str)
def test_any_rank_from_1_is_taken(shape: tuple[int, ...], kernel_device: str) -> None:
    inputs = {"x": numbers(shape, kernel_device), "bias": numbers(shape[-1:], kernel_device)}
    assert_agrees(bias_gelu, eager, inputs, ["x", "bias"])


@pytest.mark.parametrize("shape", [(1000, 1), (300, 16), (70, 33), (9, 768), (3, 1040)], ids=str)
def test_narrow_and_wide_rows_sum_their_bias_gradient(
    shape: tuple[int, int], kernel_device: str
) -> None:
    """Of many super-rows, of one, of one cut short, and with a last block of columns not full."""
    inputs = {"x": numbers(shape, kernel_device), "bias": numbers(shape[-1:], kernel_device)}
    wide = {name: value.double() for name, value in inputs.items()}
    assert_agrees(bias_gelu, eager, wide, ["x", "bias"])


@pytest.mark.parametrize("shape", [(), (7,), (4, 300)], ids=str)
def test_without_a_bias_it_is_gelu(shape: tuple[int, ...], kernel_device: str) -> None:
    assert_agrees(bias_gelu, F.gelu, {"x": numbers(shape, kernel_device)}, ["x"])


def test_the_gradient_of_a_bias_on_no_rows_is_zero(kernel_device: str) -> None:
    bias = torch.ones(3, device=kernel_device, requires_grad=True)
    y = bias_gelu(torch.empty(0, 3, device=kernel_device), bias)
    (dbias,) = torch.autograd.grad(y.sum(), bias)
    assert torch.equal(dbias, torch.zeros_like(bias))


def test_nan_stays_in_its_element_and_column(kernel_device: str) -> None:
    x = numbers((3, 20), kernel_device).double()
    x[1, 2] = math.nan
    inputs = {"x": x, "bias": numbers((20,), kernel_device).double()}
    assert_agrees(bias_gelu, eager, inputs, ["x", "bias"])


@pytest.mark.parametrize("with_bias", [False, True])
def test_the_op_is_registered_soundly(with_bias: bool, kernel_device: str) -> None:
    x = numbers((2, 3), kernel_device)
    bias = numbers((3,), kernel_device) if with_bias else None
    backward = torch.ops.traincost.bias_activation_backward
    torch.library.opcheck(backward, ("gelu", x, bias, x.clone()))
    leaves = (x.clone().requires_grad_(), None if bias is None else bias.requires_grad_())
    torch.library.opcheck(torch.ops.traincost.bias_activation, ("gelu", *leaves))


def test_a_bias_of_another_length_is_refused() -> None:
    expected = r"bias_gelu: bias has shape \(3,\), expected \(4,\), the last dimension of x"
    with pytest.raises(KernelInputError, match=expected):
        bias_gelu(torch.ones(2, 4), torch.ones(3))
    with pytest.raises(KernelInputError, match=r"x has shape \(\), expected a last dimension"):
        bias_gelu(torch.ones(()), torch.ones(1))
    with pytest.raises(KernelInputError, match=r"bias has dtype torch.float64, expected"):
        bias_gelu(torch.ones(2, 4), torch.ones(4, dtype=torch.float64))
    with pytest.raises(KernelInputError, match="approximate is 'fast', expected one of"):
        bias_gelu(torch.ones(2, 4), approximate="fast")
