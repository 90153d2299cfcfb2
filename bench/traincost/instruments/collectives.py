"""The collectives of a step as one rank calls them: which, how many bytes, how long each alone.

A dispatch mode sees every op of `c10d` and its functional twin, whoever calls it: DDP's reducer in
C++, FSDP, ZeRO, a DTensor. Two sizes are counted for each, from the tensors it is given:

* **payload** (the collective's logical bytes): the larger of what goes in and what comes out. The
  tensor of an all-reduce or broadcast, the whole output of an all-gather, the whole input of a
  reduce-scatter.
* **bus**: what each rank sends when the collective runs as a ring (nccl-tests' `busbw` counts so):
  payload times 2(n-1)/n for an all-reduce, (n-1)/n for all-gather, reduce-scatter, gather, scatter
  and all-to-all, 1 for a broadcast, a reduction to one rank and a send. A group of one sends none.

Timed, a collective starts when all ranks have reached it and is waited for before anything else
runs: what it takes by itself, without overlap and without waiting for a straggler.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed import distributed_c10d
from torch.utils._python_dispatch import TorchDispatchMode

from traincost.instruments.traffic import op_name

_NAMESPACES = ("c10d::", "_c10d_functional::")
_RING = ("all_gather", "allgather", "reduce_scatter", "gather", "scatter", "all_to_all", "alltoall")
_SENDS_ALL = ("broadcast", "reduce", "send")
_POINT_TO_POINT = ("send", "recv")
_MOVES_NOTHING = ("barrier", "monitored_barrier", "wait_tensor", "_wrap_tensor_autograd", "recv")
"""A receiver's bytes are counted by its sender."""


@dataclass(frozen=True)
class Collective:
    """One call: `kind` is the op's name, `ranks` the size of its group."""

    kind: str
    ranks: int
    payload_bytes: int
    time_s: float | None  # None where it was not timed

    @property
    def bus_bytes(self) -> float:
        """What each rank sends if it runs as a ring."""
        return self.payload_bytes * ring_factor(self.kind, self.ranks)


def ring_factor(kind: str, ranks: int) -> float:
    """Bytes that each rank sends in a ring, over the payload.

    Raises:
        ValueError: a collective of unknown name.
    """
    if ranks == 1:
        return 0.0
    if kind.startswith(("all_reduce", "allreduce")):
        return 2 * (ranks - 1) / ranks
    if kind.startswith(_RING):
        return (ranks - 1) / ranks
    if kind.startswith(_SENDS_ALL):
        return 1.0
    raise ValueError(f"collective {kind!r}: expected one whose traffic is known")


class CollectiveLedger(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """The running account; open it with `collectives_of`."""

    supports_higher_order_operators = True

    def __init__(self, meet: Callable[[], None] | None, synchronize: Callable[[], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Collective] = []
        self._meet = meet
        self._synchronize = synchronize

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the op; enter it if it communicates."""
        kwargs = kwargs or {}
        name = op_name(func)
        if not name.startswith(_NAMESPACES):
            if any(hasattr(kind, "__tensor_flatten__") for kind in types):
                return NotImplemented  # a DTensor's own dispatch runs the ops on what it wraps
            return func(*args, **kwargs)
        kind = name.partition("::")[2].removeprefix("_")
        if kind.startswith(tuple(m.removeprefix("_") for m in _MOVES_NOTHING)):
            return func(*args, **kwargs)
        timed = self._meet is not None and not kind.startswith(_POINT_TO_POINT)
        if timed and self._meet is not None:
            self._synchronize()
            self._meet()
        begun_s = time.perf_counter()
        out = func(*args, **kwargs)
        if timed:
            _wait(out)
            self._synchronize()
        time_s = time.perf_counter() - begun_s if timed else None
        given = (*args, *kwargs.values())
        payload_bytes = max(_tensor_bytes(value) for value in (*given, out))
        self.calls.append(Collective(kind, _ranks(given), payload_bytes, time_s))
        return out


@contextmanager
def collectives_of(
    meet: Callable[[], None] | None = None, synchronize: Callable[[], None] = lambda: None
) -> Generator[CollectiveLedger]:
    """Enter every collective called inside the `with` block.

    Args:
        meet: Returns when every rank has called it; with it each collective is timed alone.
        synchronize: Waits for the device.
    """
    with CollectiveLedger(meet, synchronize) as ledger:
        yield ledger


def _wait(out: Any) -> None:
    """Until the collective that returned `out` is done."""
    if isinstance(out, torch.Tensor):
        torch.ops._c10d_functional.wait_tensor(out)
    elif isinstance(out, list) and out and isinstance(out[0], torch.Tensor):
        for tensor in out:
            torch.ops._c10d_functional.wait_tensor(tensor)
    else:  # c10d: the work alone, or behind the tensors
        work: Any = out[-1] if isinstance(out, tuple) else out
        distributed_c10d.Work.unbox(work).wait()


def _ranks(given: Iterable[Any]) -> int:
    """The size of the group among an op's arguments: the object, or its name."""
    for value in given:
        if isinstance(value, torch.ScriptObject) and "ProcessGroup" in str(value._type()):
            return int(distributed_c10d.ProcessGroup.unbox(value).size())
    names = [value for value in given if isinstance(value, str)]
    c10d: Any = distributed_c10d  # which exports to nobody what resolves names
    return int(c10d._resolve_process_group(names[-1]).size())


def _tensor_bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, (list, tuple)):
        return sum(_tensor_bytes(item) for item in value)
    return 0
