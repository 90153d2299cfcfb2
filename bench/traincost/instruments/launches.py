"""Kernel launches of one step on CUDA, counted from the profiler's runtime events.

A replayed CUDA graph is one launch, which is what it is for.
"""

from collections.abc import Callable, Iterable
from typing import Any

LAUNCH_CALLS = (
    "cudaLaunchKernel",
    "cudaLaunchKernelExC",
    "cudaLaunchCooperativeKernel",
    "cudaGraphLaunch",
    "cuLaunchKernel",
    "cuLaunchKernelEx",
    "cuLaunchCooperativeKernel",
)


def count_launches(step: Callable[[], object], synchronize: Callable[[], None]) -> int:
    """Launches of one call of `step`."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        step()
        synchronize()
    return launches_among(profiler.events() or ())


def launches_among(events: Iterable[Any]) -> int:
    """How many of the profiler's events put work on the GPU."""
    return sum(event.name in LAUNCH_CALLS for event in events)
