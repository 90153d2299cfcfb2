"""Bias, dropout and residual addition, beyond what holds of every op."""

import math

import pytest
import torch
from torch import Tensor

from traincost_kernels import bias_dropout_residual
from traincost_kernels.agreement import DTYPES, assert_agrees
from traincost_kernels.dropout_kernels import BLOCK
from traincost_kernels.errors import KernelInputError
from traincost_kernels.superrows import rows_put_together


def mask(shape: tuple[int, ...], p: float, seed: int | Tensor, device: str) -> Tensor:
    """Where the op keeps what it is given."""
    x, zeros = torch.ones(shape, device=device), torch.zeros(shape, device=device)
    return bias_dropout_residual(x, None, zeros, p=p, seed=seed) != 0


def philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Philox 4x32-10 as Salmon et al. write it down."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b % 2**32, (a >> 32) ^ c3 ^ k1, a % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def test_the_written_out_philox_gives_its_authors_known_answer() -> None:
    """Random123's kat_vectors: counter and key 0."""
    assert philox((0, 0), (0, 0, 0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)


@pytest.mark.parametrize("seed", [0, 1, -5, 2**40 + 7])
def test_the_mask_is_philox_of_seed_and_position(seed: int, kernel_device: str) -> None:
    p, n_rows, n_cols = 0.3, 10, 512
    kept = mask((n_rows, n_cols), p, seed, kernel_device).cpu()
    key = (seed % 2**32, (seed >> 32) % 2**32)
    period = rows_put_together(n_cols, BLOCK) * n_cols
    for element in (0, 1, 1023, 1024, 2047, 3000, 4096, 5119):
        super_row, col = divmod(element, period)
        word = philox(key, (super_row // 4 * period + col, 0, 0, 0))[super_row % 4]
        assert kept.flatten()[element].item() == (word >= round(p * 2**32)), element


@pytest.mark.thorough
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_that_is_dropped_is_p(p: float, kernel_device: str) -> None:
    n = 40_000
    dropped = 1 - mask((n,), p, 7, kernel_device).double().mean().item()
    assert abs(dropped - p) < 5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.thorough
def test_masks_of_neighbouring_seeds_and_rows_are_unrelated(kernel_device: str) -> None:
    n = 20_000
    masks = [mask((n,), 0.5, seed, kernel_device).double() - 0.5 for seed in (1, 2)]
    shifted = masks[0][1024:] * masks[0][:-1024]
    for product in (masks[0] * masks[1], shifted):
        assert abs(product.mean().item()) < 5 * 0.25 / math.sqrt(n)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_mask_is_the_same_in_every_dtype(dtype: torch.dtype, kernel_device: str) -> None:
    x = torch.ones(3, 700, dtype=dtype, device=kernel_device)
    y = bias_dropout_residual(x, torch.zeros_like(x[0]), torch.zeros_like(x), p=0.5, seed=3)
    other = bias_dropout_residual(
        x.float(), torch.zeros_like(x[0]).float(), torch.zeros_like(x).float(), p=0.5, seed=3
    )
    assert torch.equal(y != 0, other != 0)


def test_a_seed_in_a_tensor_is_the_same_seed(kernel_device: str) -> None:
    seed = torch.tensor([2**40 + 7], device=kernel_device)
    number = mask((2, 700), 0.5, 2**40 + 7, kernel_device)
    assert torch.equal(mask((2, 700), 0.5, seed, kernel_device), number)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_dropped_at_p_0_or_outside_training(training: bool, kernel_device: str) -> None:
    p = 0.0 if training else 0.5

    def ours(x: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
        return bias_dropout_residual(x, bias, residual, p=p, seed=1, training=training)

    def eager(x: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
        return residual + (x + bias)

    x = torch.linspace(-1, 1, 60, device=kernel_device).reshape(2, 3, 10)
    inputs = {"x": x, "bias": x[0, 0] * 2, "residual": x * 3}
    assert_agrees(ours, eager, inputs, ["x", "bias", "residual"])


def test_everything_is_dropped_at_p_1(kernel_device: str) -> None:
    x = torch.linspace(-1, 1, 60, device=kernel_device).reshape(6, 10)
    y = bias_dropout_residual(x, x[0], x * 3, p=1.0, seed=1)
    assert torch.equal(y, x * 3)


def test_nan_and_infinities_reach_the_result_even_where_dropped(kernel_device: str) -> None:
    """As in eager, which multiplies by the mask."""
    x = torch.tensor([math.nan, math.inf, -math.inf, 1.0], device=kernel_device)
    y = bias_dropout_residual(x, None, torch.zeros_like(x), p=1.0, seed=1)
    assert y.isnan().tolist() == [True, True, True, False]


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (2, 1, 3, 4), (0,), (2, 0, 3), (3, 0)], ids=str)
def test_any_rank_from_1_is_taken(shape: tuple[int, ...], kernel_device: str) -> None:
    x = torch.ones(shape, device=kernel_device, requires_grad=True)
    bias = torch.ones(shape[-1:], device=kernel_device, requires_grad=True)
    y = bias_dropout_residual(x, bias, torch.zeros_like(x), p=0.5, seed=11)
    assert y.shape == x.shape
    dx, dbias = torch.autograd.grad(y.sum(), [x, bias])
    assert torch.equal(dx, y.detach() / 2)
    assert torch.equal(dbias, dx.reshape(-1, max(shape[-1], 1)).sum(0)[: shape[-1]])


@pytest.mark.thorough
@pytest.mark.parametrize("in_tensor", [False, True])
def test_the_op_is_registered_soundly(in_tensor: bool, kernel_device: str) -> None:
    x = torch.linspace(-1, 1, 6, device=kernel_device).reshape(2, 3)
    seed = torch.tensor([5], device=kernel_device) if in_tensor else None
    leaves = [t.clone().requires_grad_() for t in (x, x[0], x)]
    torch.library.opcheck(torch.ops.traincost.bias_dropout_residual, (*leaves, 0.5, 5, seed))
    backward = torch.ops.traincost.bias_dropout_residual_backward
    torch.library.opcheck(backward, (x, True, 0.5, 5, seed))


def test_bad_arguments_are_refused() -> None:
    x = torch.ones(2, 4)

    def refused(match: str, bias: object = None, p: object = 0.1, seed: object = 1) -> None:
        with pytest.raises(KernelInputError, match=match):
            bias_dropout_residual(x, bias, x, p=p, seed=seed)  # type: ignore[arg-type]  # pyright: ignore

    refused(r"bias has shape \(3,\), expected \(4,\)", bias=torch.ones(3))
    refused("p is 1.5, expected from 0.0 to 1.0", p=1.5)
    refused("p is nan, expected from 0.0 to 1.0", p=math.nan)
    refused("p is str, expected a number", p="0.1")
    refused("seed is float, expected an integer", seed=1.5)
    refused("seed is 9223372036854775808, expected from", seed=2**63)
    refused("seed is 2 elements of torch.int64", seed=torch.tensor([1, 2]))
    with pytest.raises(KernelInputError, match="training is 'no', expected True or False"):
        bias_dropout_residual(x, None, x, p=0.1, seed=1, training="no")  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(KernelInputError, match=r"residual has shape \(4,\), expected \(2, 4\)"):
        bias_dropout_residual(x, None, x[0], p=0.1, seed=1)
