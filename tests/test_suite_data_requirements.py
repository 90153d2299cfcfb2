"""What is known of data's worth comes out: the gap shrinks, stopping stops, runs repeat."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from traincost.instruments.arithmetic import count
from traincost.snapshot import seed_all
from traincost.train import Trained, train_alone
from traincost.training import Training
from traincost_suites.data.augment import REPLACED, augmented, moved, replaced
from traincost_suites.grids import grid
from traincost_suites.problems.data_needs import (
    KINDS,
    REMEDIES,
    add_dropout,
    held_out,
    needs_maker,
    problem_with,
    spread,
    training_samples,
    validation_samples,
)
from traincost_suites.problems.learned import Samples, samples_of
from traincost_suites.problems.stopping import CHECK_EVERY, PATIENCE, EarlyStopping

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True, scope="module")
def cached_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINCOST_CACHE", str(folder := tmp_path_factory.mktemp("cache")))
        yield folder
    samples_of.cache_clear()


def training(data: str, n: int, remedy: str, seed: int = 0) -> Training:
    seed_all(seed)
    return needs_maker(data, n, remedy, "cpu")(seed)


@cache
def whole(data: str, n: int, remedy: str = "none", seed: int = 0) -> Trained:
    problem = problem_with(data, n, remedy)
    return train_alone(training(data, n, remedy, seed), problem.target, problem.budget, "cpu")


# --- known truths ---------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, 1])
def test_the_gap_shrinks_as_samples_grow(seed: int) -> None:
    few, some, many = (whole("digits", n, seed=seed).evaluation for n in (64, 256, 1024))
    for name in ("gap_loss_nats", "gap_accuracy_share"):
        assert few[name] > some[name] > many[name], name
    assert few["loss_heldout"] > some["loss_heldout"] > many["loss_heldout"]


@pytest.mark.thorough
def test_the_gap_shrinks_for_text_too() -> None:
    few, many = (whole("text", n).evaluation for n in (32, 2048))
    assert few["gap_loss_nats"] > 0.8 > 0.2 > many["gap_loss_nats"]


def test_the_gap_is_held_out_less_trained_on() -> None:
    found = whole("digits", 64).evaluation
    gap = found["loss_heldout"] - found["training_loss_nats"]
    assert found["gap_loss_nats"] == pytest.approx(gap)


@pytest.mark.parametrize("seed", [0, 1])
def test_augmentation_saves_data_where_there_are_few_samples(seed: int) -> None:
    plain, more = (whole("digits", 64, r, seed).evaluation for r in ("none", "augmentation"))
    assert more["accuracy_heldout"] > plain["accuracy_heldout"]
    assert more["loss_heldout"] < plain["loss_heldout"]


def test_early_stopping_stops_before_the_budget_where_there_are_few_samples() -> None:
    found = whole("digits", 64, "early-stopping")
    assert found.losses.loss_steps is not None
    assert found.losses.loss_steps < problem_with("digits", 64, "none").budget.steps
    assert found.losses.loss_steps % CHECK_EVERY == 0


# --- the remedies do what they say ----------------------------------------------------------------


def test_stopping_waits_for_its_patience_and_goes_back_to_the_best() -> None:
    model = nn.Linear(1, 1, bias=False)
    validation = iter([3.0, 1.0, 2.0, 1.5, 1.25])
    weights: list[float] = []

    def step() -> float:
        with torch.no_grad():
            model.weight += 1.0
        return 0.0

    def validate() -> dict[str, float]:
        weights.append(float(model.weight.detach()))
        return {"loss_heldout": next(validation)}

    stopping = EarlyStopping(Training(step, dict, samples=1, model=model), validate)
    steps = 0
    while not stopping.is_over():
        stopping.step()
        steps += 1
    assert steps == (2 + PATIENCE) * CHECK_EVERY  # the best is the second
    assert float(model.weight.detach()) == weights[1]
    for _ in range(CHECK_EVERY):
        stopping.step()  # the passes that count a step's cost go on, and look no more


def test_what_is_validated_on_is_neither_trained_on_nor_judged_on() -> None:
    kind = KINDS["digits"]
    trained_on = training_samples(kind, 320, "early-stopping")
    validated, judged = validation_samples(kind, 320), held_out("digits")
    assert (len(trained_on[0]), len(validated[0])) == (256, 64)
    sets = [{x.numpy().tobytes() for x in s[0]} for s in (trained_on, validated, judged)]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]


@pytest.mark.parametrize("data", KINDS)
def test_fewer_samples_are_spread_over_the_same_pool(data: str) -> None:
    kind = KINDS[data]
    pool = samples_of(kind.data, kind.pool, kind.seq_len, held_out=False)
    few, many = (spread(pool, n)[0] for n in (32, 1024))
    assert (len(few), len(many)) == (32, 1024)
    assert torch.equal(few[-1], pool[0][31 * kind.pool // 32])
    with pytest.raises(ValueError, match="dataset_samples 0: expected 1 to"):
        spread(pool, 0)
    with pytest.raises(ValueError, match="dataset_samples 100000: expected 1 to"):
        spread(pool, 100_000)


def test_a_moved_digit_is_the_digit_nearly_and_keeps_its_ink() -> None:
    x, _ = samples_of("digits", 256, 0, held_out=False)
    torch.manual_seed(0)
    found = moved(x)
    assert found.shape == x.shape
    assert not torch.equal(found, x)
    assert float((found - x).abs().mean()) < 0.5 * float((x - x.roll(1, 0)).abs().mean())
    assert float(found.sum() / x.sum()) == pytest.approx(1.0, abs=0.1)


def test_replaced_bytes_are_as_many_as_said() -> None:
    tokens = torch.zeros(64, 256, dtype=torch.int64)
    torch.manual_seed(0)
    share = float((replaced(tokens) != 0).double().mean())
    assert share == pytest.approx(REPLACED, rel=0.1)


@pytest.mark.parametrize("data", KINDS)
def test_dropout_acts_in_training_and_not_in_evaluation(data: str) -> None:
    found = training(data, 64, "dropout")
    assert found.model is not None
    x, _ = held_out(data)
    first, second = (found.model(x[:4]) for _ in range(2))
    assert not torch.equal(first, second)
    assert found.evaluate() == found.evaluate()


def test_decay_is_that_remedys_only() -> None:
    for remedy in REMEDIES:
        optimizer = training("digits", 64, remedy).optimizer
        assert optimizer is not None
        decay = {group["weight_decay"] for group in optimizer.param_groups}
        assert decay == ({0.5} if remedy == "weight-decay" else {0.0})


@pytest.mark.parametrize("data", KINDS)
@pytest.mark.parametrize("remedy", REMEDIES)
def test_the_flops_of_a_step_are_known_and_no_remedy_adds_a_product(data: str, remedy: str) -> None:
    plain, other = (training(data, 64, r) for r in ("none", remedy))
    for t in (plain, other):
        t.step()
    expected = count(plain.step, phase="step").flops
    assert expected is not None
    assert count(other.step, phase="step").flops == expected


# --- every case, twice ----------------------------------------------------------------------------


@pytest.mark.parametrize("data", KINDS)
@pytest.mark.parametrize("remedy", REMEDIES)
def test_two_runs_of_one_seed_are_identical_to_the_last_bit(data: str, remedy: str) -> None:
    first, second = (losses_of(training(data, 64, remedy)) for _ in range(2))
    assert first == second
    assert first != losses_of(training(data, 64, remedy, seed=1))


def losses_of(found: Training) -> list[float]:
    """Losses beyond a look of early stopping, and what the evaluation then gives."""
    losses = [float(found.step()) for _ in range(CHECK_EVERY + 2)]  # type: ignore[arg-type]
    return [*losses, *found.evaluate().values()]


def test_every_axis_value_is_one_that_the_problems_know() -> None:
    names, cases = grid("data_samples", "full")
    for case in cases:
        found = dict(zip(names, case.values, strict=True))  # type: ignore[attr-defined]
        kind = KINDS[found["data"]]
        assert found["remedy"] in REMEDIES
        trained_on = found["dataset_samples"] - found["dataset_samples"] // 5
        assert kind.batch_size <= trained_on, "a batch is of different samples"
        assert found["dataset_samples"] <= kind.pool


def batch_of_nothing() -> Samples:
    return held_out("speech")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (batch_of_nothing, "data 'speech': expected one of digits, text"),
        (lambda: problem_with("digits", 64, "hope"), "remedy 'hope': expected one of none"),
        (lambda: augmented("images"), "augmentation of 'images': expected one of digits, bytes"),
    ],
)
def test_an_unknown_name_is_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_dropout_is_refused_in_a_model_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="dropout in a Linear: expected an Mlp or a Gpt"):
        add_dropout(nn.Linear(1, 1))
