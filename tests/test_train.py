"""`train`: step by step to a target, a budget, an end of its own or a divergence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from fake_cuda import FakeTorch
from test_measure import Log, bench_on

from traincost.data.record import Status
from traincost.machine.device import CpuDevice, CudaDevice
from traincost.measure import Measured, status_of
from traincost.train import Trained, train
from traincost.training import Budget, Target, Training

LOSS = Target("loss_heldout", 0.1)


def falling(log: Log, losses: Callable[[int], float] = lambda step: 1 / step) -> Training:
    """A training whose loss is a function of the step, counted from 1."""
    taken = [0]

    def step() -> float:
        taken[0] += 1
        log.lines.append("step")
        return losses(taken[0])

    def evaluate() -> dict[str, float]:
        log.lines.append("evaluate")
        return {"loss_heldout": losses(taken[0])}

    return Training(step, evaluate, samples=1)


def trained(training: Training, target: Target | None = LOSS, **budget: float) -> Trained:
    whole = {k: v if k == "seconds" else int(v) for k, v in budget.items()}
    made = Budget(**{"steps": 100, "evaluate_every": 4, **whole})  # type: ignore[arg-type]
    return train(training, target, made, bench_on(CpuDevice(), Log()))


def test_training_ends_at_the_first_evaluation_that_meets_the_target() -> None:
    log = Log()
    found = trained(falling(log))
    assert found.steps_to_target == 12  # 1/10 is met at step 10, seen at 12
    assert log.lines.count("step") == 12
    assert log.lines.count("evaluate") == 3
    assert (found.losses.loss_first, found.losses.loss_last) == (1.0, 1 / 12)
    assert found.losses.loss_steps == 12
    assert found.missed is None


def test_the_time_to_target_is_that_of_the_steps_and_not_of_the_evaluation() -> None:
    import time

    quick = falling(Log())

    def slow() -> dict[str, float]:
        time.sleep(0.02)
        return dict(quick.evaluate())

    found = trained(Training(quick.step, slow, samples=1))
    assert found.train_s < 0.02
    assert found.train_s == pytest.approx(found.timing.first_step_s + sum(found.timing.rounds_s))
    assert len(found.timing.rounds_s) == 11, "the first step has a column of its own"


def test_a_target_missed_says_how_far_it_came() -> None:
    found = trained(falling(Log()), Target("loss_heldout", 0.001), steps=10)
    assert found.steps_to_target is None
    assert found.missed == "not reached in 10 steps, loss_heldout 0.1"
    assert found.evaluation == {"loss_heldout": 0.1}, "evaluated at the end, whatever the schedule"
    assert status_of(Measured(found.timing, losses=found.losses))[0] != Status.DIVERGED


def test_a_training_that_says_it_is_over_is_evaluated_and_ends() -> None:
    log = Log()
    asked = 0

    def is_over() -> bool:
        nonlocal asked
        asked += 1
        return asked == 6

    found = trained(replace(falling(log), is_over=is_over), Target("loss_heldout", 1e-9))
    assert found.losses.loss_steps == 6
    assert log.lines == [*["step"] * 4, "evaluate", "step", "step", "evaluate"]
    assert found.evaluation == {"loss_heldout": 1 / 6}
    assert found.missed == "not reached in 6 steps, loss_heldout 0.1667"


def test_a_budget_of_seconds_ends_a_training_and_is_named() -> None:
    found = trained(falling(Log()), Target("loss_heldout", 1e-9), steps=10**9, seconds=0.01)
    assert found.missed is not None
    assert "steps and 0.01 s, loss_heldout" in found.missed
    assert found.train_s >= 0.01


def test_without_a_target_the_whole_budget_is_trained() -> None:
    found = trained(falling(Log()), None, steps=30)
    assert (found.losses.loss_steps, found.steps_to_target, found.missed) == (30, None, None)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_training_as_diverged(value: float) -> None:
    found = trained(falling(Log(), lambda step: value if step == 6 else 1.0))
    assert found.losses.diverged_at == 6
    assert found.losses.notes == {"loss_last": f"{value} at step 6"}
    assert found.losses.loss_last is None
    assert found.evaluation == {}, "that of step 4 is no result of a training that diverged"
    assert found.missed == "not reached, diverged at step 6"
    assert status_of(Measured(found.timing, losses=found.losses))[0] == Status.DIVERGED


def test_an_evaluation_that_is_not_finite_is_a_divergence_too() -> None:
    quick = falling(Log())
    found = trained(Training(quick.step, lambda: {"loss_heldout": math.nan}, samples=1))
    assert found.losses.diverged_at == 4
    assert found.losses.notes == {"loss_heldout": "nan at step 4"}
    assert found.evaluation == {}


def test_a_target_that_nobody_evaluates_is_an_error_that_names_what_is() -> None:
    with pytest.raises(ValueError, match=r"target accuracy_heldout >= 0\.9: the evaluation gives"):
        trained(falling(Log()), Target("accuracy_heldout", 0.9))


def test_a_step_that_returns_no_number_is_an_error() -> None:
    with pytest.raises(TypeError, match="step returned a str; expected its loss"):
        trained(Training(lambda: "low", lambda: {"loss_heldout": 1.0}, samples=1))


def test_on_cuda_every_step_is_waited_for() -> None:
    fake = FakeTorch()
    log = Log()
    bench = bench_on(CudaDevice(0, fake), log)
    train(falling(log), LOSS, Budget(steps=8, evaluate_every=8), bench)
    assert sum("synchronize" in call for call in fake.calls) >= 16


def test_a_target_knows_which_way_is_better() -> None:
    assert str(Target("accuracy_heldout", 0.95)) == "accuracy_heldout >= 0.95"
    assert Target("accuracy_heldout", 0.95).met_by(0.95)
    assert not Target("accuracy_heldout", 0.95).met_by(0.9)
    assert Target("loss_heldout", 0.5).met_by(0.5)
    assert not Target("loss_heldout", 0.5).met_by(math.nan)
    assert Target("reward_points", 1.0, rises=True).met_by(2.0)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Target("reward_points", 1.0), "expected a name with loss or accuracy in it"),
        (lambda: Target("loss_heldout", math.nan), "expected a finite number"),
        (lambda: Budget(0, 1), "budget steps=0: expected 1 or more"),
        (lambda: Budget(1, 0), "budget evaluate_every=0: expected 1 or more"),
        (lambda: Budget(1, 1, seconds=0.0), "budget seconds=0.0: expected more than 0"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(
    make: Callable[[], object], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        make()
