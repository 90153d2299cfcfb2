"""One case measured: passes over the same step, each with its instrument, into one record.

In order, with model and optimizer put back to their start between them:

    first step   -> time_first_step_s
    warm-up      until the steps are steady
    timed rounds through pytest-benchmark's runner, and nothing else inside
    arithmetic   -> FLOPs, bytes, operations     (untimed from here on)
    memory       -> live and peak bytes
    energy       -> a window of whole steps
    loss         -> a fixed number of steps, the same on every machine; NaN is looked for here

The instruments are handed in, so that a test hands in others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from traincost.data.profile import Profile
from traincost.data.record import Status
from traincost.instruments import clock as clocks
from traincost.instruments import contention
from traincost.instruments.arithmetic import Arithmetic, count
from traincost.instruments.clock import Clock, Step
from traincost.instruments.energy import Energy, EnergySource
from traincost.instruments.launches import count_launches
from traincost.instruments.memory import Memory, measure_memory
from traincost.machine.device import Device
from traincost.snapshot import Snapshot, take_snapshot

if TYPE_CHECKING:
    import torch

NOT_IN_AN_AB = Energy(notes={"gpu_energy_j": "not measured in an A/B"})
WITH_SET_UP = "a window of steps would hold their set-ups too"
LOSS_STEPS: Mapping[str, int] = {"step": 8, "epoch": 2}  # by phase; other phases do not learn


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture."""

    extra_info: dict[str, Any]
    stats: Any

    def pedantic(self, target: Step, **options: Any) -> object:
        """Run rounds."""


@dataclass(frozen=True)
class Work:
    """What a suite hands to `train_cost`."""

    step: Step
    samples: int
    phase: str
    tokens: int | None = None
    model: torch.nn.Module | None = None
    optimizer: torch.optim.Optimizer | None = None
    forward: Step | None = None  # one forward pass, where the step has none of its own
    setup: Callable[[], object] | None = None  # untimed, before every round


class Start(Protocol):
    """Where every pass begins."""

    def restore(self) -> None:
        """Put model and optimizer back."""


@dataclass(frozen=True)
class Bench:
    """What a case is measured with. `passing(name)` surrounds each pass (progress, wall time)."""

    device: Device
    clock: Clock
    energy: EnergySource
    profile: Profile
    benchmark: Benchmark
    passing: Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Timing:
    """What the timed passes gave."""

    first_step_s: float
    rounds_s: tuple[float, ...]
    iterations: int
    steady: bool
    waited_share: float | None = None  # of the rounds' wall time, that threads waited for a CPU
    one_of_many: bool = False  # other processes time it too: their spread is what counts


@dataclass(frozen=True)
class Losses:
    """Losses of a fixed number of steps from the start; `diverged_at` is the first not finite."""

    loss_first: float | None = None
    loss_last: float | None = None
    loss_steps: int | None = None
    diverged_at: int | None = None
    notes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Measured:
    """All that the passes of a case gave."""

    timing: Timing
    arithmetic: Arithmetic | None = None  # None where there are timed passes only
    launches: int | None = None  # None on a CPU, which launches no kernels
    memory: Memory = field(default_factory=Memory)
    losses: Losses = field(default_factory=Losses)
    energy: Energy = field(default_factory=Energy)


def measure(work: Work, bench: Bench) -> Measured:
    """Run every pass over `work.step`."""
    start = take_snapshot(work.model, work.optimizer)
    timing = timed(work, bench, start)
    if not bench.profile.untimed:
        return Measured(timing)
    return untimed(work, bench, start, timing, lambda: _restored_only(losses_of(work), work, start))


def untimed(
    work: Work, bench: Bench, start: Start, timing: Timing, losses: Callable[[], Losses]
) -> Measured:
    """The passes after the timed ones, each from `start`; `losses` takes its steps from there."""
    with bench.passing("arithmetic"):
        _settle(work, bench, start)
        _set_up(work)
        arithmetic = count(work.step, phase=work.phase, forward=work.forward, model=work.model)
        launches = None
        if bench.device.kind != "cpu":
            _set_up(work)
            launches = count_launches(work.step, bench.device.synchronize)
    with bench.passing("memory"):
        start.restore()
        memory = measure_memory(
            work.step, bench.device, work.model, work.optimizer, setup=lambda: _set_up(work)
        )
    energy = NOT_IN_AN_AB if bench.profile.one_of_many else _energy(work, bench, start, timing)
    with bench.passing("loss"):  # the last one: how the model then stands depends on no clock
        start.restore()
        lost = losses()
    return Measured(timing, arithmetic, launches, memory, lost, energy)


