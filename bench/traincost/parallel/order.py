"""What goes to the ranks and what comes back: a case to measure, and its row or why there is none.

Both travel as bytes through the key-value store that all processes of a job share.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from traincost.assemble import Origin
from traincost.data.case import Case
from traincost.data.profile import Profile
from traincost.data.record import Record
from traincost.machine.peaks import Peak


@dataclass(frozen=True)
class Order:
    """A case for the first `world_size` ranks; `make` builds their work, as `module:function`."""

    case: Case
    origin: Origin
    peak: Peak | None  # of one device
    profile: Profile
    make: str
    arguments: Mapping[str, Any]
    world_size: int
    device: str  # cpu, cuda
    timing_off: bool = False  # the step once, and no numbers
    path: tuple[str, ...] = ()  # where `make` may be, after a rank's own path

    def to_bytes(self) -> bytes:
        """As the store takes it."""
        case = replace(self.case, axes=dict(self.case.axes), defaults=dict(self.case.defaults))
        return pickle.dumps(replace(self, case=case))

    @classmethod
    def from_bytes(cls, data: bytes) -> Order:
        """What `to_bytes` made, in a process of the same job."""
        order: Order = pickle.loads(data)
        return order

    @property
    def function(self) -> Callable[..., Any]:
        """What `make` names."""
        sys.path += [entry for entry in self.path if entry not in sys.path]
        module, _, name = self.make.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found


@dataclass(frozen=True)
class Outcome:
    """How an order ended: with its row and the slowest rank's rounds, or with a reason."""

    record: Record | None = None
    rounds_s: tuple[float, ...] = ()
    error: str | None = None
    out_of_memory: bool = False

    def to_bytes(self) -> bytes:
        """As the store takes it."""
        return pickle.dumps(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Outcome:
        """What `to_bytes` made, in a process of the same job."""
        outcome: Outcome = pickle.loads(data)
        return outcome
