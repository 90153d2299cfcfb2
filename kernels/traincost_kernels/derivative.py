"""What happens when a backward is differentiated: a clear error, not a silent zero."""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from traincost_kernels.errors import SecondDerivativeError


class Differentiable(Protocol):
    """A custom op, as far as it is needed here."""

    def register_autograd(self, backward: Callable[..., None], /) -> None:
        """Say how the op is differentiated."""


def refuse_second_derivative(op: str, backward: Differentiable) -> None:
    """Make a derivative through `backward`, the backward of `op`, an error that says so."""

    def refuse(_ctx: Any, *_gradients: Tensor) -> None:
        raise SecondDerivativeError(
            f"{op}: the fused backward has no derivative. For second derivatives (create_graph=True"
            ", torch.func.hessian) use PyTorch's own ops in its place."
        )

    backward.register_autograd(refuse)