def _energy(work: Work, bench: Bench, start: Start, timing: Timing) -> Energy:
    with bench.passing("energy"):
        start.restore()
        step_s = sorted(timing.rounds_s)[len(timing.rounds_s) // 2]
        if work.setup is None:
            return bench.energy.window(work.step, step_s, bench.profile)
        return Energy(notes=dict.fromkeys(("gpu_energy_j", "cpu_energy_j"), WITH_SET_UP))


def run_once(work: Work, bench: Bench) -> None:
    """The step once, untimed: when timing is off (xdist, `--benchmark-disable`)."""
    bench.benchmark.pedantic(work.step, setup=lambda: _set_up(work))


def _set_up(work: Work) -> None:
    """What comes before a step; its result is dropped (pytest-benchmark would take arguments)."""
    if work.setup is not None:
        work.setup()


def _settle(work: Work, bench: Bench, start: Start) -> None:
    """Back to the start and one step on, so that gradients and optimizer state exist."""
    start.restore()
    _set_up(work)
    work.step()
    bench.device.synchronize()


def timed(work: Work, bench: Bench, start: Start) -> Timing:
    """The timed passes: first step, warm-up, rounds."""
    clock = bench.clock
    with bench.passing("first step"):
        _set_up(work)
        bench.device.synchronize()
        begun_s = time.perf_counter()
        work.step()
        bench.device.synchronize()
        first_step_s = time.perf_counter() - begun_s
    with bench.passing("warm-up"):
        start.restore()
        warm = clocks.warm_up(work.step, clock, bench.profile.warmup_s, work.setup)
        one_block = work.setup is not None or bench.device.kind != "cpu"
        iterations = 1 if one_block else clocks.iterations_for(warm.typical_s)
        clock.short_steps = bench.device.kind != "cpu" and warm.typical_s < clocks.SHORT_STEP_S
        _settle(work, bench, start)
    with bench.passing("timed rounds"):
        begun_s, waited_s = time.perf_counter(), contention.waited_s()
        rounds_s = timed_rounds(work, bench, iterations)
        wall_s = time.perf_counter() - begun_s
        share = contention.waited_share(waited_s, contention.waited_s(), wall_s)
    one_of_many = bench.profile.one_of_many
    return Timing(first_step_s, rounds_s, iterations, warm.steady, share, one_of_many)


def timed_rounds(work: Work, bench: Bench, iterations: int) -> tuple[float, ...]:
    """Seconds per step of each round, until the median is known or the budget ends."""
    stop = clocks.Stop(lambda: bench.benchmark.stats.stats.data, bench.profile, bench.clock.now_s)
    setup = None if work.setup is None else lambda: _set_up(work)
    with suppress(clocks.RoundsDone):
        bench.benchmark.pedantic(
            work.step, setup=setup, teardown=stop, rounds=2**31, iterations=iterations
        )
    return tuple(bench.benchmark.stats.stats.data)


def losses_of(work: Work) -> Losses:
    """Those of a fixed number of steps, taken from where the model stands."""
    steps = LOSS_STEPS.get(work.phase, 1)
    losses: list[float] = []
    for i in range(steps):
        _set_up(work)
        result = work.step()
        if result is None:
            return Losses(notes={"loss_first": "the step returns no loss"})
        loss = number_of(result)
        if loss is None:
            kind = type(result).__name__
            reason = f"the step returned a {kind} that is not one number, expected its loss"
            return Losses(notes={"loss_first": reason})
        if not math.isfinite(loss):
            note = {"loss_last": f"{loss} at step {i + 1}"}
            first = losses[0] if losses else None
            return Losses(first, None, i + 1, i + 1, note)
        losses.append(loss)
    return Losses(losses[0], losses[-1], steps)


def _restored_only(losses: Losses, work: Work, start: Snapshot) -> Losses:
    """Losses only of a training that was put back to its start before them.

    Otherwise they are those of some later step, and of which depends on how fast the machine is.
    """
    if losses.loss_first is None:
        return losses
    if work.model is None:
        missing = "no model was given"
    elif work.optimizer is None and start.has_moved():
        missing = "the step trains and no optimizer was given"
    else:
        return losses
    notes = {**losses.notes, "loss_first": f"{missing}, so that the start could not be restored"}
    return Losses(None, None, None, losses.diverged_at, notes)


def number_of(result: Any) -> float | None:
    """A loss as a float, if it is one number; waits for the device."""
    if hasattr(result, "numel"):
        return float(result.detach()) if result.numel() == 1 else None
    return float(result) if isinstance(result, int | float) else None


def status_of(measured: Measured) -> tuple[Status, dict[str, str]]:
    """The status of a case that ran to its end, and why."""
    notes: dict[str, str] = {}
    timing = measured.timing
    reason = clocks.waiting(timing.waited_share)
    if not timing.one_of_many:
        reason = reason or clocks.instability(timing.rounds_s)
    steady = timing.steady or timing.one_of_many
    warm = None if steady else "the warm-up ended with its budget, not steady"
    if reasons := [r for r in (reason, warm) if r]:
        notes["time_median_s"] = ", ".join(reasons)
    if measured.losses.diverged_at is not None:
        return Status.DIVERGED, notes
    if measured.energy.throttled:
        return Status.THROTTLED, notes
    return (Status.UNSTABLE if reason else Status.OK), notes
