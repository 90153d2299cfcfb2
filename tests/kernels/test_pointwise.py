"""Ops that map elements to elements, beyond what holds of every op."""

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from traincost_kernels import geglu, relu_squared, swiglu
from traincost_kernels.agreement import assert_agrees
from traincost_kernels.catalog import CATALOG
from traincost_kernels.entry import KernelEntry
from traincost_kernels.errors import KernelInputError

NAMES = ("relu_squared", "swiglu", "geglu", "geglu_tanh")
POINTWISE = tuple(entry for entry in CATALOG if entry.name in NAMES)
each_op = pytest.mark.parametrize("entry", POINTWISE, ids=lambda entry: entry.name)


def reshaped(inputs: Mapping[str, Tensor], shape: tuple[int, ...]) -> dict[str, Tensor]:
    return {name: value.reshape(shape) for name, value in inputs.items()}


@each_op
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (2, 1, 3, 4), (0,), (2, 0, 3)], ids=str)
def test_any_rank_is_taken(entry: KernelEntry, shape: tuple[int, ...], kernel_device: str) -> None:
    inputs = reshaped(entry.inputs(1, math.prod(shape), torch.float32, kernel_device), shape)
    assert_agrees(entry.fused, entry.eager, inputs, entry.differentiable)


@each_op
@pytest.mark.parametrize("n_elements", [511, 512, 513, 1023, 1024, 1025, 2053])
def test_full_tiles_and_the_tail_are_right(
    entry: KernelEntry, n_elements: int, kernel_device: str
) -> None:
    inputs = entry.inputs(1, n_elements, torch.float32, kernel_device)
    assert_agrees(entry.fused, entry.eager, inputs, entry.differentiable)


@each_op
def test_expanded_and_transposed_inputs_are_read_right(
    entry: KernelEntry, kernel_device: str
) -> None:
    plain = entry.inputs(4, 6, torch.float32, kernel_device)
    transposed = {name: value.t() for name, value in plain.items()}
    assert_agrees(entry.fused, entry.eager, transposed, entry.differentiable)
    expanded = {name: value[:1].expand(5, 6) for name, value in plain.items()}
    assert_agrees(entry.fused, entry.eager, expanded, entry.differentiable)


@each_op
def test_nan_and_infinities_go_through_as_in_eager(entry: KernelEntry, kernel_device: str) -> None:
    """In fp64, where eager on the CPU takes its scalar path as a GPU does."""
    special = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 0.0, 1.0, -1.0])
    grid = torch.cartesian_prod(special, special).double().to(kernel_device)
    inputs = {name: grid[:, i] for i, name in enumerate(entry.differentiable)}
    assert_agrees(entry.fused, entry.eager, inputs, entry.differentiable)


@pytest.mark.parametrize(
    ("op", "kinds", "n_inputs"), [("relu_squared", ("",), 1), ("gated", ("swiglu", "geglu"), 2)]
)
def test_the_op_is_registered_soundly(
    op: str, kinds: tuple[str, ...], n_inputs: int, kernel_device: str
) -> None:
    x = torch.linspace(-2, 2, 6, device=kernel_device).reshape(2, 3)
    for kind in kinds:
        before = (kind,) if kind else ()
        forward = [x.clone().requires_grad_() for _ in range(n_inputs)]
        torch.library.opcheck(getattr(torch.ops.traincost, op), (*before, *forward))
        backward = [x.clone() for _ in range(n_inputs + 1)]
        torch.library.opcheck(getattr(torch.ops.traincost, f"{op}_backward"), (*before, *backward))


@each_op
def test_integers_are_refused(entry: KernelEntry) -> None:
    x = torch.arange(3)
    with pytest.raises(KernelInputError, match=r": (x|gate) has dtype torch.int64, expected one"):
        entry.fused(**dict.fromkeys(entry.differentiable, x))


@pytest.mark.parametrize("op", [swiglu, geglu])
def test_inputs_that_do_not_match_are_refused(op: Callable[[Tensor, Tensor], Tensor]) -> None:
    gate = torch.ones(2, 3)
    with pytest.raises(KernelInputError, match=r"up has shape \(3,\), expected \(2, 3\)"):
        op(gate, torch.ones(3))
    with pytest.raises(KernelInputError, match=r"up has dtype torch.float64, expected torch.float"):
        op(gate, torch.ones(2, 3, dtype=torch.float64))
    with pytest.raises(KernelInputError, match="up is on meta, expected cpu, where gate is"):
        op(gate, torch.ones(2, 3, device="meta"))


def test_a_list_is_refused() -> None:
    with pytest.raises(KernelInputError, match="relu_squared: x is list, expected a tensor"):
        relu_squared([1.0])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_an_unknown_approximation_is_refused() -> None:
    x = torch.ones(2)
    with pytest.raises(KernelInputError, match="geglu: approximate is 'erf', expected one of"):
        geglu(x, x, approximate="erf")
