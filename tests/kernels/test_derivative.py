"""Derivatives that the kernels do not have are refused, whoever asks for them and how."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from traincost_kernels import relu_squared
from traincost_kernels.catalog import CATALOG, IN_PLACE
from traincost_kernels.entry import KernelEntry, Outputs
from traincost_kernels.errors import SecondDerivativeError, TransformError

ALL = (*CATALOG, *IN_PLACE)
each_entry = pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
in_place_too = pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)


def graph(entry: KernelEntry, device: str) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Leaves, and the outputs that depend on them."""
    inputs = entry.inputs(2, 4, torch.float64, device)
    leaves = {
        name: value.clone().requires_grad_(name in entry.differentiable)
        for name, value in inputs.items()
    }
    # An op that writes over its input takes no leaf.
    outputs: Outputs = entry.fused(
        **{name: value * 1 if value.requires_grad else value for name, value in leaves.items()}
    )
    tensors = (outputs,) if isinstance(outputs, Tensor) else outputs
    return leaves, [y for y in tensors if y.requires_grad]


@each_entry
def test_a_second_derivative_is_refused(entry: KernelEntry, kernel_device: str) -> None:
    leaves, outputs = graph(entry, kernel_device)
    loss = torch.stack([y.sum() for y in outputs]).sum().square()
    (slope,) = torch.autograd.grad(loss, leaves[entry.differentiable[0]], create_graph=True)
    with pytest.raises(SecondDerivativeError, match="no derivative"):
        torch.autograd.backward(slope.sum())


@in_place_too
def test_a_tangent_of_any_input_is_refused(entry: KernelEntry, kernel_device: str) -> None:
    inputs = entry.inputs(2, 4, torch.float64, kernel_device)
    for name in entry.differentiable:
        with forward_ad.dual_level():
            tangent = torch.ones_like(inputs[name])
            dual = forward_ad.make_dual(inputs[name], tangent)  # type: ignore[no-untyped-call]
            with pytest.raises(TransformError, match="no forward-mode derivative"):
                entry.fused(**{**inputs, name: dual})


@in_place_too
def test_a_tangent_that_the_gradient_alone_carries_is_refused(
    entry: KernelEntry, kernel_device: str
) -> None:
    """As in forward over reverse mode along what comes after the op."""
    leaves, outputs = graph(entry, kernel_device)
    wanted = [leaves[name] for name in entry.differentiable]
    for y in outputs:
        with forward_ad.dual_level():
            dy = forward_ad.make_dual(torch.ones_like(y), torch.ones_like(y))  # type: ignore[no-untyped-call]
            with pytest.raises(TransformError, match="no forward-mode derivative"):
                torch.autograd.grad(y, wanted, dy, retain_graph=True, allow_unused=True)


Transform = Callable[[Callable[[Tensor], Tensor], Tensor], Any]


def one_row(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Any]:
    """A derivative of one row, along itself."""

    def derivative(row: Tensor) -> Any:
        return torch.func.jvp(f, (row,), (row,))

    return derivative


def total(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A number."""

    def number(value: Tensor) -> Tensor:
        return f(value).sum()

    return number


TRANSFORMS: dict[str, Transform] = {
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (x,)),
    "jacfwd": lambda f, x: torch.func.jacfwd(f)(x),
    "jvp of vmap": lambda f, x: torch.func.jvp(torch.vmap(f), (x,), (x,)),
    "vmap of jvp": lambda f, x: torch.vmap(one_row(f))(x),
    "grad": lambda f, x: torch.func.grad(total(f))(x),
    "jacrev": lambda f, x: torch.func.jacrev(f)(x),
    "hessian": lambda f, x: torch.func.hessian(total(f))(x),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_transform_of_torch_func_that_would_lose_the_derivative_is_refused(
    transform: Transform, kernel_device: str
) -> None:
    with pytest.raises(TransformError, match="relu_squared: "):
        transform(relu_squared, torch.ones(2, 3, device=kernel_device))


def test_in_forward_mode_what_has_no_tangent_is_taken(kernel_device: str) -> None:
    x = torch.ones(2, 3, device=kernel_device)

    def scaled(value: Tensor) -> Tensor:
        return relu_squared(x) * value

    result = torch.func.jvp(scaled, (x,), (x,))
    assert torch.equal(result[1], relu_squared(x))
