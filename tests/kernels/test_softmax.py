"""Softmax with a factor and a mask, beyond what holds of every op."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from traincost_kernels import row_tiling, softmax
from traincost_kernels.agreement import assert_agrees
from traincost_kernels.errors import KernelInputError


def eager(x: Tensor, *, scale: float = 1.0, mask: Tensor | None = None) -> Tensor:
    s = x * scale
    return torch.softmax(s if mask is None else s.masked_fill(~mask, -math.inf), -1)


def values(*shape: int, device: str, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype)


def kept(*shape: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(*shape, generator=generator) < 0.7).to(device)


def agrees(x: Tensor, scale: float = 1.0, mask: Tensor | None = None) -> None:
    options: dict[str, Any] = {"scale": scale, "mask": mask}
    assert_agrees(partial(softmax, **options), partial(eager, **options), {"x": x}, ("x",))


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows beyond 128 bytes of accumulators are looped over, in tiles of 256 bytes."""
    monkeypatch.setattr("traincost_kernels.ops.softmax.MAX_WHOLE_BYTES", 128)
    monkeypatch.setattr(row_tiling, "ACCUMULATOR_BYTES_A_THREAD", 1)


@pytest.mark.parametrize("n_cols", [8, 15])
@pytest.mark.parametrize(
    "shape", [(1,), (2, 1, 1), (2, 3, 1), (3, 1), (1, 1, 4), (2, 1, 4), (3, 4), (2, 3, 4)]
)
def test_masks_broadcast_over_leading_dimensions(
    shape: tuple[int, ...], n_cols: int, kernel_device: str
) -> None:
    mask = kept(*shape, n_cols, device=kernel_device)
    agrees(values(2, 3, 4, n_cols, device=kernel_device), 0.3, mask)


def test_masks_broadcast_over_more_dimensions_than_the_kernel_tells_apart(
    kernel_device: str,
) -> None:
    mask = kept(2, 1, 1, 2, 5, device=kernel_device)
    agrees(values(2, 1, 2, 2, 5, device=kernel_device), 2.0, mask)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
@pytest.mark.parametrize("shape", [(3, 64), (2, 127), (2, 256), (1, 301)], ids=str)
@pytest.mark.usefixtures("small_limits")
def test_long_rows_are_looped_over_right(
    shape: tuple[int, int], dtype: torch.dtype, kernel_device: str
) -> None:
    x = values(*shape, device=kernel_device, dtype=dtype)
    agrees(x)
    agrees(x, 0.3, kept(*shape, device=kernel_device))


@pytest.mark.thorough
@pytest.mark.parametrize("looped", [False, True])
@pytest.mark.parametrize("n_cols", [40, 43])
def test_masked_rows_infinities_and_nan_are_as_in_eager(
    looped: bool, n_cols: int, kernel_device: str, request: pytest.FixtureRequest
) -> None:
    """A row that is masked whole is NaN and has gradient 0."""
    if looped:
        request.getfixturevalue("small_limits")
    x, mask = values(7, n_cols, device=kernel_device), kept(7, n_cols, device=kernel_device)
    mask[0] = False
    mask[1, :-1], mask[1, -1] = False, True
    mask[2:, 5:8] = True
    x[2, 5] = math.inf
    x[3, 6] = math.nan
    x[4, 7] = -math.inf
    x[5] = -math.inf
    mask[6, 3], x[6, 3] = False, math.nan  # masked, so it is never seen
    agrees(x, 0.5, mask)
    agrees(x, -0.5)
    agrees(x, 0.0)


def test_large_logits_do_not_overflow(kernel_device: str) -> None:
    agrees(values(3, 21, device=kernel_device, dtype=torch.float32) * 10 + 1e4)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 7), (2, 1, 3, 9), (2, 0, 8), (3, 0)], ids=str)
def test_any_rank_is_taken(shape: tuple[int, ...], kernel_device: str) -> None:
    agrees(values(*shape, device=kernel_device), 1.5)


def test_expanded_and_transposed_tensors_are_read_right(kernel_device: str) -> None:
    x, mask = values(6, 6, device=kernel_device), kept(6, 6, device=kernel_device)
    agrees(x.t(), 1.5, mask.t())
    agrees(x[:1].expand(6, 6), 1.5, mask[:1].expand(6, 6))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(5), "mask has dtype torch.float32, expected torch.bool"),
        (torch.ones(5, dtype=torch.bool, device="meta"), "mask is on meta, expected cpu"),
        (torch.ones(4, dtype=torch.bool), r"mask has shape \(4,\), expected one that broadcasts"),
        (torch.ones(3, 1, dtype=torch.bool), r"mask has shape \(3, 1\), expected one"),
        (torch.ones(2, 5, dtype=torch.bool), r"mask has shape \(2, 5\), expected one"),
        (torch.ones(1, 3, 5, dtype=torch.bool), r"mask has shape \(1, 3, 5\), expected one"),
    ],
    ids=str,
)
def test_masks_that_do_not_fit_are_refused(mask: Tensor, message: str) -> None:
    with pytest.raises(KernelInputError, match=f"softmax: {message}"):
        softmax(torch.ones(3, 5), mask=mask)


def test_a_mask_that_is_no_tensor_is_refused() -> None:
    mask: Any = [True] * 5
    with pytest.raises(KernelInputError, match="softmax: mask is list, expected a tensor"):
        softmax(torch.ones(2, 5), mask=mask)


def test_wrong_dtypes_and_factors_are_refused() -> None:
    with pytest.raises(KernelInputError, match="softmax: x has dtype torch"):
        softmax(torch.arange(3))
    with pytest.raises(KernelInputError, match="softmax: scale is inf, expected from"):
        softmax(torch.ones(3), scale=math.inf)


def test_the_ops_are_registered_soundly(kernel_device: str) -> None:
    x, mask = values(2, 5, device=kernel_device), kept(5, device=kernel_device)
    ops = torch.ops.traincost
    torch.library.opcheck(ops.softmax, (x.clone().requires_grad_(), mask, 0.5))
    torch.library.opcheck(ops.softmax_backward, (x.softmax(-1), mask, x, 0.5))
