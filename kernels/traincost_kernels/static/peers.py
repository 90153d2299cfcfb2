"""A peer's launches, taken from its own code: it runs, and its kernels are noted, not launched.

Forward and backward of its autograd function run one after the other with a stand-in for autograd's
context. For compilation they run on fake CUDA tensors, with the card of the target: its number of
SMs and its capability, by which Liger chooses kernels and grids. A question that needs data (is
this target in range?) is answered 1, or true. For counting they run on small CPU tensors.

Only Triton kernels are seen. What a peer leaves to torch (sums of partial sums) is not in its row.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Generator, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
import triton.language as tl
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from triton import knobs
from triton.language.extra import libdevice
from triton.language.extra.cuda import libdevice as cuda_libdevice
from triton.runtime import interpreter
from triton.runtime.interpreter import InterpretedFunction
from triton.runtime.jit import JITFunction

from traincost_kernels.entry import Inputs, KernelEntry
from traincost_kernels.liger import PeerUnavailableError, peer_arguments, peer_function
from traincost_kernels.static.architecture import ARCHITECTURES, Architecture
from traincost_kernels.static.call import Call, Phases


class Context:
    """What an autograd function asks of its context."""

    def __init__(self, n_inputs: int) -> None:
        self.needs_input_grad = (True,) * n_inputs
        self.saved_tensors: tuple[Tensor | None, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for the backward."""
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Nothing differentiates here."""

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Nothing differentiates here."""

    def set_materialize_grads(self, value: bool) -> None:
        """Every output gets a gradient here."""


class FixedAnswers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers what only data could: a number is 1, a condition holds."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer, or let the operation through."""
        if func is torch.ops.aten._local_scalar_dense.default:
            return True if args[0].dtype == torch.bool else 1
        if func is torch.ops.aten.equal.default:
            return True
        return func(*args, **(kwargs or {}))


def peer_calls(entry: KernelEntry, inputs: Inputs, arch: str | None) -> Phases:
    """The launches of Liger's function of this op, by phase.

    Args:
        entry: The op.
        inputs: Meta tensors where `arch` is given, else CPU tensors.
        arch: The target whose card the peer believes to be on.

    Raises:
        PeerUnavailableError: Liger is not installed, or lacks the op.
    """
    if knobs.runtime.interpret:
        mend_interpreter()
    function = peer_function(entry)
    phases: dict[str, tuple[Call, ...]] = {}
    believing = contextlib.nullcontext() if arch is None else on_card(ARCHITECTURES[arch])
    with believing:
        if arch is not None:
            inputs = {
                name: torch.empty_like(value, device="cuda") for name, value in inputs.items()
            }
        arguments = tuple(
            a.requires_grad_() if isinstance(a, Tensor) and a.is_floating_point() else a
            for a in peer_arguments(entry, inputs)
        )
        context = Context(len(arguments))
        with torch.no_grad(), _refusing(entry):
            with noting() as calls:
                outputs = function.forward(context, *arguments)
            phases["forward"] = tuple(calls)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            gradients = [o if o is None else torch.ones_like(o) for o in outputs]
            with noting() as calls:
                function.backward(context, *gradients)
            phases["backward"] = tuple(calls)
    return phases


@contextlib.contextmanager
def _refusing(entry: KernelEntry) -> Generator[None]:
    """What a peer raises is its refusal of these inputs (rows that are too long), not our fault."""
    try:
        yield
    except Exception as e:
        raise PeerUnavailableError(f"{entry.liger}: {type(e).__name__}: {e}") from e


@contextlib.contextmanager
def noting() -> Generator[list[Call]]:
    """Note the launches of Triton kernels instead of making them."""
    calls: list[Call] = []

    def note(kernel: Any, *arguments: object, grid: Any, warmup: bool, **options: object) -> None:
        calls.append(Call(kernel, grid, arguments, options, None))

    with (
        mock.patch.object(JITFunction, "run", note),
        mock.patch.object(InterpretedFunction, "run", note),
    ):
        yield calls


@contextlib.contextmanager
def on_card(architecture: Architecture) -> Generator[None]:
    """Let torch say that it is on such a card, and make fake tensors."""
    properties = SimpleNamespace(
        multi_processor_count=architecture.sm_count, name=architecture.card
    )
    answers: dict[str, Callable[..., object]] = {
        "is_available": lambda: True,
        "get_device_properties": lambda *_: properties,
        "get_device_capability": lambda *_: divmod(architecture.capability, 10),
        "device": lambda *_: contextlib.nullcontext(),
    }
    with contextlib.ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        stack.enter_context(mock.patch.object(torch, "tensor", _scalar))
        _forget_card()
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(FixedAnswers())  # type: ignore[no-untyped-call]
        yield
    _forget_card()


@cache
def mend_interpreter() -> None:
    """Let the interpreter run kernels that were written for the compiler alone; before its import.

    Functions of libdevice return their argument: no address depends on what they return. Numbers
    with a fraction are tensors in a kernel, as they are when it is compiled.
    """
    for module in (libdevice, cuda_libdevice):
        for name in ("tanh", "rsqrt"):
            setattr(module, name, _identity)
    implicit = interpreter._implicit_cvt

    def convert(value: Any) -> Any:
        if not isinstance(value, float):
            return implicit(value)
        handle = interpreter.TensorHandle(np.array([value], dtype=np.float32), tl.float32)
        return tl.tensor(handle, tl.float32)

    interpreter._implicit_cvt = convert


def _identity(x: Any) -> Any:
    return x


def _scalar(value: float, device: Any = None, dtype: torch.dtype | None = None) -> Tensor:
    """`torch.tensor` of a number; torch's own wants a real device."""
    return torch.full((), value, device=device, dtype=dtype)


def _forget_card() -> None:
    """Liger remembers the card that it saw first."""
    utils: Any = importlib.import_module("liger_kernel.utils")
    getattr(getattr(utils, "infer_device_arch", None), "cache_clear", lambda: None)()
