"""The MLP block, beyond what holds of every op."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from traincost_kernels import fused_mlp
from traincost_kernels.agreement import assert_agrees
from traincost_kernels.entries.fused_mlp import ENTRY
from traincost_kernels.errors import KernelInputError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu_squared": lambda x: F.relu(x).square(),
}


def _eager(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return F.linear(F.gelu(F.linear(x, w1, b1)), w2, b2)


def leaves(n_rows: int, hidden: int, device: str) -> dict[str, Tensor]:
    inputs = ENTRY.inputs(n_rows, hidden, torch.float32, device)
    return {name: value.requires_grad_() for name, value in inputs.items()}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_agrees_at_rank_3_without_biases(
    activation: str, kernel_device: str
) -> None:
    def ours(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
        return fused_mlp(x, w1, None, w2, None, activation=activation)

    def eager(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
        return F.linear(ACTIVATIONS[activation](F.linear(x, w1)), w2)

    inputs = ENTRY.inputs(6, 24, torch.float64, kernel_device)
    chosen = {"x": inputs["x"].reshape(2, 3, 6), "w1": inputs["w1"], "w2": inputs["w2"]}
    assert_agrees(ours, eager, chosen, ["x", "w1", "w2"])


def test_a_vector_is_taken(kernel_device: str) -> None:
    inputs = dict(ENTRY.inputs(1, 24, torch.float32, kernel_device))
    inputs["x"] = inputs["x"][0]
    assert_agrees(fused_mlp, ENTRY.eager, inputs, ["x", "w1"])


@pytest.mark.parametrize("shape", [(2, 3, 0), (0, 0), (0,)], ids=str)
def test_an_input_without_features_gives_what_the_biases_do(
    shape: tuple[int, ...], kernel_device: str
) -> None:
    b1, b2 = (torch.linspace(-1, 1, n, device=kernel_device).double() for n in (8, 3))
    inputs = {"x": b1.new_ones(shape), "w1": b1.new_ones(8, 0), "b1": b1, "b2": b2}
    inputs["w2"] = torch.linspace(-1, 1, 24, device=kernel_device).double().reshape(3, 8)
    assert_agrees(fused_mlp, ENTRY.eager, inputs, list(inputs))


def saved_bytes(function: Callable[..., object], inputs: dict[str, Tensor]) -> int:
    """Bytes kept for the backward beside the inputs, each storage once."""
    kept: dict[int, int] = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        result = function(**inputs)
    given = {value.untyped_storage().data_ptr() for value in inputs.values()}
    del result
    return sum(size for pointer, size in kept.items() if pointer not in given)


def test_one_hidden_tensor_is_saved_where_eager_saves_two(kernel_device: str) -> None:
    inputs = leaves(16, 64, kernel_device)
    hidden_bytes = 16 * 64 * 4
    assert saved_bytes(ENTRY.eager, inputs) == 2 * hidden_bytes
    assert saved_bytes(fused_mlp, inputs) == hidden_bytes


def test_flops_are_those_of_eager(kernel_device: str) -> None:
    def count(function: Callable[..., Tensor]) -> int:
        inputs = leaves(4, 16, kernel_device)
        with FlopCounterMode(display=False) as counter:
            torch.autograd.backward(function(**inputs).sum())
        flops: int = counter.get_total_flops()
        return flops

    of_two_products, passes = 2 * (2 * 4 * 16 * 4), 3
    assert count(fused_mlp) == count(_eager) == passes * of_two_products


def test_autocast_casts_as_linear_does(kernel_device: str) -> None:
    inputs = ENTRY.inputs(3, 16, torch.float32, kernel_device)
    with torch.autocast(kernel_device, torch.bfloat16):
        y = ENTRY.fused(**inputs)
    assert isinstance(y, Tensor)
    low = {name: value.bfloat16() for name, value in inputs.items()}
    of_low = ENTRY.fused(**low)
    assert isinstance(of_low, Tensor)
    assert torch.equal(y, of_low)


def test_the_op_is_registered_soundly(kernel_device: str) -> None:
    inputs = leaves(3, 8, kernel_device)
    torch.library.opcheck(torch.ops.traincost.fused_mlp, (*inputs.values(), "gelu"))
    x, w1, b1, w2, _ = (value.detach() for value in inputs.values())
    pre, dy = x @ w1.t(), torch.ones_like(x)
    backward = torch.ops.traincost.fused_mlp_backward
    torch.library.opcheck(backward, (dy, pre, x, w1, b1, w2, "gelu"))
    torch.library.opcheck(backward, (dy, pre, x, w1, None, w2, "relu_squared"))


def test_what_does_not_fit_is_refused() -> None:
    x, w1, w2 = torch.ones(2, 3), torch.ones(8, 3), torch.ones(3, 8)

    def refused(match: str, *arguments: Tensor | None, activation: str = "gelu") -> None:
        x, w1, b1, w2, b2 = arguments
        assert x is not None
        assert w1 is not None
        assert w2 is not None
        with pytest.raises(KernelInputError, match=match):
            fused_mlp(x, w1, b1, w2, b2, activation=activation)

    refused(r"w1 has shape \(8, 3\), expected \(8, 4\)", torch.ones(2, 4), w1, None, w2, None)
    refused(r"w2 has shape \(8, 3\), expected \(8, 8\)", x, w1, None, w1, None)
    refused(r"b1 has shape \(3,\), expected \(8,\)", x, w1, torch.ones(3), w2, None)
    refused(r"b2 has shape \(8,\), expected \(3,\)", x, w1, None, w2, torch.ones(8))
    refused(r"w1 has dtype torch.float64, expected", x, w1.double(), None, w2, None)
    refused(r"w1 has shape \(8,\), expected 2 dimensions", x, w1[:, 0], None, w2, None)
    refused(r"x has shape \(\), expected a last dimension", x[0, 0], w1, None, w2, None)
    refused(r"activation is 'silu', expected one of", x, w1, None, w2, None, activation="silu")
    listed: Any = ["gelu"]
    refused(r"activation is \['gelu'\], expected one of", x, w1, None, w2, None, activation=listed)
