"""What the recorder saw, as it travels from its process to the one that measures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

from traincost.instruments.edges import Edge
from traincost.instruments.gpm import GpmReading
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.power import PowerReading


@dataclass(frozen=True)
class Recording:
    """Readings of one GPU in their order, on the clock `time.monotonic`, the same in all processes.

    A reading that failed is not made again; `faults` has its NVML function and what it said.
    """

    edges: tuple[Edge, ...] = ()
    powers: tuple[PowerReading, ...] = ()
    states: tuple[GpuState, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict[str, str])
    calling: str = ""  # the NVML function under way when this was taken, if any
    calling_s: float = 0.0  # since when
    cpu_s: float = 0.0  # CPU time of the recorder's process since it started
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    gpm: tuple[GpmReading, ...] = ()

    def then(self, later: Recording) -> Recording:
        """This recording and what followed it."""
        return Recording(
            self.edges + later.edges,
            self.powers + later.powers,
            self.states + later.states,
            {**later.faults, **self.faults},
            later.calling,
            later.calling_s,
            later.cpu_s,
            {**self.facts, **later.facts},
            self.gpm + later.gpm,
        )

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(
            {
                "edges": [astuple(e) for e in self.edges],
                "powers": [astuple(p) for p in self.powers],
                "states": [s.to_json() for s in self.states],
                "faults": self.faults,
                "calling": self.calling,
                "calling_s": self.calling_s,
                "cpu_s": self.cpu_s,
                "facts": self.facts,
                "gpm": [astuple(g) for g in self.gpm],
            }
        )

    @classmethod
    def from_line(cls, line: str) -> Recording:
        """Read what `to_line` wrote."""
        read: dict[str, Any] = json.loads(line)
        return cls(
            tuple(Edge(*e) for e in read["edges"]),
            tuple(PowerReading(*p) for p in read["powers"]),
            tuple(GpuState.from_json(s) for s in read["states"]),
            read["faults"],
            read["calling"],
            read["calling_s"],
            read["cpu_s"],
            read["facts"],
            tuple(GpmReading(*g) for g in read["gpm"]),
        )
