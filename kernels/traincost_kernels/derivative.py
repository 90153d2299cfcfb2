"""Derivatives that the kernels do not have are a clear error, not a silent zero."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from traincost_kernels.errors import SecondDerivativeError, TransformError


class Differentiable(Protocol):
    """A custom op, as far as it is needed here."""

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., None] | None = None
    ) -> None:
        """Say how the op is differentiated."""


def register_derivative(
    op: str,
    forward: Differentiable,
    differentiate: Callable[..., Any],
    save: Callable[..., None],
    backward: Differentiable,
) -> None:
    """Make `differentiate` the derivative of `forward`, and refuse what it would lose.

    Args:
        op: what its users call the op.
        forward: the op.
        differentiate: from its context and the gradients of its outputs to those of its inputs.
        save: keeps in the context what `differentiate` needs.
        backward: the op that `differentiate` calls, which has no derivative itself.
    """

    def checked(ctx: Any, *gradients: Tensor | None) -> Any:
        refuse_transforms(op, *gradients)  # a tangent that the gradient alone carries
        return differentiate(ctx, *gradients)

    def refuse(_ctx: Any, *_gradients: Tensor) -> None:
        raise second_derivative_error(op)

    forward.register_autograd(checked, setup_context=save)
    backward.register_autograd(refuse)


def second_derivative_error(op: str) -> SecondDerivativeError:
    """What `op` raises where its backward is differentiated."""
    return SecondDerivativeError(
        f"{op}: the fused backward has no derivative. For second derivatives (create_graph=True"
        ", torch.func.hessian) use PyTorch's own ops in its place."
    )


def refuse_transforms(op: str, *arguments: object) -> None:
    """Make forward mode an error, in which a custom op's tangent is 0, and torch.func.grad one.

    Transforms nest, as in `jvp(vmap(op))`, and each wraps the tensor again, so every layer is
    looked at. Of torch.func.grad PyTorch says itself that it cannot, but not which op.

    Raises:
        TransformError: one of the tensors carries a tangent, or torch.func.grad follows it.
    """
    for value in arguments:
        if isinstance(value, Tensor):
            for layer in _layers(value):
                _refuse_layer(op, layer)


def _layers(value: Tensor) -> Iterator[Tensor]:
    """What the transforms of torch.func wrapped, from the outside in; those of vmap are left out.

    The compiler, which unrolls transforms as it traces, sees no wrappers.
    """
    if torch.compiler.is_compiling():
        yield value
        return
    functorch: Any = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]
    while functorch.is_functorch_wrapped_tensor(value):
        if functorch.is_gradtrackingtensor(value):
            yield value
        value = functorch.get_unwrapped(value)
    yield value


def _refuse_layer(op: str, value: Tensor) -> None:
    if _has_tangent(value):
        raise TransformError(
            f"{op}: the fused kernels have no forward-mode derivative (torch.func.jvp, jacfwd, "
            "torch.autograd.forward_ad). Use PyTorch's own ops in its place."
        )
    functorch: Any = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]
    if not torch.compiler.is_compiling() and (
        functorch.is_gradtrackingtensor(value) and value.requires_grad
    ):
        raise TransformError(
            f"{op}: torch.func.grad, vjp and jacrev cannot follow the fused kernels. Use "
            "torch.autograd.grad, or PyTorch's own ops in its place."
        )


def _has_tangent(value: Tensor) -> bool:
    if forward_ad._current_level < 0:
        return False
    dual = forward_ad.unpack_dual(value)  # type: ignore[no-untyped-call]
    return dual.tangent is not None
