"""The problems that optimizers are compared on: hard as they say, and the same for a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from traincost.train import Trained, train_alone
from traincost.training import Budget
from traincost_suites.optimizers import OPTIMIZERS
from traincost_suites.problems import PROBLEMS, problem_of
from traincost_suites.problems.learned import samples_of, shuffled_batches
from traincost_suites.problems.quadratic import CONDITION, Quadratic
from traincost_suites.problems.saddle import DeepLinear
from traincost_suites.problems.training import Recipe, training_of
from traincost_suites.schedules import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINCOST_CACHE", str(folder := tmp_path_factory.mktemp("cache")))
        yield folder
    samples_of.cache_clear()


def run(name: str, recipe: Recipe, seed: int = 0, steps: int = 20) -> Trained:
    training = training_of(problem_of(name), recipe, seed, "cpu")
    return train_alone(training, None, Budget(steps, evaluate_every=steps), "cpu")


@pytest.mark.thorough
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_two_runs_of_one_seed_are_identical_to_the_last_bit(name: str, optimizer: str) -> None:
    first, second = (ten_steps(name, Recipe(optimizer, 0.01)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("schedule", NAMES)
def test_two_runs_under_a_schedule_are_identical_to_the_last_bit(schedule: str) -> None:
    first, second = (ten_steps("digits", Recipe("momentum", 0.1, schedule)) for _ in range(2))
    assert first == second


def ten_steps(name: str, recipe: Recipe) -> tuple[list[float], object]:
    training = training_of(problem_of(name), recipe, 0, "cpu")
    losses = [float(training.step()) for _ in range(10)]  # type: ignore[arg-type]
    return losses, training.evaluate()


@pytest.mark.parametrize("name", PROBLEMS)
def test_another_seed_is_another_training(name: str) -> None:
    first, second = (run(name, Recipe("adam", 0.01), seed, steps=3) for seed in (0, 1))
    assert first.losses.loss_last != second.losses.loss_last
    assert first.evaluation != second.evaluation


@pytest.mark.parametrize("name", PROBLEMS)
def test_an_evaluation_changes_nothing(name: str) -> None:
    training = training_of(problem_of(name), Recipe("adam", 0.01), 0, "cpu")
    training.step()
    assert training.model is not None
    before = [p.detach().clone() for p in training.model.parameters()]
    random = torch.get_rng_state()
    assert training.evaluate() == training.evaluate()
    assert training.model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(p, b) for p, b in zip(training.model.parameters(), before, strict=True))


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_learned_and_its_target_is_not_where_it_starts(name: str) -> None:
    problem = problem_of(name)
    training = training_of(problem, Recipe("adam", 0.01), 0, "cpu")
    start = training.evaluate()["loss_heldout"]
    assert not problem.target.met_by(start)
    for _ in range(30):
        training.step()
    assert training.evaluate()["loss_heldout"] < start


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_ravine_starts_at_height_1_and_is_as_narrow_as_it_says(seed: int) -> None:
    model = Quadratic(seed)
    assert float(model()) == pytest.approx(1.0, rel=1e-5)
    curvatures = torch.linalg.eigvalsh(model.hessian.double())
    assert float(curvatures[-1]) == pytest.approx(1.0, rel=1e-5)
    assert float(curvatures[-1] / curvatures[0]) == pytest.approx(CONDITION, rel=1e-2)
    diagonal = model.hessian.diagonal()
    assert float(diagonal.max() / diagonal.min()) < 10, "no coordinate gives the ravine away"


@pytest.mark.parametrize(("rate", "falls"), [(1.9, True), (2.1, False)])
def test_gradient_descent_on_the_ravine_is_stable_below_2(rate: float, falls: bool) -> None:
    found = run("quadratic", Recipe("sgd", rate), steps=300)
    assert (found.evaluation["loss_heldout"] < 1.0) == falls


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_saddle_is_a_plateau_with_hardly_a_slope(seed: int) -> None:
    model = DeepLinear(seed)
    height = model()
    gradient: tuple[Tensor, ...] = torch.autograd.grad(height, list(model.parameters()))
    start_slope = math.sqrt(sum(float(g.square().sum()) for g in gradient))
    assert float(height) == pytest.approx(1.0, abs=0.05)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(2.5)  # the gain that keeps a vector's length
    gradient = torch.autograd.grad(model(), list(model.parameters()))
    slope = math.sqrt(sum(float(g.square().sum()) for g in gradient))
    assert slope > 10 * start_slope


def test_no_held_out_sample_is_trained_on() -> None:
    for kind, n, seq_len in (("digits", 1618, 0), ("bytes", 2048, 64)):
        trained, _ = samples_of(kind, n, seq_len, held_out=False)
        held, _ = samples_of(kind, 128, seq_len, held_out=True)
        seen = {x.numpy().tobytes() for x in trained}
        both = sum(x.numpy().tobytes() in seen for x in held)
        assert both <= 1, kind  # of text, a window of blanks may come twice


def test_an_epoch_has_every_sample_once_and_the_next_another_order() -> None:
    samples = (torch.arange(10.0), torch.arange(10))
    batches = shuffled_batches(samples, 3, 6, seed=0)
    assert [len(x) for x, _ in batches] == [3] * 6
    first, second = (torch.cat([y for _, y in batches[i : i + 3]]).tolist() for i in (0, 3))
    assert len(set(first)) == 9
    assert first != second
    again = shuffled_batches(samples, 3, 6, seed=0)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches, again, strict=True))


def test_a_training_goes_on_beyond_its_batches_and_its_schedule() -> None:
    training = training_of(problem_of("digits"), Recipe("sgd", 0.1, "one-cycle"), 0, "cpu")
    for _ in range(1010):
        training.step()
    assert math.isfinite(training.evaluate()["loss_heldout"])


def test_an_unknown_problem_is_refused() -> None:
    with pytest.raises(ValueError, match="problem 'cliff': expected one of quadratic, saddle"):
        problem_of("cliff")
