"""Every op that torch dispatches while the ledger is open: how many, FLOPs, bytes.

One `TorchDispatchMode` sees forward, backward (recomputation in it) and optimizer. Ops that are
compositions of others are taken apart first, as `FlopCounterMode` does, and so are tensors that
wrap others. An op of `torch.library` arrives as one op.

Not seen: kernels started past the dispatcher (a bare Triton launch), and what runs in another
process.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import torch
from torch._ops import HigherOrderOperator
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils._python_dispatch import TorchDispatchMode

from traincost.instruments.flop_formulas import formula_for
from traincost.instruments.footprint import StorageBook, footprint_bytes
from traincost.instruments.traffic import METADATA, op_name, traffic_of
from traincost.instruments.zero_flop_ops import counts_zero

NO_BACKWARD = -1  # torch's id of the running backward pass when none runs


class Part(Enum):
    """Which part of a training step an op belongs to."""

    FORWARD = auto()
    BACKWARD = auto()
    OPTIMIZER = auto()


@dataclass(frozen=True)
class Product:
    """An op that is not free: its FLOPs, or None and the op's name."""

    part: Part
    flops: int | None
    unknown: str = ""


class OpLedger(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """The running account; open it with `open_ledger`."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.aten_ops = 0
        self.ops_bytes = 0
        self.storages = StorageBook()
        self.products: list[Product] = []
        self.products_at_last_backward: int | None = None
        self.optimizer_depth = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the op and enter it."""
        kwargs = kwargs or {}
        if any(hasattr(kind, "__tensor_flatten__") for kind in types):
            return NotImplemented  # the wrapper's own dispatch runs the ops on what it wraps
        part = self._part()
        if not _is_whole(func):
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        self._enter(func, part, args, kwargs, out)
        return out

    def forward_products(self) -> list[Product]:
        """Those of the forward passes: outside of autograd's backward and the optimizer's step.

        What comes after the last backward is no forward pass of this step either: an optimizer
        written by hand, an evaluation.
        """
        before = self.products[: self.products_at_last_backward]
        return [product for product in before if product.part is Part.FORWARD]

    def _part(self) -> Part:
        if torch._C._current_graph_task_id() != NO_BACKWARD:
            return Part.BACKWARD
        # A closure, as L-BFGS takes one, runs its forward inside `step` with gradients enabled.
        if self.optimizer_depth and not torch.is_grad_enabled():
            return Part.OPTIMIZER
        return Part.FORWARD

    def _enter(self, func: Any, part: Part, args: Any, kwargs: Any, out: Any) -> None:
        traffic = traffic_of(func, args, kwargs, out)
        self.storages.given(traffic.given)
        self.storages.made(traffic.made)
        if traffic.moves:
            self.aten_ops += 1
            self.ops_bytes += footprint_bytes(traffic.reads) + footprint_bytes(traffic.writes)
            self.storages.touch(traffic.reads + traffic.writes)
            self._enter_flops(func, part, args, kwargs, out)
        if part is Part.BACKWARD:
            self.products_at_last_backward = len(self.products)

    def _enter_flops(self, func: Any, part: Part, args: Any, kwargs: Any, out: Any) -> None:
        name = op_name(func)
        formula = formula_for(_packet(func))
        if formula is None:
            if not counts_zero(name):
                self.products.append(Product(part, None, _dotted(name)))
            return
        try:
            flops = int(formula(*args, **kwargs, out_val=out))
        except Exception as error:  # anyone may register a formula; its failure is a note
            reason = f"{_dotted(name)} (its formula failed: {error})"
            self.products.append(Product(part, None, reason))
        else:
            self.products.append(Product(part, flops))


def _packet(func: Any) -> Any:
    """What formulas are registered for: the packet of an op, a higher-order op itself."""
    return getattr(func, "_overloadpacket", func)


def _dotted(name: str) -> str:
    """As the op is written in Python, below `torch.ops`."""
    return name.replace("::", ".") if "::" in name else f"aten.{name}"


def _is_whole(func: Any) -> bool:
    """Whether the op is entered as it is, even if torch could decompose it."""
    name = op_name(func)
    return (
        isinstance(func, HigherOrderOperator)
        or name in METADATA
        or counts_zero(name)
        or formula_for(_packet(func)) is not None
    )


@contextmanager
def open_ledger() -> Generator[OpLedger, None, None]:
    """Enter everything that is dispatched inside the `with` block.

    A callable of `torch.compile` runs its eager program meanwhile. Dynamo would do so by itself
    under a dispatch mode, but then never run the compiled code again; the stance undoes itself.
    """
    ledger = OpLedger()

    def step_begins(*_: Any) -> None:
        ledger.optimizer_depth += 1

    def step_ends(*_: Any) -> None:
        ledger.optimizer_depth -= 1

    with ExitStack() as stack:
        stack.callback(register_optimizer_step_pre_hook(step_begins).remove)
        stack.callback(register_optimizer_step_post_hook(step_ends).remove)
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and its import takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(ledger)
        yield ledger
