"""The passes over a case: their order, what is inside the timed region, a CUDA device's calls."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from fake_cuda import FakeTorch

from traincost.calibrate import benchmark_outside_pytest
from traincost.data.profile import PROFILES, Profile
from traincost.data.record import Status
from traincost.instruments import clock as clock_file
from traincost.instruments.clock import MIN_ROUNDS, Clock
from traincost.instruments.energy import Energy
from traincost.machine.device import CpuDevice, CudaDevice, Device
from traincost.measure import Bench, Measured, Work, measure, status_of

SHORT = replace(PROFILES["quick"], timed_s=0.05, warmup_s=0.05)


class Log:
    """Everything that happens, in order: passes, steps, set-ups, windows."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def passing(self, name: str) -> Generator[None]:
        self.lines.append(f"[{name}")
        yield
        self.lines.append(f"{name}]")

    def inside(self, name: str) -> list[str]:
        """What happened in a pass."""
        return self.lines[self.lines.index(f"[{name}") + 1 : self.lines.index(f"{name}]")]


class WindowLog:
    """An energy source that takes one step."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def window(self, step: Any, step_s: float, profile: Profile) -> Energy:
        self.log.lines.append("window")
        step()
        return Energy(gpu_energy_j=2.0)


def bench_on(device: Device, log: Log) -> Bench:
    clock = Clock(device)
    return Bench(device, clock, WindowLog(log), SHORT, benchmark_outside_pytest(clock), log.passing)


def training(log: Log) -> Work:
    torch.manual_seed(0)
    model = torch.nn.Linear(16, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    x = torch.randn(8, 16)

    def step() -> torch.Tensor:
        log.lines.append("step")
        optimizer.zero_grad()
        loss: torch.Tensor = model(x).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return Work(step, samples=8, phase="step", model=model, optimizer=optimizer)


def test_the_passes_come_in_order_and_the_untimed_ones_after_the_rounds() -> None:
    log = Log()
    measure(training(log), bench_on(CpuDevice(), log))
    assert [line for line in log.lines if line.startswith("[")] == [
        "[first step",
        "[warm-up",
        "[timed rounds",
        "[arithmetic",
        "[memory",
        "[energy",
        "[loss",
    ]
    assert log.inside("first step") == ["step"]
    assert set(log.inside("timed rounds")) == {"step"}, "nothing but steps in the timed rounds"
    assert log.inside("loss") == ["step"] * 8
    assert "window" in log.inside("energy")


@pytest.mark.parametrize("window_steps", [0, 7])
def test_how_the_model_stands_afterwards_depends_on_no_clock(window_steps: int) -> None:
    """Whatever is asked of it then, a held-out loss, is the same with a meter and without."""
    fresh = training(Log())
    for _ in range(8):
        fresh.step()

    class Steps:
        def window(self, step: Any, step_s: float, profile: Profile) -> Energy:
            for _ in range(window_steps):
                step()
            return Energy()

    work = training(Log())
    measure(work, replace(bench_on(CpuDevice(), Log()), energy=Steps()))
    assert work.model is not None and fresh.model is not None
    for ours, theirs in zip(work.model.parameters(), fresh.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_losses_are_those_of_the_first_steps_of_a_fresh_model() -> None:
    work = training(Log())
    fresh = [float(work.step()) for _ in range(8)]  # type: ignore[arg-type]
    log = Log()
    measured = measure(training(log), bench_on(CpuDevice(), log))
    assert measured.losses.loss_first == pytest.approx(fresh[0])
    assert measured.losses.loss_last == pytest.approx(fresh[-1])
    assert measured.losses.loss_steps == 8


def test_a_set_up_runs_before_every_round_outside_the_timed_region() -> None:
    log = Log()
    work = replace(training(log), setup=lambda: log.lines.append("set-up"))
    measured = measure(work, bench_on(CpuDevice(), log))
    rounds = log.inside("timed rounds")
    assert rounds == ["set-up", "step"] * len(measured.timing.rounds_s)
    assert measured.timing.iterations == 1


def test_rounds_are_at_least_twenty() -> None:
    log = Log()
    measured = measure(training(log), bench_on(CpuDevice(), log))
    assert len(measured.timing.rounds_s) >= MIN_ROUNDS


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_diverged_with_the_step_it_came_at(bad: float) -> None:
    log = Log()
    losses = iter([2.0, 1.0, bad])

    def step() -> float:
        return next(losses) if log.lines[-1] == "[loss" or started_loss(log) else 1.0

    work = Work(step, samples=1, phase="step", model=torch.nn.Identity())
    measured = measure(work, bench_on(CpuDevice(), log))
    status, _ = status_of(measured)
    assert status is Status.DIVERGED
    assert measured.losses.diverged_at == 3
    assert measured.losses.loss_first == 2.0
    assert measured.losses.loss_last is None
    assert "at step 3" in measured.losses.notes["loss_last"]


def started_loss(log: Log) -> bool:
    return "[loss" in log.lines and "loss]" not in log.lines


def test_a_step_that_returns_no_loss_says_so() -> None:
    log = Log()
    measured = measure(Work(lambda: None, 1, "step"), bench_on(CpuDevice(), log))
    assert measured.losses.loss_first is None
    assert "returns no loss" in measured.losses.notes["loss_first"]


@pytest.mark.parametrize("result", [torch.ones(3), (1.0, 2.0), {"loss": 1.0}, "low"], ids=type)
def test_a_step_that_returns_something_else_than_its_loss_says_what(result: object) -> None:
    log = Log()
    measured = measure(Work(lambda: result, 1, "step"), bench_on(CpuDevice(), log))
    assert measured.losses.loss_first is None
    assert f"returned a {type(result).__name__}" in measured.losses.notes["loss_first"]


OnCuda = tuple[FakeTorch, Measured]


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> OnCuda:
    """A case on device 2 of four that are not there, whose steps take 0.25 ms of its clock."""
    monkeypatch.setattr(clock_file, "SHORT_STEP_S", 3600.0)  # however busy the host is
    fake, log = FakeTorch(), Log()
    work = training(log)

    def step() -> object:
        fake.advance(0.25)
        fake.allocate(2, 4096)
        fake.free(2, 4096)
        return work.step()

    measured = measure(replace(work, step=step), bench_on(CudaDevice(2, fake), log))
    return fake, measured


def test_every_call_goes_to_the_device_of_the_case(on_cuda: OnCuda) -> None:
    fake, _ = on_cuda
    on_a_device = {"synchronize", "memory_allocated", "max_memory_allocated", "set_device"}
    assert {call[1] for call in fake.calls if call[0] in on_a_device} == {2}


def test_short_steps_on_cuda_are_timed_by_its_own_clock_one_a_round(on_cuda: OnCuda) -> None:
    _, measured = on_cuda
    assert measured.timing.iterations == 1
    assert measured.timing.rounds_s == pytest.approx([0.25e-3] * len(measured.timing.rounds_s))


def test_memory_on_cuda_comes_from_the_allocator(on_cuda: OnCuda) -> None:
    _, measured = on_cuda
    assert measured.memory.step_peak_bytes == 4096


def test_launches_are_counted_on_cuda_and_left_empty_on_a_cpu(on_cuda: OnCuda) -> None:
    _, measured = on_cuda
    assert measured.launches == 0  # the fake launches nothing, and it was asked
    log = Log()
    assert measure(training(log), bench_on(CpuDevice(), log)).launches is None


@pytest.mark.parametrize("missing", ["model", "optimizer"])
def test_losses_of_a_training_that_cannot_be_put_back_are_left_out(missing: str) -> None:
    log = Log()
    work = training(log)
    work = replace(work, optimizer=None, model=None if missing == "model" else work.model)
    losses = measure(work, bench_on(CpuDevice(), log)).losses
    assert losses.loss_first is None
    assert losses.loss_last is None
    assert missing in losses.notes["loss_first"]


def test_a_model_that_the_step_leaves_alone_needs_no_optimizer() -> None:
    log = Log()
    model = torch.nn.Linear(2, 2)
    work = Work(lambda: model(torch.ones(2)).sum().detach(), 1, "forward", model=model)
    assert measure(work, bench_on(CpuDevice(), log)).losses.loss_first is not None


def test_a_set_up_runs_before_the_steps_of_every_pass() -> None:
    log = Log()
    ready: list[bool] = []
    work = training(log)

    def step() -> object:
        ready.pop()  # fails where nothing was set up
        return work.step()

    measure(replace(work, step=step, setup=lambda: ready.append(True)), bench_on(CpuDevice(), log))
    assert "energy]" in log.lines


def test_rounds_whose_threads_waited_for_a_cpu_are_unstable_however_alike_they_are() -> None:
    log = Log()
    measured = measure(training(log), bench_on(CpuDevice(), log))
    timing = replace(measured.timing, rounds_s=(1.0,) * 40, waited_share=0.9)
    status, notes = status_of(replace(measured, timing=timing))
    assert status is Status.UNSTABLE
    assert "waited for a CPU 90% of the time" in notes["time_median_s"]
    calm = replace(timing, waited_share=0.1)
    assert status_of(replace(measured, timing=calm))[0] is Status.OK
