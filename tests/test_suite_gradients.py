"""What is known of gradients comes out: they vanish, explode, and are restored; and repeats."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from traincost.instruments.arithmetic import count
from traincost.instruments.memory import measure_memory
from traincost.machine.device import CpuDevice
from traincost.snapshot import seed_all
from traincost.train import Trained, train_alone
from traincost.training import Training
from traincost_suites.gradient_flow import dead_unit_share, depth_ratio, time_ratio
from traincost_suites.grids import grid
from traincost_suites.models.deep import ACTIVATIONS, REMEDIES, WIDTH, DeepNet
from traincost_suites.models.recurrent import CELLS, Recurrent
from traincost_suites.problems.gradients import (
    RECURRENT_REMEDIES,
    WINDOW,
    deep_net,
    deep_problem,
    gradient_maker,
    held_out_digits,
    recurrent_net,
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


def deep(activation: str, depth: int, remedy: str, rate: float = 0.01, seed: int = 0) -> Training:
    seed_all(seed)
    problem = deep_problem(activation, depth, remedy)
    return gradient_maker(problem, remedy, rate, "cpu")(seed)


def recurrent(cell: str, seq_len: int, remedy: str, rate: float = 0.1, seed: int = 0) -> Training:
    seed_all(seed)
    problem = recurrent_problem(cell, seq_len, remedy)
    return gradient_maker(problem, remedy, rate, "cpu")(seed)


def whole_recurrent(cell: str, seq_len: int, remedy: str, rate: float) -> Trained:
    problem = recurrent_problem(cell, seq_len, remedy)
    return train_alone(
        recurrent(cell, seq_len, remedy, rate), problem.target, problem.budget, "cpu"
    )


def at_start(activation: str, depth: int, remedy: str, seed: int = 0) -> float:
    return depth_ratio(deep_net(activation, depth, remedy, seed, "cpu"), *held_out_digits("cpu"))


# --- known truths ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_sigmoids_gradient_loses_orders_of_magnitude_from_depth_4_to_32(seed: int) -> None:
    shallow, deep_ = (at_start("sigmoid", depth, "none", seed) for depth in (4, 32))
    assert 1e-5 < shallow < 1e-2
    assert deep_ < 1e-20 * shallow


@pytest.mark.parametrize("remedy", ["batch-norm", "residual"])
def test_a_residual_or_batch_norm_restores_a_sigmoids_gradient(remedy: str) -> None:
    assert at_start("sigmoid", 32, remedy) > 1e-3 > 1e20 * at_start("sigmoid", 32, "none")


def test_he_initialisation_keeps_a_relus_gradient_alive_and_xavier_a_tanhs() -> None:
    assert 0.1 < at_start("relu", 32, "he") < 10
    assert 0.1 < at_start("tanh", 32, "xavier") < 10
    assert at_start("relu", 32, "none") < 1e-8
    assert at_start("tanh", 32, "none") < 1e-4


@pytest.mark.thorough
def test_a_vanished_gradient_learns_nothing_and_a_restored_one_does() -> None:
    losses = {}
    for remedy in ("none", "batch-norm"):
        training = deep("sigmoid", 32, remedy)
        for _ in range(100):
            training.step()
        losses[remedy] = training.evaluate()["loss_heldout"]
    assert losses["none"] > math.log(10) - 0.01
    assert losses["batch-norm"] < 1.5


@pytest.mark.thorough
def test_an_unclipped_long_recurrent_net_at_a_high_rate_diverges_and_a_clipped_one_does_not() -> (
    None
):
    unclipped, clipped = (whole_recurrent("irnn", 256, r, 0.1) for r in ("none", "clipping"))
    assert unclipped.losses.diverged_at is not None
    assert unclipped.evaluation == {}
    assert clipped.losses.diverged_at is None
    assert clipped.evaluation["loss_heldout"] < 5.0  # below chance, 5.55


def test_it_is_length_and_rate_that_make_it_diverge() -> None:
    assert whole_recurrent("irnn", 16, "none", 0.1).losses.diverged_at is None
    assert whole_recurrent("irnn", 256, "none", 1e-4).losses.diverged_at is None


def test_a_gradient_vanishes_in_time_the_faster_the_longer_and_not_in_an_identity() -> None:
    ratios = {
        (cell, n): time_ratio(recurrent_net(cell, 0, "cpu"), *sequences(n, "cpu"), None)
        for cell in CELLS
        for n in (16, 64)
    }
    for cell in ("rnn", "gru", "lstm"):
        assert ratios[cell, 64] < 1e-4 * ratios[cell, 16] < 1e-4
    assert 0.1 < ratios["irnn", 64] < 10


# --- the remedies do what they say ----------------------------------------------------------------


def test_truncation_cuts_the_gradient_at_its_window_and_nowhere_else() -> None:
    model = recurrent_net("irnn", 0, "cpu")
    within, beyond = sequences(WINDOW, "cpu"), sequences(WINDOW + 1, "cpu")
    assert time_ratio(model, *within, WINDOW) == time_ratio(model, *within, None) > 0
    assert time_ratio(model, *beyond, WINDOW) == 0 < time_ratio(model, *beyond, None)


@pytest.mark.parametrize("cell", CELLS)
def test_truncation_changes_the_gradient_and_neither_the_loss_nor_its_flops(cell: str) -> None:
    whole, cut = (recurrent(cell, 2 * WINDOW, r) for r in ("none", "truncation"))
    assert float(whole.step()) == pytest.approx(float(cut.step()), rel=1e-5)  # type: ignore[arg-type]
    assert float(whole.step()) != float(cut.step())  # type: ignore[arg-type]
    flops = [count(t.step, phase="step").flops for t in (whole, cut)]
    assert flops[0] is not None
    assert flops[1] == pytest.approx(flops[0], rel=0.05)


def test_truncation_spares_memory() -> None:
    peaks = []
    for remedy in ("none", "truncation"):
        training = recurrent("rnn", 4 * WINDOW, remedy)
        training.step()
        found = measure_memory(training.step, CpuDevice(), training.model, training.optimizer)
        assert found.step_peak_bytes is not None
        peaks.append(found.step_peak_bytes)
    assert peaks[1] < 0.6 * peaks[0]


@pytest.mark.parametrize("remedy", ["clipping", "clipped-truncation"])
def test_clipping_bounds_the_norm_of_all_gradients_together(remedy: str) -> None:
    training = recurrent("irnn", 256, remedy)
    norms = []
    for _ in range(3):
        training.step()
        assert training.model is not None
        grads = [p.grad for p in training.model.parameters() if p.grad is not None]
        norms.append(float(torch.stack([g.norm() for g in grads]).norm()))
    assert max(norms) <= 1.0 + 1e-5
    assert norms[1] > 0.99, "it was at work"


def test_a_remedy_changes_one_thing_at_the_start() -> None:
    plain = dict(deep_net("tanh", 4, "none", 0, "cpu").named_parameters())
    for remedy in ("layer-norm", "rms-norm", "batch-norm", "residual", "clipping"):
        other = dict(deep_net("tanh", 4, remedy, 0, "cpu").named_parameters())
        assert all(torch.equal(other[name], p) for name, p in plain.items()), remedy


# --- the measures ---------------------------------------------------------------------------------


def test_a_ratio_is_that_of_the_gradients_computed_by_hand() -> None:
    model = deep_net("tanh", 3, "none", 0, "cpu")
    x, y = held_out_digits("cpu")
    F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
    grads = {name: p.grad for name, p in model.named_parameters()}
    first, head = grads["layers.0.weight"], grads["head.weight"]
    assert first is not None
    assert head is not None
    assert depth_ratio(model, x, y) == pytest.approx(float(first.norm() / head.norm()), rel=1e-4)


def test_measuring_leaves_the_model_as_it_was() -> None:
    model = deep_net("relu", 4, "batch-norm", 0, "cpu")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x, y = held_out_digits("cpu")
    depth_ratio(model, x, y)
    dead_unit_share(model, x)
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(("activation", "share"), [("relu", 0.25), ("leaky-relu", 0.0)])
def test_units_that_no_sample_turns_on_are_dead_but_for_a_leaky_relu(
    activation: str, share: float
) -> None:
    model = DeepNet(activation, 1, "none")
    weight, bias = model.layers[0].parameters()
    with torch.no_grad():
        weight.zero_()
        bias.fill_(1.0)
        bias[: WIDTH // 4] = -1.0
    assert dead_unit_share(model, held_out_digits("cpu")[0]) == share


def test_no_unit_is_dead_at_the_start_that_a_norm_over_the_batch_keeps_alive() -> None:
    shares = [
        dead_unit_share(deep_net("relu", 32, remedy, 0, "cpu"), held_out_digits("cpu")[0])
        for remedy in ("batch-norm", "none")
    ]
    assert shares[0] == 0 < 0.1 < shares[1]


def test_a_saturated_sigmoid_is_dead() -> None:
    model = DeepNet("sigmoid", 1, "none")
    _, bias = model.layers[0].parameters()
    with torch.no_grad():
        bias.fill_(20.0)
    assert dead_unit_share(model, held_out_digits("cpu")[0]) == 1.0


# --- every case, twice ----------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("remedy", REMEDIES)
def test_two_runs_of_one_seed_are_identical_through_depth(activation: str, remedy: str) -> None:
    first, second = (losses_of(deep(activation, 4, remedy), 5) for _ in range(2))
    assert first == second
    assert all(math.isfinite(loss) for loss in first)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("remedy", RECURRENT_REMEDIES)
def test_two_runs_of_one_seed_are_identical_through_time(cell: str, remedy: str) -> None:
    length, rate = 2 * WINDOW, 1e-3
    first, second = (losses_of(recurrent(cell, length, remedy, rate), 5) for _ in range(2))
    assert first == second
    assert first != losses_of(recurrent(cell, length, remedy, rate, seed=1), 5)


def losses_of(training: Training, steps: int) -> list[float]:
    """The losses of the first steps, and what the evaluation then gives."""
    losses = [float(training.step()) for _ in range(steps)]  # type: ignore[arg-type]
    return [*losses, *training.evaluate().values()]


def test_every_axis_value_is_one_that_the_models_know() -> None:
    for name, known in (
        ("gradient_depth", {"activation": set(ACTIVATIONS), "remedy": set(REMEDIES)}),
        ("gradient_time", {"cell": set(CELLS), "remedy": set(RECURRENT_REMEDIES)}),
    ):
        names, cases = grid(name, "full")
        for axis, values in known.items():
            found = {case.values[names.index(axis)] for case in cases}  # type: ignore[attr-defined]
            assert found == values


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DeepNet("step", 2, "none"), "activation 'step': expected one of sigmoid, tanh"),
        (lambda: DeepNet("relu", 2, "hope"), "remedy 'hope': expected one of none, xavier"),
        (lambda: Recurrent("qrnn"), "cell 'qrnn': expected one of rnn, irnn"),
        (lambda: recurrent_problem("rnn", 16, "residual"), "remedy 'residual': expected one of"),
    ],
)
def test_an_unknown_name_is_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
