"""`train_run`: a whole training on one row, what it costs a step and what it took to the target."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import Outcome, run_pytest, write_project

from traincost.data.record import Record

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


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_two_runs_of_one_seed_are_identical(outcome: Outcome, tmp_path: Path) -> None:
    again = run_pytest(
        write_project(tmp_path, {"test_a.py": SUITE}), "-k", "reached", CUDA_VISIBLE_DEVICES=""
    )
    for case_id in ("a/reached", "a/reached[seed=1]"):
        first, second = row(outcome, case_id), row(again, case_id)
        for name in ("loss_first", "loss_last", "loss_heldout", "steps_to_target", "workload"):
            assert getattr(first, name) == getattr(second, name) is not None


@pytest.mark.thorough
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
