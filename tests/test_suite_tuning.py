"""Tuning: a search costs the sum of its trials, never more than allowed, and repeats."""

from __future__ import annotations

import shutil
from collections import Counter
from importlib import util
from pathlib import Path
from random import Random

import pytest
from closed_forms import mlp_step_flops
from project import ROOT, SHORT_CASES, run_pytest, write_project

from traincost.train import train_alone
from traincost.training import Budget, Training
from traincost_suites.tuning import search as searching
from traincost_suites.tuning.limits import CHUNK, N_CHUNKS, SEARCH, Limits
from traincost_suites.tuning.methods import (
    METHODS,
    Listed,
    Method,
    TunerUnavailableError,
    method_of,
)
from traincost_suites.tuning.search import Search, search
from traincost_suites.tuning.space import (
    ACTIVATIONS,
    BATCHES,
    DEPTHS,
    RATES,
    TARGET,
    WIDTHS,
    Config,
    drawn,
    grid_points,
    step_flops,
    training_at,
)

pytestmark = pytest.mark.usefixtures("one_thread")

OWN = ("grid", "random")
needs_optuna = pytest.mark.skipif(util.find_spec("optuna") is None, reason="optuna is missing")
EVERY = [pytest.param(m, marks=[] if m in OWN else needs_optuna) for m in METHODS]
SHORT = Limits(flops=SEARCH.flops, steps=600, seconds=SEARCH.seconds)
GOOD = Config(width=64, depth=1, activation="tanh", rate=0.25, batch_size=256)
EXPLODES = Config(width=64, depth=3, activation="relu", rate=1e4, batch_size=64)
CRAWLS = Config(width=8, depth=5, activation="sigmoid", rate=1e-4, batch_size=16)


def of(monkeypatch: pytest.MonkeyPatch, *configs: Config, limits: Limits = SHORT) -> Search:
    """A search of these configurations in turn."""
    listed = Listed(iter(configs))

    def method(name: str, seed: int) -> Method:
        return listed

    monkeypatch.setattr(searching, "method_of", method)
    return search("listed", 0, limits=limits)


def written_out(config: Config) -> int:
    """FLOPs of a step, from the shapes."""
    return mlp_step_flops(config.batch_size, (64, *[config.width] * config.depth, 10))


# --- what a search costs -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_steps_flops_are_those_of_its_shapes(seed: int) -> None:
    config = drawn(Random(seed))
    assert step_flops(config, "cpu") == written_out(config)


@pytest.mark.thorough
@pytest.mark.parametrize("name", EVERY)
def test_flops_are_the_sum_over_every_step_of_every_trial(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: Counter[Config] = Counter()
    make = training_at

    def noted(config: Config, seed: int, device: str) -> Training:
        training = make(config, seed, device)

        def step() -> object:
            taken[config] += 1
            return training.step()

        return Training(step, training.evaluate, training.samples)

    monkeypatch.setattr(searching, "training_at", noted)
    found = search(name, 1, limits=SHORT)
    assert found.steps == taken.total()
    assert found.flops == sum(n * written_out(config) for config, n in taken.items())
    assert found.metrics()["search_flops"] == found.flops
    assert found.metrics()["search_trials"] == len(found.trials) >= 3
    assert found.train_s == pytest.approx(sum(t.train_s for t in found.trials))


@pytest.mark.parametrize("flops", [50_000_000, 300_000_000, 1_234_567_890])
@pytest.mark.parametrize("name", OWN)
def test_the_budget_of_flops_is_held_and_spent_to_the_last_step(name: str, flops: int) -> None:
    found = search(name, 3, limits=Limits(flops, 10**9, 1e9))
    last = found.trials[-1]
    assert found.flops <= flops
    assert not last.reached
    cheapest = written_out(Config(WIDTHS[0], DEPTHS[0], "relu", 1.0, BATCHES[0]))
    costliest = written_out(Config(WIDTHS[1], DEPTHS[-1], "relu", 1.0, BATCHES[-1]))
    assert flops - found.flops < costliest
    if last.steps % CHUNK:  # it was cut short: not a step more would have fitted
        assert flops - found.flops < last.flops_per_step
    assert cheapest <= last.flops_per_step <= costliest


@pytest.mark.parametrize("name", EVERY)
def test_the_budget_of_steps_is_held_to_the_step(name: str) -> None:
    limits = Limits(10**15, 2 * CHUNK * N_CHUNKS + 7, 1e9)
    found = search(name, 0, limits=limits)
    assert found.steps == limits.steps


def test_a_budget_of_seconds_ends_the_trial_at_its_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = of(monkeypatch, CRAWLS, CRAWLS, limits=Limits(10**15, 10**9, 1e-9))
    assert [t.steps for t in found.trials] == [1]
    assert found.train_s > 0


def test_a_limit_without_room_for_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="limits flops=1: expected room for the first step"):
        search("random", 0, limits=Limits(1, 1, 1.0))
    with pytest.raises(ValueError, match=r"limits seconds=0\.0: expected more than 0"):
        Limits(1, 1, 0.0)


