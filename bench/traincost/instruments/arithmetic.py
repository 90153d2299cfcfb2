"""The arithmetic of one step: FLOPs executed, FLOPs by definition of the model, bytes moved.

`count` runs the step once, untimed, under a ledger of every op that torch dispatches.

**flops**: executed. 2mnk per matrix product, convolutions as the products that they unfold into,
attention in full, whatever its mask. Recomputation counts: that of checkpointing, and that of the
scores in the backward of fused attention. So it is the numerator of HFU. Ops on the list of
`zero_flop_ops` are free; any other op without a formula empties the column and is named in a note.

**model_flops**: by definition of the model, hence the same on every backend. F is the products of
one forward pass, counted outside of autograd's backward (where checkpointing recomputes), outside
of `torch.optim` steps, and before the last backward ends (what follows is an optimizer written by
hand, or an evaluation); the forwards of gradient accumulation add up. A step or an epoch is 3F,
a forward F, a backward 2F, an optimizer 0; a step in which no backward runs is F. 3F exceeds what a
step without recomputation executes by the input gradient of its first layer, which nobody asks for.
A forward without gradients inside a training step (a teacher's) counts like any other.

**ops_bytes**: each op reads its inputs and writes its outputs once; the rules are in `traffic`.
**compulsory_bytes**: the floor. All memory that was there before the step and was read or written,
once, and what the step made and leaves behind (gradients, optimizer state, the loss with whatever
graph it still holds).
**aten_ops**: dispatched ops that do work. Views, questions about a tensor (its device, its layout)
and allocations are not counted.

A callable of `torch.compile` is counted as its eager program: the same FLOPs but for what the
compiler removes, more ops, more `ops_bytes`. It is compiled code again afterwards.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.nn import Module

    from traincost.instruments.op_ledger import OpLedger, Product

FLOPS_CONVENTION = "matmul-2mnk-full-attention-step-3F"
"""2mnk a matrix product, attention unmasked, `model_flops` of a step three times its forward."""

_FORWARDS = {"step": 3, "epoch": 3, "forward": 1, "backward": 2}
"""`model_flops` of a phase in units of its forward pass F; the optimizer has none."""


@dataclass(frozen=True)
class Arithmetic:
    """What one step computes and moves."""

    aten_ops: int
    flops: int | None  # executed
    model_flops: int | None  # by definition of the model
    flops_convention: str
    ops_bytes: int  # every op's inputs and outputs
    compulsory_bytes: int  # every byte that was there or stays, once
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # column: reason


def count(
    step: Callable[[], object],
    *,
    phase: str,
    forward: Callable[[], object] | None = None,
    model: Module | None = None,
) -> Arithmetic:
    """Run `step` once and count it; what it raises comes through.

    Args:
        step: One step. It is run in earnest: parameters and random state move on.
        phase: `step`, `epoch`, `forward`, `backward` or `optimizer`.
        forward: One forward pass, run after the step, for a backward that holds none.
        model: The model, if it may be compiled; a note then says that its eager program is counted.
    """
    from traincost.instruments.op_ledger import open_ledger

    with _older_objects_kept_from_gc(), open_ledger() as ledger:
        kept = step()  # held until the memory that the step leaves behind is counted
        gc.collect()  # cyclic garbage is not left behind
    compulsory_bytes = ledger.storages.compulsory_bytes()
    del kept
    notes: dict[str, str] = {}
    if _is_compiled(model):
        notes["aten_ops"] = "the eager program of the compiled model is counted"
    flops = _total(ledger.products, "flops", notes)
    return Arithmetic(
        aten_ops=ledger.aten_ops,
        flops=flops,
        model_flops=_model_flops(ledger, phase, forward, notes),
        flops_convention=FLOPS_CONVENTION,
        ops_bytes=ledger.ops_bytes,
        compulsory_bytes=compulsory_bytes,
        notes=MappingProxyType(notes),
    )


@contextmanager
def _older_objects_kept_from_gc() -> Generator[None, None, None]:
    """Collections inside look at what was made inside, which is little, and not at all of torch."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _model_flops(
    ledger: OpLedger,
    phase: str,
    forward: Callable[[], object] | None,
    notes: dict[str, str],
) -> int | None:
    from traincost.instruments.op_ledger import open_ledger

    if phase == "optimizer":
        return 0
    forwards = _FORWARDS.get(phase)
    if forwards is None:
        notes["model_flops"] = f"not defined for the phase {phase!r}"
        return None
    if forward is not None:
        with open_ledger() as forward_ledger:
            forward()
        products = forward_ledger.forward_products()
    else:
        products = ledger.forward_products()
        if phase == "backward" and not products:
            notes["model_flops"] = "the step has no forward pass, and none was given to count"
            return None
    if forwards == 3 and ledger.products_at_last_backward is None:
        forwards = 1
        notes["model_flops"] = "no backward ran: one forward pass"
    one_forward = _total(products, "model_flops", notes)
    return None if one_forward is None else forwards * one_forward


def _total(products: Iterable[Product], column: str, notes: dict[str, str]) -> int | None:
    """Sum of the FLOPs; None with a note naming the ops that have no formula."""
    products = list(products)
    unknown = sorted({product.unknown for product in products if product.flops is None})
    if unknown:
        notes[column] = f"no formula for {', '.join(unknown)}"
        return None
    return sum(product.flops or 0 for product in products)


def _is_compiled(model: Module | None) -> bool:
    """Whether `torch.compile(model)` made it, or `model.compile()` was called."""
    return hasattr(model, "_orig_mod") or getattr(model, "_compiled_call_impl", None) is not None
