"""The ways by name (`impl`), and how a step is made to go each.

    eager           the plain step: autocast where `dtype` says so, all else torch's defaults
    checkpoint      every layer keeps its input and runs again in the backward
    accumulate-4    four micro-batches, a quarter of the batch each, and one optimizer step
    fused-adamw     the optimizer in one kernel
    sdpa-...        attention by that backend: math, flash, efficient, cudnn
    channels-last   weights and images with the channel as the last dimension in memory
    cuda-graph      forward and backward captured once and replayed
    compile         torch.compile with its defaults
    triton          this project's fused kernels: LayerNorm, MLP block, cross-entropy
    stack           torch.compile and fused AdamW, on a GPU with CUDA graphs; usual in bf16

fp16 autocast has a gradient scaler. Its scale starts at 2^16, halves where it overflows and does
not grow again: after the warm-up it is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import torch
from torch.nn.attention import SDPBackend

from traincost_suites.efficiency.way import Way
from traincost_suites.lacking import ImplUnavailableError
from traincost_suites.models.checkpointed import checkpointed
from traincost_suites.work import Work

N_MICRO_BATCHES = 4
FP16 = "autocast-fp16"
NEVER = 2**31 - 1  # steps until the scale grows
COMPILED = ("cuda-graph", "compile", "stack")
"""Ways that a compiler has a part in; to load it costs the others seconds."""

Change = Callable[[Way], Way]


def _checkpoint(way: Way) -> Way:
    checkpointed(way.model)
    return way


def _accumulate(way: Way) -> Way:
    ((x, y),) = way.micro_batches
    if len(x) % N_MICRO_BATCHES:
        raise ValueError(f"batch_size {len(x)}: expected a multiple of {N_MICRO_BATCHES}")
    parts = zip(x.chunk(N_MICRO_BATCHES), y.chunk(N_MICRO_BATCHES), strict=True)
    return replace(way, micro_batches=tuple(parts))


def _fused_adamw(way: Way) -> Way:
    asked = way.optimizer.defaults
    fused = torch.optim.AdamW(way.model.parameters(), lr=asked["lr"], eps=asked["eps"], fused=True)
    return replace(way, trainee=replace(way.trainee, optimizer=fused))


def _attention(backend: SDPBackend) -> Change:
    return lambda way: replace(way, attention=backend)


def _channels_last(way: Way) -> Way:
    way.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(
        way,
        micro_batches=tuple(
            (x.contiguous(memory_format=torch.channels_last), y) for x, y in way.micro_batches
        ),
    )


def _cuda_graph(way: Way) -> Way:
    if way.trainee.device == "cpu":
        raise ImplUnavailableError("a CPU has no CUDA graphs")
    way.model.compile(backend="cudagraphs")
    return way


def _compile(way: Way) -> Way:
    way.model.compile()
    return way


def _triton(way: Way) -> Way:
    from traincost_suites.models.fused import fuse, fused_loss

    if way.trainee.device == "cpu":
        raise ImplUnavailableError("Triton's kernels are timed on a GPU only")
    fuse(way.model)
    return replace(way, trainee=replace(way.trainee, loss_of=fused_loss))


def _stack(way: Way) -> Way:
    graphs = way.trainee.device == "cuda"
    way.model.compile(mode="reduce-overhead" if graphs else None)
    return _fused_adamw(way)


WAYS: Mapping[str, Change] = MappingProxyType(
    {
        "eager": lambda way: way,
        "checkpoint": _checkpoint,
        "accumulate-4": _accumulate,
        "fused-adamw": _fused_adamw,
        "sdpa-math": _attention(SDPBackend.MATH),
        "sdpa-flash": _attention(SDPBackend.FLASH_ATTENTION),
        "sdpa-efficient": _attention(SDPBackend.EFFICIENT_ATTENTION),
        "sdpa-cudnn": _attention(SDPBackend.CUDNN_ATTENTION),
        "channels-last": _channels_last,
        "cuda-graph": _cuda_graph,
        "compile": _compile,
        "triton": _triton,
        "stack": _stack,
    }
)


def way_of(impl: str, work: Work, dtype: str) -> Way:
    """The step of `work` in the named way; its model is changed in place.

    Raises:
        ValueError: an unknown name.
        ImplUnavailableError: not on this device.
    """
    if impl not in WAYS:
        raise ValueError(f"impl {impl!r}: expected one of {', '.join(WAYS)}")
    scaler = None
    if dtype == FP16:
        scaler = torch.amp.GradScaler(work.trainee.device, growth_interval=NEVER)
    return WAYS[impl](Way(work.trainee, ((work.x, work.y),), scaler=scaler))
