"""Compiles a launch ahead of time, for a card that need not be there.

triton's own launch path does it: a driver that names a target and has no device, and
`JITFunction.warmup`, which binds and specialises the arguments (alignment, divisibility by 16, the
value 1) as a launch would, compiles, and stops. Meta tensors serve as arguments. So what is read
here is what a run would load.

Needs a process in which `TRITON_INTERPRET` is not set: kernels decorated under it cannot be
compiled. triton's cache is bypassed: on a hit ptxas does not run and leaves no log, and the log has
the spills.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from traincost_kernels.static.architecture import ARCHITECTURES, WARP_SIZE, Architecture
from traincost_kernels.static.binary import Binary
from traincost_kernels.static.ptx import parse_ptx
from traincost_kernels.static.resources import parse_log


class InterpreterIsOnError(RuntimeError):
    """Kernels decorated under the interpreter have no compiler."""


class CompileOnlyDriver:
    """Stands in for triton's driver: a target, and no device behind it."""

    def __init__(self) -> None:
        self.architecture: Architecture = next(iter(ARCHITECTURES.values()))

    def get_current_target(self) -> GPUTarget:
        """What to compile for."""
        return GPUTarget("cuda", self.architecture.capability, WARP_SIZE)

    def get_current_device(self) -> int:
        """One number a target: triton keeps what it compiled by device."""
        return self.architecture.capability

    def get_current_stream(self, device: int) -> int:
        """No stream; asked for before every launch."""
        return 0


@cache
def compile_only_driver() -> CompileOnlyDriver:
    """Install the driver in this process, for good."""
    if knobs.runtime.interpret:
        raise InterpreterIsOnError(
            "TRITON_INTERPRET is set in this process; expected it unset before triton is imported, "
            "so that kernels can be compiled"
        )
    stand_in = CompileOnlyDriver()
    driver.set_active(stand_in)  # pyright: ignore[reportArgumentType]
    knobs.compilation.always_compile = True
    knobs.nvidia.dump_ptxas_log = True
    return stand_in


_compiled: dict[int, tuple[object, Binary]] = {}  # by identity; the object is kept alive


def compile_call(
    kernel: JITFunction[Any],
    arguments: Sequence[object],
    options: Mapping[str, object],
    arch: str,
) -> Binary:
    """Compile what `kernel[grid](*arguments, **options)` would launch on a card of `arch`.

    Args:
        kernel: A `@triton.jit` function.
        arguments: Positional arguments; tensors may be on the device meta.
        options: Keyword arguments: constants, further arguments, `num_warps` and the like.
        arch: A key of `ARCHITECTURES`.
    """
    compile_only_driver().architecture = ARCHITECTURES[arch]
    log = io.StringIO()
    with contextlib.redirect_stdout(log):
        compiled: Any = kernel.warmup(*arguments, grid=(1,), **options)
    if id(compiled) not in _compiled:
        binary = Binary(
            name=compiled.name,
            arch=arch,
            num_warps=compiled.metadata.num_warps,
            shared_bytes=compiled.metadata.shared,
            resources=parse_log(log.getvalue()),
            ptx=parse_ptx(compiled.asm["ptx"]),
        )
        _compiled[id(compiled)] = (compiled, binary)
    return _compiled[id(compiled)][1]


def as_meta(argument: object) -> object:
    """A tensor of the same shape, strides and dtype, without memory; anything else as it is."""
    if not isinstance(argument, torch.Tensor) or argument.device.type == "meta":
        return argument
    return torch.empty_strided(
        argument.shape, argument.stride(), dtype=argument.dtype, device="meta"
    )
