"""A launch as the compiler and the counter see it: ours from a `Launch`, a peer's intercepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from traincost_kernels.launch import ENABLE_FP_FUSION, Launch

Phases = Mapping[str, tuple["Call", ...]]
"""Launches by phase, in the order in which they run."""


@dataclass(frozen=True)
class Call:
    """`kernel[grid](*arguments, **options)`."""

    kernel: Any  # what @triton.jit made, with or without the interpreter
    grid: Any  # a tuple, or a function from the bound arguments to one
    arguments: tuple[object, ...]
    options: Mapping[str, object]
    declared_bytes: int | None  # that must be read and written, where the launcher says so

    @property
    def compiled_as(self) -> str:
        """The kernel and its constants: equal where two launches are of one kernel."""
        constants = {
            name: getattr(value, "__name__", value)
            for name, value in self.options.items()
            if not isinstance(value, Tensor)
        }
        return f"{self.name} {constants}"

    @property
    def name(self) -> str:
        """The kernel's."""
        return str(self.kernel.__name__)

    @property
    def values(self) -> tuple[object, ...]:
        """All that is handed over, by position and then by name."""
        return (*self.arguments, *self.options.values())


def call_of(launch: Launch) -> Call:
    """What `traincost_kernels.launch.run` would call."""
    return Call(
        launch.kernel,
        launch.grid,
        launch.arguments,
        {
            **launch.constants,
            "num_warps": launch.num_warps,
            "num_stages": launch.num_stages,
            "enable_fp_fusion": ENABLE_FP_FUSION,
        },
        launch.bytes_read + launch.bytes_written,
    )
