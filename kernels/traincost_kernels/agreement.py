"""Compares an op, forward and every gradient, with what eager makes of the same inputs in fp64."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from traincost_kernels.entry import Outputs
from traincost_kernels.tolerance import faults, worst_error

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


@dataclass(frozen=True)
class Comparison:
    """One output or gradient, three times."""

    name: str  # "y0", "dx"
    ours: Tensor
    eager: Tensor
    right: Tensor  # fp64

    @property
    def worst(self) -> float:
        """Our worst error."""
        return worst_error(self.ours, self.right)

    @property
    def eager_worst(self) -> float:
        """Eager's worst error."""
        return worst_error(self.eager, self.right)


def _tensors(outputs: Outputs) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def _evaluate(
    function: Callable[..., Outputs],
    inputs: Mapping[str, Tensor],
    differentiable: Iterable[str],
    dy: Mapping[int, Tensor],  # by number of the output, in any dtype
) -> dict[str, Tensor]:
    """Outputs by the names y0, y1, … and gradients by dx for input x."""
    wanted = tuple(differentiable)
    leaves = {name: inputs[name].detach().requires_grad_(name in wanted) for name in inputs}
    outputs = _tensors(function(**leaves))
    results = {f"y{number}": output.detach() for number, output in enumerate(outputs)}
    chosen = [number for number in dy if outputs[number].requires_grad]
    if wanted and chosen:
        gradients = torch.autograd.grad(
            [outputs[number] for number in chosen],
            [leaves[name] for name in wanted],
            [dy[number].to(outputs[number].dtype) for number in chosen],
            allow_unused=True,
            materialize_grads=True,
        )
        results |= {f"d{name}": grad for name, grad in zip(wanted, gradients, strict=True)}
    return results


def _gradient_for(output: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    dy = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    return dy.to(output.device, output.dtype)


def compare(
    ours: Callable[..., Outputs],
    eager: Callable[..., Outputs],
    inputs: Mapping[str, Tensor],
    differentiable: Iterable[str],
    dy: Mapping[int, Tensor] | None = None,
) -> list[Comparison]:
    """Outputs and gradients of both in the inputs' dtype, and of eager in fp64.

    `dy` are the gradients of the outputs, by the outputs' number; without, all get random ones.
    """
    wide = {
        name: value.double() if value.is_floating_point() else value
        for name, value in inputs.items()
    }
    if dy is None:
        with torch.no_grad():
            outputs = _tensors(eager(**inputs))
        dy = {number: _gradient_for(output, 100 + number) for number, output in enumerate(outputs)}
    wanted = tuple(differentiable)
    of_ours = _evaluate(ours, inputs, wanted, dy)
    of_eager = _evaluate(eager, inputs, wanted, dy)
    right = _evaluate(eager, wide, wanted, dy)
    assert of_ours.keys() == of_eager.keys() == right.keys()
    return [Comparison(name, of_ours[name], of_eager[name], right[name]) for name in of_ours]


def assert_agrees(
    ours: Callable[..., Outputs],
    eager: Callable[..., Outputs],
    inputs: Mapping[str, Tensor],
    differentiable: Iterable[str],
    dy: Mapping[int, Tensor] | None = None,
    stores: int = 1,
) -> None:
    """Every output and gradient is within the tolerance table."""
    wrong = [
        f"{item.name} {fault}"
        for item in compare(ours, eager, inputs, differentiable, dy)
        for fault in faults(item.ours, item.eager, item.right, stores)
    ]
    assert not wrong, "; ".join(wrong)
