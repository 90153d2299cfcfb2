"""Does the clock agree with another's? Steps timed here and by `torch.utils.benchmark`, in turns.

Both run the same number of steps in a block, on the same threads; with other block sizes or thread
counts the two differ by method alone (0.965 at 200 µs). A single trial can be off by half on a
shared machine, so what is compared are medians over interleaved trials.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from traincost.data.profile import Profile
from traincost.instruments.clock import Clock, Step, iterations_for, warm_up
from traincost.instruments.energy import NoSource
from traincost.machine.device import CpuDevice
from traincost.machine.processor import measuring_cpus, pinned
from traincost.measure import Bench, Benchmark, Work, timed_rounds

STEPS_S = (50e-6, 200e-6, 1e-3, 10e-3, 50e-3)
TRIALS = 12
BUDGET = Profile("calibrate", timed_s=1.0, timed_max_s=10.0, warmup_s=0.5, energy_s=0.0)


@dataclass(frozen=True)
class Agreement:
    """One step timed by both; `ratio` is ours to theirs."""

    step_s: float  # aimed at
    ours_s: float
    torch_s: float
    ratio: float
    ratio_min: float  # over single trials
    ratio_max: float
    block: int  # steps in a block
    trials: int


def agreements(
    threads: int,
    steps_s: Sequence[float] = STEPS_S,
    trials: int = TRIALS,
    watch: Callable[[int, int], None] = lambda done, of: None,
) -> Iterator[Agreement]:
    """Time a step of about each length both ways, pinned as a case is."""
    import torch

    cpus = measuring_cpus(threads)
    torch.set_num_threads(threads)
    with pinned(cpus):
        for number, aim_s in enumerate(steps_s):
            watch(number, len(steps_s))
            yield _agreement(aim_s, trials)


def _agreement(aim_s: float, trials: int) -> Agreement:
    step = matrix_step(aim_s)
    block = iterations_for(warm_up(step, Clock(CpuDevice()), BUDGET.warmup_s).typical_s)
    pairs: list[tuple[float, float]] = []
    for trial in range(trials):
        if trial % 2:
            theirs_s, ours_s = by_torch(step, block), by_us(step, block)
        else:
            ours_s, theirs_s = by_us(step, block), by_torch(step, block)
        pairs.append((ours_s, theirs_s))
    ours_s, theirs_s = (statistics.median(side) for side in zip(*pairs, strict=True))
    single = [ours / theirs for ours, theirs in pairs]
    return Agreement(
        aim_s, ours_s, theirs_s, ours_s / theirs_s, min(single), max(single), block, trials
    )


def matrix_step(aim_s: float) -> Step:
    """A chain of matrix products that takes about `aim_s` on this machine."""
    import torch

    x, w = torch.ones(64, 64), torch.eye(64)

    def chain(length: int) -> Step:
        def step() -> None:
            y = x
            for _ in range(length):
                y = y @ w

        return step

    link_s = warm_up(chain(100), Clock(CpuDevice()), BUDGET.warmup_s).typical_s / 100
    return chain(max(1, round(aim_s / link_s)))


def by_us(step: Step, block: int) -> float:
    """Median seconds a step, by the rounds that a case is timed with."""
    clock = Clock(CpuDevice())
    bench = Bench(
        device=clock.device,
        clock=clock,
        energy=NoSource("not asked for"),
        profile=BUDGET,
        benchmark=benchmark_outside_pytest(clock),
        passing=lambda name: nullcontext(),
    )
    return statistics.median(timed_rounds(Work(step, samples=1, phase="step"), bench, block))


def benchmark_outside_pytest(clock: Clock) -> Benchmark:
    """pytest-benchmark's fixture, made as its plugin makes it."""
    from pytest_benchmark.fixture import BenchmarkFixture

    made: Any = BenchmarkFixture(  # type: ignore[no-untyped-call]
        SimpleNamespace(name="case", nodeid="case"),
        disable_gc=True,
        timer=SimpleNamespace(target=clock.timer),
        min_rounds=1,
        min_time=0,
        max_time=1,
        precision=None,
        confidence=None,
        warmup=False,
        warmup_iterations=0,
        calibration_precision=1,
        add_stats=list[object]().append,
        logger=None,
        warner=None,
        disabled=False,
        cprofile=None,
        cprofile_loops=None,
        cprofile_dump=None,
    )
    return cast("Benchmark", made)


def by_torch(step: Step, block: int) -> float:
    """Median seconds a step, by `torch.utils.benchmark` with the same block and threads."""
    import torch
    from torch.utils.benchmark import Timer

    timer = Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads())
    return statistics.median(timer.timeit(block).mean for _ in range(20))
