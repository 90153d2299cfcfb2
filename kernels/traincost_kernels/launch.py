"""A launch of a kernel as data, and the one place that launches.

Launchers are pure functions from tensors to launches: with real tensors the launches run, with meta
tensors they are what ahead-of-time compilation compiles, so that static figures are those of what
runs.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction
from triton.runtime.jit import KernelInterface

from traincost_kernels.errors import NoDeviceError
from traincost_kernels.interpreter import naming_versions

Kernel: TypeAlias = KernelInterface[Any]  # what @triton.jit makes of a function

# Fuse a multiplication and an addition into one rounding. Triton's default changes in 3.10.
ENABLE_FP_FUSION = True


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One launch: `kernel[grid](*arguments, **constants)`."""

    kernel: Kernel
    grid: tuple[int, ...]
    arguments: tuple[Tensor | int | float | None, ...]  # in the kernel's order, no constexprs
    constants: Mapping[str, object]  # the constexprs by name
    num_warps: int
    num_stages: int = 1
    bytes_read: int  # that must be loaded from global memory, each byte once
    bytes_written: int  # that must be stored to global memory


def bytes_of(*tensors: Tensor | None) -> int:
    """Bytes of the elements of all tensors, each tensor once."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)


def run(op: str, launches: Iterable[Launch]) -> None:
    """Run the launches in order on the device of their tensors; an empty grid runs nothing.

    Raises:
        NoDeviceError: the tensors are on the CPU and Triton's interpreter is off.
        InterpreterVersionsError: the interpreter does not work with this numpy.
    """
    for launch in launches:
        device = next(value.device for value in launch.arguments if isinstance(value, Tensor))
        _require_device(op, launch.kernel, device)
        if 0 in launch.grid:
            continue
        with _on(device), naming_versions(op):
            launch.kernel[launch.grid](
                *launch.arguments,
                **launch.constants,
                num_warps=launch.num_warps,
                num_stages=launch.num_stages,
                enable_fp_fusion=ENABLE_FP_FUSION,
            )


def _require_device(op: str, kernel: Kernel, device: torch.device) -> None:
    if device.type == "cpu" and not isinstance(kernel, InterpretedFunction):
        raise NoDeviceError(
            f"{op}: Triton needs a CUDA device, and these tensors are on {device}. To run the "
            "kernels on the CPU, slowly, for tests: set TRITON_INTERPRET=1 in the environment "
            "before Python starts."
        )


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches on the current device, so make it the tensors' own."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
