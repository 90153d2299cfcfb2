"""A fused op and its rivals on the same inputs, ready to be timed, and judged before they are.

    forward    the op alone, no graph kept
    backward   gradients of every differentiable input, on a graph that was kept
    both       forward and backward, as in training

Inputs and the gradients of the outputs are made here, outside the timed region. An op that writes
over its input can only be run forward and back in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._functorch import config as functorch_config

from traincost_kernels.agreement import compare
from traincost_kernels.catalog import CATALOG, IN_PLACE
from traincost_kernels.entry import KernelEntry, Outputs
from traincost_kernels.liger import PeerUnavailableError, peer_arguments, peer_function
from traincost_kernels.tolerance import faults
from traincost_suites.lacking import ImplUnavailableError
from traincost_suites.trainee import torch_dtype

IMPLS = ("eager", "composed", "compile", "aten-fused", "liger", "triton")
PHASES = ("forward", "backward", "both")
CHECKED_ROWS = 64
"""Rows of the check against fp64: enough for every kind of tile, and quick."""

Op = Callable[..., Outputs]


def entry_named(name: str) -> KernelEntry:
    """The catalog's entry; ValueError names those there are."""
    found = {entry.name: entry for entry in (*CATALOG, *IN_PLACE)}
    if name not in found:
        raise ValueError(f"kernel {name!r}: expected one of {', '.join(found)}")
    return found[name]


def op_of(entry: KernelEntry, impl: str, device: str) -> Op:
    """The function of an implementation.

    Raises:
        ImplUnavailableError: there is none here.
        ValueError: another name.
    """
    if impl not in IMPLS:
        raise ValueError(f"impl {impl!r}: expected one of {', '.join(IMPLS)}")
    if impl == "triton":
        if device == "cpu":
            raise ImplUnavailableError("Triton's kernels are timed on a GPU only")
        return entry.fused
    if impl == "liger":
        if device == "cpu":
            raise ImplUnavailableError("Liger's kernels are timed on a GPU only")
        return _liger(entry)
    if impl == "compile":
        # Else the compiler gives the buffers of a kept graph away at its first backward.
        functorch_config.donated_buffer = False
        compiled: Op = torch.compile(entry.eager, fullgraph=True, dynamic=False)
        return compiled
    if impl == "aten-fused" and entry.aten_fused_needs_cuda and device == "cpu":
        raise ImplUnavailableError("torch has this op on CUDA only")
    named: dict[str, Op | None] = {
        "eager": entry.eager,
        "composed": entry.composed,
        "aten-fused": entry.aten_fused,
    }
    found = named[impl]
    if found is None:
        raise ImplUnavailableError(f"{entry.name} has no {impl} implementation")
    return found


def _liger(entry: KernelEntry) -> Op:
    try:
        function = peer_function(entry)
    except PeerUnavailableError as lacking:
        raise ImplUnavailableError(str(lacking)) from lacking

    def liger(**inputs: Tensor) -> Outputs:
        outputs: Any = function.apply(*peer_arguments(entry, inputs))
        given = outputs if isinstance(outputs, tuple) else (outputs,)
        tensors = tuple(y for y in given if isinstance(y, Tensor))
        # Liger's loss comes with numbers for the log, of which eager has none.
        return tensors[0] if len(tensors) == 1 or entry.name == "cross_entropy" else tensors

    return liger


@dataclass(frozen=True)
class KernelWork:
    """One op on its inputs."""

    entry: KernelEntry
    impl: str
    op: Op
    inputs: Mapping[str, Tensor]
    n_elements: int

    def phase(self, name: str) -> Callable[[], object]:
        """The callable of a phase; ValueError for another name, or where it cannot be run alone."""
        if name not in PHASES:
            raise ValueError(f"phase {name!r}: expected one of {', '.join(PHASES)}")
        if name == "backward" and self.entry in IN_PLACE:
            raise ValueError(f"{self.entry.name} writes over its input: its backward runs once")
        return {"forward": self._forward, "backward": self._backward, "both": self._both}[name]()

    def _forward(self) -> Callable[[], object]:
        op, inputs = self.op, self.inputs

        def forward() -> None:
            with torch.no_grad():
                op(**inputs)

        return forward

    def _backward(self) -> Callable[[], object]:
        leaves, wanted = self._leaves()
        outputs = _tensors(self.op(**leaves))
        roots = [y for y in outputs if y.requires_grad]
        gradients = [torch.ones_like(y) for y in roots]

        def backward() -> None:
            torch.autograd.grad(roots, wanted, gradients, retain_graph=True, allow_unused=True)

        return backward

    def _both(self) -> Callable[[], object]:
        leaves, wanted = self._leaves()
        op = self.op
        with torch.no_grad():
            ones = [torch.ones_like(y) for y in _tensors(op(**self.inputs))]

        def both() -> None:
            outputs = _tensors(op(**leaves))
            pairs = [(y, one) for y, one in zip(outputs, ones, strict=True) if y.requires_grad]
            roots, gradients = zip(*pairs, strict=True)
            torch.autograd.grad(roots, wanted, gradients, allow_unused=True)

        return both

    def _leaves(self) -> tuple[dict[str, Tensor], list[Tensor]]:
        names = self.entry.differentiable
        leaves = {k: v.detach().requires_grad_(k in names) for k, v in self.inputs.items()}
        return leaves, [leaves[name] for name in names]


def kernel_work(
    kernel: str, impl: str, n_rows: int, n_cols: int, device: str, dtype: str
) -> KernelWork:
    """An op of the catalog on (n_rows, n_cols) elements.

    Raises:
        ImplUnavailableError: there is no such implementation here.
        ValueError: an unknown kernel, implementation or dtype.
    """
    entry = entry_named(kernel)
    op = op_of(entry, impl, device)
    inputs = entry.inputs(n_rows, n_cols, torch_dtype(dtype), device)
    return KernelWork(entry, impl, op, inputs, n_rows * n_cols)


def wrong(work: KernelWork, n_cols: int, device: str, dtype: str) -> list[str]:
    """What is wrong with the outputs and gradients of the op, over a few rows of its own length.

    Eager is what others are measured by; of a random op only ours can be told its mask.
    """
    random = work.entry.reference is not None
    if work.impl == "eager" or (random and work.impl != "triton"):
        return []
    inputs = work.entry.inputs(CHECKED_ROWS, n_cols, torch_dtype(dtype), device)
    compared = compare(work.op, work.entry.right, inputs, work.entry.differentiable)
    stores = 2 if work.entry.name == "fused_mlp" else 1
    return [
        f"{item.name} {fault}"
        for item in compared
        for fault in faults(item.ours, item.eager, item.right, stores)
    ]


def least_bytes(work: KernelWork, phase: str, dtype: str, n_cols: int) -> float:
    """Bytes that any implementation of this phase must move."""
    entry, kind = work.entry, torch_dtype(dtype)
    forward = entry.bytes_per_element_forward(kind, n_cols)
    backward = entry.bytes_per_element_backward(kind, n_cols)
    per_element = {"forward": forward, "backward": backward, "both": forward + backward}[phase]
    return per_element * work.n_elements


def _tensors(outputs: Outputs) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else outputs
