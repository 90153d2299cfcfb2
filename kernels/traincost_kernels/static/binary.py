"""A kernel compiled for a target, as far as its cost is concerned."""

from __future__ import annotations

from dataclasses import dataclass

from traincost_kernels.static.architecture import ARCHITECTURES, occupancy
from traincost_kernels.static.ptx import Ptx
from traincost_kernels.static.resources import Resources


@dataclass(frozen=True)
class Binary:
    """One kernel compiled for one target."""

    name: str
    arch: str
    num_warps: int
    shared_bytes: int  # of a block
    resources: Resources
    ptx: Ptx

    @property
    def occupancy(self) -> float:
        """Theoretical, see `architecture.py`."""
        return occupancy(
            ARCHITECTURES[self.arch],
            registers=self.resources.registers,
            shared_bytes=self.shared_bytes,
            num_warps=self.num_warps,
        )
