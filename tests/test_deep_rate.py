"""Each deep net has a rate of its own by the same search, each recurrent one the same text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from traincost.snapshot import seed_all
from traincost.train import Trained, train_alone
from traincost.training import Training
from traincost_suites import deep_rate as searching
from traincost_suites.deep_rate import RATES, SEARCH_SEEDS, deep_rate
from traincost_suites.grids import grid
from traincost_suites.problems.gradients import (
    HELD_OUT_BYTES,
    RECURRENT_STEPS,
    STEP_BYTES,
    deep_problem,
    gradient_maker,
    recurrent_problem,
    sequences,
)
from traincost_suites.problems.learned import samples_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINCOST_CACHE", str(folder := tmp_path_factory.mktemp("cache")))
        yield folder
    samples_of.cache_clear()


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[float, int], float]:
    """Held-out losses by rate and seed that trials end at, 2.3 where none is given."""
    losses: dict[tuple[float, int], float] = {}

    def trial(activation: str, depth: int, remedy: str, rate: float, seed: int) -> object:
        loss = losses.get((rate, seed), 2.3)
        lost = math.isinf(loss)
        return SimpleNamespace(
            evaluation={} if lost else {"loss_heldout": loss},
            losses=SimpleNamespace(diverged_at=7 if lost else None, loss_steps=7 if lost else 100),
            train_s=0.5,
        )

    monkeypatch.setattr(searching, "_trial", trial)
    return losses


def search() -> searching.DeepRate:
    return deep_rate.__wrapped__("tanh", 2, "none")


def accuracy(activation: str, remedy: str, rate: float) -> float:
    seed_all(0)
    problem = deep_problem(activation, 32, remedy)
    training = gradient_maker(problem, remedy, rate, "cpu")(0)
    return train_alone(training, None, problem.budget, "cpu").evaluation["accuracy_heldout"]


def test_a_rate_is_the_best_of_both_seeds_together(ends: dict[tuple[float, int], float]) -> None:
    first, second = SEARCH_SEEDS
    ends |= {(1e-3, first): 0.1, (1e-3, second): 2.2, (1e-2, first): 0.9, (1e-2, second): 1.0}
    assert search().rate == 1e-2


def test_a_rate_that_diverges_from_one_seed_is_not_taken(
    ends: dict[tuple[float, int], float],
) -> None:
    first, second = SEARCH_SEEDS
    ends |= {(1e-3, first): 0.1, (1e-3, second): math.inf, (3e-3, second): 2.2}
    found = search()
    assert found.rate == 3e-3
    assert (found.trials, found.diverged) == (len(RATES) * len(SEARCH_SEEDS), 1)
    assert found.steps == 11 * 100 + 7
    assert found.train_s == 6.0


def test_of_equal_rates_the_lowest_is_taken(ends: dict[tuple[float, int], float]) -> None:
    assert not ends
    assert search().rate == min(RATES)


def test_a_search_repeats_and_is_of_seeds_that_no_row_has() -> None:
    first, second = search(), search()
    assert (first.rate, first.steps, first.diverged) == (second.rate, second.steps, second.diverged)
    names, cases = grid("gradient_depth", "full")
    seeds = {case.values[names.index("seed")] for case in cases}  # type: ignore[attr-defined]
    assert seeds.isdisjoint(SEARCH_SEEDS)


def test_a_search_takes_one_thread_and_gives_back_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []

    def trial(*_: object) -> None:
        taken.append(torch.get_num_threads())
        raise RuntimeError

    monkeypatch.setattr(searching, "_trial", trial)
    torch.set_num_threads(2)  # the fixture of one thread sets it back
    with pytest.raises(RuntimeError):
        search()
    assert (taken, torch.get_num_threads()) == ([1], 2)


@pytest.mark.thorough
def test_a_remedy_that_learns_nothing_at_one_rate_learns_at_its_own() -> None:
    rate = deep_rate("tanh", 32, "layer-norm").rate
    assert rate < 1e-2
    assert accuracy("tanh", "layer-norm", 1e-2) < 0.15
    assert accuracy("tanh", "layer-norm", rate) > 0.5


# --- recurrent nets -------------------------------------------------------------------------------


def recurrent(seq_len: int, remedy: str = "none") -> Training:
    seed_all(0)
    problem = recurrent_problem("irnn", seq_len, remedy)
    return gradient_maker(problem, remedy, 0.1, "cpu")(0)


def whole(remedy: str) -> Trained:
    problem = recurrent_problem("irnn", 256, remedy)
    return train_alone(recurrent(256, remedy), problem.target, problem.budget, "cpu")


@pytest.mark.parametrize("seq_len", [16, 64, 1024])
def test_every_length_has_the_same_bytes_of_the_same_text(seq_len: int) -> None:
    training = recurrent(seq_len)
    assert training.tokens == STEP_BYTES == training.samples * seq_len
    held_out, _ = sequences(seq_len, "cpu")
    assert held_out.numel() == HELD_OUT_BYTES
    trained, _ = samples_of("bytes", RECURRENT_STEPS * training.samples, seq_len, held_out=False)
    both = torch.cat((held_out.flatten(), trained.flatten()))
    assert len(both) == 1.1 * RECURRENT_STEPS * STEP_BYTES
    found = torch.bincount(both, minlength=256) / len(both)
    text, _ = samples_of("bytes", len(both) // 16, 16, held_out=False)
    assert float(
        (found - torch.bincount(text.flatten(), minlength=256) / len(both)).abs().max()
    ) < (0.01)


def test_a_length_that_does_not_part_the_bytes_of_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="seq_len 48: expected a part of 4096 and of 12288 bytes"):
        recurrent_problem("rnn", 48, "none")


@pytest.mark.thorough
def test_cutting_does_not_stop_an_explosion_and_clipping_with_it_does() -> None:
    cut, both = (whole(remedy) for remedy in ("truncation", "clipped-truncation"))
    assert cut.losses.diverged_at is not None
    assert both.losses.diverged_at is None
    assert both.evaluation["loss_heldout"] < 4.0