# --- what becomes of trials --------------------------------------------------------------------


def test_a_search_ends_at_the_first_trial_that_reaches_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = of(monkeypatch, CRAWLS, GOOD, CRAWLS)
    assert [t.config for t in found.trials] == [CRAWLS, GOOD]
    assert found.best is found.trials[-1]
    assert TARGET.met_by(found.best.accuracy or 0.0)
    assert found.best.steps < CHUNK * N_CHUNKS


def test_failures_are_counted_cost_what_they_took_and_do_not_end_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = of(monkeypatch, EXPLODES, EXPLODES, CRAWLS)
    assert found.metrics()["search_diverged_trials"] == 2
    assert [t.accuracy is None for t in found.trials] == [True, True, False]
    assert 0 < found.trials[0].steps < CHUNK
    assert found.best.config == CRAWLS, "one that failed is never the best"


def test_the_trial_that_won_does_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    best = of(monkeypatch, CRAWLS, GOOD).best
    again = train_alone(training_at(GOOD, 0, "cpu"), TARGET, Budget(best.steps, CHUNK), "cpu")
    assert again.steps_to_target == best.steps
    assert again.evaluation[TARGET.name] == best.accuracy


@pytest.mark.thorough
@pytest.mark.parametrize("name", EVERY)
def test_a_seed_gives_the_same_trials_again_and_another_seed_others(name: str) -> None:
    courses = [
        [
            (t.config, t.steps, t.accuracy, t.ended_early)
            for t in search(name, seed, limits=SHORT).trials
        ]
        for seed in (4, 4, 5)
    ]
    assert courses[0] == courses[1]
    assert courses[0] != courses[2]


# --- the methods -------------------------------------------------------------------------------


def test_the_grid_lies_in_the_space_from_end_to_end() -> None:
    points = grid_points()
    assert len(set(points)) == len(points) == 3 * 3 * 3 * 6 * 3
    for name, ends in (("width", WIDTHS), ("depth", DEPTHS), ("rate", RATES)):
        values = {getattr(p, name) for p in points}
        assert (min(values), max(values)) == (ends[0], ends[-1])
    assert {p.activation for p in points} == set(ACTIVATIONS)
    assert {p.batch_size for p in points} < set(BATCHES)


WITHOUT_OPTUNA = """
    import sys
    sys.modules["optuna"] = None
    from traincost_suites.tuning import limits
    limits.SEARCH = limits.Limits(10**12, 60, 60.0)
"""


@pytest.mark.thorough
def test_without_optuna_its_cases_are_unavailable_rows_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    project = write_project(tmp_path, {}, SHORT_CASES + WITHOUT_OPTUNA)
    shutil.copy(ROOT / "suites/test_tuning.py", project)
    outcome = run_pytest(project, "--cost-device", "cpu")
    assert outcome.code == 0, outcome.output
    rows = {r.axes["method"]: r for r in outcome.records if r.device == "cpu"}
    assert {name: r.status for name, r in rows.items()} == {
        **dict.fromkeys(OWN, "ok"),
        **dict.fromkeys(("tpe", "hyperband", "asha"), "unavailable"),
    }
    assert "optuna is not installed, pip install 'traincost[tuning]'" in (rows["tpe"].notes or "")
    assert rows["random"].metrics["search_steps"] == 60
    assert rows["random"].steps_to_target is None
    assert "not reached in" in (rows["random"].notes or "")


def test_a_method_that_needs_optuna_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr(util, "find_spec", nothing)
    with pytest.raises(TunerUnavailableError, match=r"pip install 'traincost\[tuning\]'"):
        method_of("hyperband", 0)
