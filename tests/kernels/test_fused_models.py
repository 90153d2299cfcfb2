"""Models on fused kernels are the models they were: same parameters, same losses, less saved."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from traincost_suites.models.fused import fuse, fused_loss, unroll
from traincost_suites.models.gpt import Gpt, GptConfig
from traincost_suites.models.lstm import Lstm, LstmConfig

TOKENS = torch.arange(14).reshape(2, 7) % 11
TARGET = TOKENS.flip(1).flatten()
GPT = GptConfig(n_layers=2, width=16, vocabulary=11, seq_len=7)
LSTM = LstmConfig(width=8, n_layers=2, vocabulary=11)


def model_named(name: str) -> nn.Module:
    torch.manual_seed(0)
    return Gpt(GPT) if name == "gpt" else Lstm(LSTM)


def losses(model: nn.Module, steps: int, device: str, fused: bool) -> list[float]:
    """Of the first steps of training."""
    model, tokens, target = model.to(device), TOKENS.to(device), TARGET.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    found: list[float] = []
    for _ in range(steps):
        optimizer.zero_grad()
        logits: Tensor = model(tokens).flatten(0, -2)
        loss = fused_loss(logits, target) if fused else F.cross_entropy(logits, target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["gpt", "lstm"])
def test_training_on_fused_kernels_has_the_losses_of_eager(name: str, kernel_device: str) -> None:
    eager = losses(model_named(name), 4, kernel_device, fused=False)
    fused = losses(fuse(model_named(name)), 4, kernel_device, fused=True)
    assert fused == pytest.approx(eager, rel=1e-5)
    assert eager[-1] < eager[0]


@pytest.mark.parametrize("name", ["gpt", "lstm"])
def test_fusing_leaves_parameters_and_description_as_they_are(name: str) -> None:
    model = model_named(name)
    fused = fuse(copy.deepcopy(model))
    assert repr(fused) == repr(model), "the workload is the same"
    assert [n for n, _ in fused.named_parameters()] == [n for n, _ in model.named_parameters()]
    assert {type(m) for m in fused.modules()} != {type(m) for m in model.modules()}


def test_an_unrolled_lstm_computes_what_torchs_own_does() -> None:
    own, unrolled = model_named("lstm"), unroll(model_named("lstm"))
    y = own(TOKENS)
    assert torch.allclose(unrolled(TOKENS), y, atol=1e-6)
    y.square().sum().backward()
    unrolled(TOKENS).square().sum().backward()
    for a, b in zip(own.parameters(), unrolled.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-5)


def test_the_fused_block_saves_one_tensor_of_the_hidden_layer_less(kernel_device: str) -> None:
    def saved_bytes(model: nn.Module) -> int:
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model.to(kernel_device)(TOKENS.to(kernel_device))
        return sum(sizes.values())

    hidden_bytes = TOKENS.numel() * 4 * GPT.width * 4
    less = saved_bytes(model_named("gpt")) - saved_bytes(fuse(model_named("gpt")))
    assert less >= GPT.n_layers * hidden_bytes


@pytest.mark.parametrize("put", [unroll, fuse])
def test_under_autocast_an_unrolled_lstm_keeps_one_dtype(
    put: Callable[[nn.Module], nn.Module], kernel_device: str
) -> None:
    x = torch.ones(2, 3, 8, device=kernel_device)
    lstm = put(nn.LSTM(8, 8, batch_first=True).to(kernel_device))
    with torch.autocast(kernel_device, torch.bfloat16):
        y, _ = lstm(x)
    assert y.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_first", False),
        ("bidirectional", True),
        ("dropout", 0.5),
        ("bias", False),
        ("proj_size", 2),
    ],
)
def test_an_lstm_that_steps_in_time_would_compute_differently_is_refused(
    option: str, value: object
) -> None:
    options: dict[str, Any] = {"num_layers": 2, "batch_first": True, option: value}
    with pytest.raises(ValueError, match=f"LSTM: {option} is {value}, expected"):
        unroll(nn.LSTM(4, 4, **options))
