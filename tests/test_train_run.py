"""`train_run`: a whole training on one row, what it costs a step and what it took to the target."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_cuda import FakeTorch
from project import Outcome, run_pytest, write_project
from test_measure import Log, bench_on

from traincost.data.record import Record, Status
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


SUITE = """
    from traincost.training import Budget, Target, Training

    def make(seed, rate=0.1):
        model = torch.nn.Linear(8, 8)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        def loss():
            return model(torch.eye(8)).square().sum()
        def step():
            optimizer.zero_grad()
            now = loss()
            now.backward()
            optimizer.step()
            return now.detach()
        def evaluate():
            return {"loss_heldout": loss().item(), "own_share": 0.5}
        return Training(step, evaluate, samples=8, model=model, optimizer=optimizer)

    GOAL = dict(target=Target("loss_heldout", 0.1), budget=Budget(steps=200, evaluate_every=5))

    @pytest.mark.parametrize("seed", [0, 1])
    def test_reached(train_run, seed, device):
        train_run(make, seed=seed, **GOAL, axes={"remedy": "none"},
                  metrics={"weight_norm": lambda t: t.model.weight.norm().item()})

    def test_missed(train_run):
        train_run(lambda s: make(s, 1e-6), **GOAL)

    def test_diverged(train_run):
        train_run(lambda s: make(s, 1e6), **GOAL)

    def test_twice(train_run):
        train_run(make, **GOAL)
        train_run(make, **GOAL)

    def test_never(train_run):
        pass

    def test_both(train_run, train_cost):
        train_run(make, **GOAL)

    @pytest.mark.parametrize("seed", [1])
    def test_contradicted(train_run, seed):
        train_run(make, **GOAL)

    def test_instruments_column(train_run):
        train_run(make, **GOAL, metrics={"flops": 1.0})
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    project = write_project(tmp_path_factory.mktemp("project"), {"test_a.py": SUITE})
    return run_pytest(project, CUDA_VISIBLE_DEVICES="")


def row(outcome: Outcome, case_id: str) -> Record:
    return {r.case_id: r for r in outcome.records}[case_id]


def test_every_end_of_a_training_has_its_status(outcome: Outcome) -> None:
    assert outcome.statuses == {
        "a/reached": "ok",
        "a/reached[seed=1]": "ok",
        "a/reached[device=cuda]": "unavailable",
        "a/missed": "ok",
        "a/diverged": "diverged",
        "a/twice": "error",
        "a/never": "error",
        "a/both": "error",
        "a/contradicted[seed=1]": "error",
        "a/instruments_column": "error",
    }
    assert "asks for train_cost and train_run" in (row(outcome, "a/both").notes or "")
    assert "train_run called twice in one test" in (row(outcome, "a/twice").notes or "")
    assert "train_run was asked for and never called" in (row(outcome, "a/never").notes or "")


def test_cost_and_benefit_stand_on_one_row(outcome: Outcome) -> None:
    found = row(outcome, "a/reached")
    assert found.target == "loss_heldout <= 0.1"
    assert found.loss_heldout is not None
    assert found.loss_heldout <= 0.1
    assert found.steps_to_target == found.loss_steps
    assert found.steps_to_target is not None
    assert found.steps_to_target % 5 == 0
    assert found.rounds == found.steps_to_target - 1
    # 8 x 8 by 8 x 8, forward, and the gradient of the weight.
    assert (found.flops, found.n_params) == (2 * 2 * 8**3, 72)
    assert found.live_before_bytes == 2 * 72 * 4
    assert None not in (found.time_to_target_s, found.time_first_step_s, found.step_peak_bytes)
    assert found.metrics["own_share"] == 0.5
    assert found.metrics["weight_norm"] > 0
    assert found.axes == {"remedy": "none"}
    assert "energy_to_target_j: " in (found.notes or "") or found.energy_to_target_j is not None


def test_seeds_are_rows_of_their_own_and_other_work(outcome: Outcome) -> None:
    zero, one = row(outcome, "a/reached"), row(outcome, "a/reached[seed=1]")
    assert (zero.seed, one.seed) == (0, 1)
    assert zero.loss_first != one.loss_first
    assert zero.workload != one.workload


def test_a_missed_target_is_empty_with_a_note(outcome: Outcome) -> None:
    found = row(outcome, "a/missed")
    assert (found.steps_to_target, found.time_to_target_s) == (None, None)
    assert "steps_to_target: not reached in 200 steps, loss_heldout " in (found.notes or "")


def test_two_runs_of_one_seed_are_identical(outcome: Outcome, tmp_path: Path) -> None:
    again = run_pytest(
        write_project(tmp_path, {"test_a.py": SUITE}), "-k", "reached", CUDA_VISIBLE_DEVICES=""
    )
    for case_id in ("a/reached", "a/reached[seed=1]"):
        first, second = row(outcome, case_id), row(again, case_id)
        for name in ("loss_first", "loss_last", "loss_heldout", "steps_to_target", "workload"):
            assert getattr(first, name) == getattr(second, name) is not None


def test_without_timing_one_step_is_taken_and_nothing_saved(tmp_path: Path) -> None:
    project = write_project(tmp_path, {"test_a.py": SUITE})
    done = run_pytest(project, "-k", "reached", "--benchmark-disable", CUDA_VISIBLE_DEVICES="")
    assert done.code == 0, done.output
    assert not done.results.exists()


def test_the_table_shows_the_steps_to_the_target_and_a_dash_where_it_was_missed(
    outcome: Outcome,
) -> None:
    table = outcome.output.split("training cost")[1]
    (header,) = (line for line in table.splitlines() if line.startswith("case"))
    assert header.split()[-2:] == ["steps", "status"]
    shown = {line.split()[-1]: line.split()[-2] for line in table.splitlines() if "µs" in line}
    assert shown["diverged"] == "-"
    reached = str(row(outcome, "a/reached").steps_to_target)
    assert any(line.split()[-2:] == [reached, "ok"] for line in table.splitlines())
