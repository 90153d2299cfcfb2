"""A training step and an epoch as the suites time them: real training, and nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from traincost_suites.available import available
from traincost_suites.data.shards import DataUnavailableError
from traincost_suites.epoch import Epoch, training_epoch
from traincost_suites.work import PHASES, Work, training_step

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = ["mlp-10k", "convnet-10k", "convnet32-10k", "gpt-10k", "lstm-10k"]
DIGITS = ("mlp-10k", "convnet-10k")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("TRAINCOST_CACHE", str(folder))
        yield folder


def work_of(name: str, batch_size: int = 4, dtype: str = "fp32", seq_len: int = 128) -> Work:
    return training_step(name, batch_size, "cpu", dtype, seq_len=seq_len)


def parameters(work: Work) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in work.model.parameters()]).clone()


@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_loss_falls_over_a_few_steps_on_real_data(name: str) -> None:
    work = work_of(name)
    losses = [float(work.step()) for _ in range(8)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_two_identical_runs_end_with_bitwise_identical_parameters(name: str) -> None:
    first, second = work_of(name), work_of(name)
    for _ in range(3):
        first.step()
        second.step()
    assert torch.equal(parameters(first), parameters(second))


@pytest.mark.parametrize("dtype", ["fp32", "tf32", "bf16", "autocast-bf16"])
def test_a_step_changes_every_parameter_tensor_in_any_dtype(dtype: str) -> None:
    work = work_of("gpt-10k", dtype=dtype)
    before = {n: p.detach().clone() for n, p in work.model.named_parameters()}
    assert torch.isfinite(work.step())
    stored = torch.bfloat16 if dtype == "bf16" else torch.float32
    assert {p.dtype for p in work.model.parameters()} == {stored}
    # A norm's weight starts at 1, which a step of 3e-4 does not move in bf16: 8 bits of mantissa.
    moved = {n for n, p in work.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {n for n in before if dtype != "bf16" or not _is_norm_weight(n)}


def _is_norm_weight(name: str) -> bool:
    return "norm" in name and name.endswith("weight")


def test_fp16_without_a_gradient_stays_finite() -> None:
    work = work_of("gpt-10k", dtype="fp16")
    for _ in range(3):
        work.step()
    assert torch.isfinite(parameters(work)).all()


def test_a_step_returns_its_loss_without_a_graph() -> None:
    loss = work_of("gpt-10k").step()
    assert loss.shape == ()
    assert not loss.requires_grad


def test_samples_and_tokens_are_those_of_the_batch() -> None:
    text = work_of("gpt-10k", 6, seq_len=32)
    assert (text.samples, text.tokens, text.axes["seq_len"]) == (6, 192, 32)
    images = work_of("convnet32-10k", 6)
    assert (images.samples, images.tokens) == (6, None)
    assert "seq_len" not in images.axes


def test_a_row_says_which_data_its_batch_is_of() -> None:
    axes = work_of("gpt-10k").axes
    assert axes["data"] == "corpus"
    assert len(str(axes["data_sha256"])) == 16


def test_a_batch_larger_than_the_digits_is_synthetic() -> None:
    assert work_of("mlp-10k", 1618).axes["data"] == "digits"
    assert work_of("mlp-10k", 1619).axes["data"] == "synthetic"


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward_leave_parameters_and_gradients_alone(name: str) -> None:
    work = work_of(name)
    before = parameters(work)
    for phase in ("forward", "backward"):
        call = work.phase(phase)
        call()
        call()
    assert torch.equal(parameters(work), before)
    assert all(p.grad is None for p in work.model.parameters())


def test_backward_accumulates_no_gradient() -> None:
    backward = work_of("gpt-10k").backward
    backward()
    twins = inspect.getclosurevars(backward).nonlocals["parameters"]
    assert all(p.grad is None for p in twins)


def test_backward_survives_a_change_of_the_models_state() -> None:
    work = work_of("convnet32-10k")
    backward = work.backward
    backward()
    with torch.no_grad():
        for tensor in (*work.model.parameters(), *work.model.buffers()):
            tensor.copy_(tensor.clone())
    backward()


def test_an_optimizer_step_moves_parameters_even_after_gradients_were_dropped() -> None:
    work = work_of("gpt-10k")
    step = work.optimizer_step
    step()
    work.model.zero_grad(set_to_none=True)
    before = parameters(work)
    step()
    assert not torch.equal(parameters(work), before)


def test_the_phases_make_a_step() -> None:
    whole, parts = work_of("gpt-10k"), work_of("gpt-10k")
    loss = whole.step()
    assert torch.equal(parts.forward(), loss)
    parts.optimizer_step()
    assert torch.equal(parameters(parts), parameters(whole))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: work_of("gpt-10k", dtype="fp8"), "dtype 'fp8': expected one of fp32"),
        (lambda: training_step("gpt-10k", 2, optimizer="adam"), "optimizer 'adam': expected"),
        (lambda: work_of("gpt-10k").phase("all"), f"expected one of {', '.join(PHASES)}"),
        (lambda: epoch_of(8, cache="hot"), "cache 'hot': expected one of warm, cold"),
        (lambda: epoch_of(3), "dataset_samples 3: expected 4"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(call: object, expected: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=expected):
        call()


def epoch_of(dataset_samples: int, workers: int = 0, cache: str = "warm") -> Epoch:
    return training_epoch(
        "gpt-10k",
        4,
        "cpu",
        "fp32",
        dataset_samples=dataset_samples,
        workers=workers,
        cache=cache,
    )


def test_an_epoch_trains_on_every_batch_once() -> None:
    epoch = epoch_of(14)
    epoch.step()
    assert epoch.samples == 12  # the incomplete batch is dropped
    assert {int(s["step"]) for s in epoch.optimizer.state.values()} == {3}


@pytest.mark.thorough
def test_workers_and_a_cold_cache_do_not_change_what_is_learned() -> None:
    try:
        cold = epoch_of(16, workers=2, cache="cold")
    except DataUnavailableError as lacking:
        pytest.skip(str(lacking))
    losses: list[torch.Tensor] = []
    for _ in range(2):
        assert cold.setup is not None
        cold.setup()
        losses.append(cold.step())
    alone = epoch_of(16)
    assert losses == [alone.step(), alone.step()]


def test_data_wait_share_is_the_share_that_the_loader_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [0.0]

    def tick(passed_s: float) -> None:
        now_s[0] += passed_s

    class SlowLoader:
        def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for _ in range(4):
                tick(3.0)
                yield torch.zeros(1, 8, dtype=torch.int64), torch.zeros(1, 8, dtype=torch.int64)

    def train_on(*_: object) -> torch.Tensor:
        tick(1.0)
        return torch.zeros(())

    epoch = epoch_of(4)
    monkeypatch.setattr("traincost_suites.epoch.time.perf_counter", lambda: now_s[0])
    monkeypatch.setattr("traincost_suites.epoch.train_on", train_on)
    object.__setattr__(epoch, "loader", SlowLoader())
    assert epoch.data_wait_share() == pytest.approx(0.75)


def test_data_that_cannot_be_had_skips_the_case_with_its_reason() -> None:
    def lacking() -> None:
        raise DataUnavailableError("pip install something")

    with pytest.raises(pytest.skip.Exception, match="pip install something"):
        available(lacking)
