"""Cross-entropy, functional and in place, beyond what holds of every op."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels import cross_entropy, cross_entropy_
from traincost_kernels.agreement import assert_agrees
from traincost_kernels.catalog import IN_PLACE
from traincost_kernels.errors import KernelInputError, SecondDerivativeError
from traincost_kernels.row_tiling import accumulator_dtype

Loss = Callable[..., Tensor]


def in_place(logits: Tensor, target: Tensor, **options: Any) -> Tensor:
    """On a copy, as a product's result would be."""
    return cross_entropy_(logits.clone(), target, **options)


def eager(logits: Tensor, target: Tensor, *, z_loss: float = 0.0, **options: Any) -> Tensor:
    """Composed, for any rank; the classes last."""
    x = logits.to(accumulator_dtype(logits))
    rows, index = x.reshape(-1, x.shape[-1]), target.reshape(-1)
    reduction = options.pop("reduction", "mean")
    each = F.cross_entropy(rows, index, reduction="none", **options)
    kept = index.ne(-100)
    each = each + torch.where(kept, z_loss * rows.logsumexp(-1).square(), 0.0)
    if reduction == "none":
        return each.reshape(target.shape)
    return each.sum() / kept.sum() if reduction == "mean" else each.sum()


both_ops = pytest.mark.parametrize("op", [cross_entropy, in_place], ids=["functional", "in_place"])


def inputs(
    *shape: int, device: str, dtype: torch.dtype = torch.float32, seed: int = 0
) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)
    target = torch.randint(0, shape[-1], shape[:-1], generator=generator)
    return {"logits": logits.to(device, dtype), "target": target.to(device)}


def agrees(op: Loss, values: dict[str, Tensor], **options: Any) -> None:
    assert_agrees(partial(op, **options), partial(eager, **options), values, ("logits",))


@both_ops
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "options",
    [{}, {"label_smoothing": 0.1}, {"z_loss": 1e-2}, {"label_smoothing": 1.0, "z_loss": 0.3}],
    ids=str,
)
@pytest.mark.parametrize("n_cols", [16, 13])
def test_every_option_is_right(
    op: Loss, reduction: str, options: dict[str, float], n_cols: int, kernel_device: str
) -> None:
    values = inputs(6, n_cols, device=kernel_device, dtype=torch.float64)
    values["target"][2] = -100
    agrees(op, values, reduction=reduction, **options)


@both_ops
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("n_cols", [1, 2, 257, 2048, 2051, 9001])
def test_tiles_edges_and_tails_are_right(
    op: Loss, dtype: torch.dtype, n_cols: int, kernel_device: str
) -> None:
    """The gradient of the loss is 1: in place another is a second rounding."""
    values = inputs(2, n_cols, device=kernel_device, dtype=dtype)
    options: dict[str, Any] = {"label_smoothing": 0.1}
    one = {0: torch.ones((), device=kernel_device)}
    assert_agrees(partial(op, **options), partial(eager, **options), values, ("logits",), one)


@both_ops
@pytest.mark.parametrize("shape", [(5,), (2, 3, 7), (2, 1, 3, 9), (3, 0, 4)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_any_rank_is_taken(
    op: Loss, shape: tuple[int, ...], reduction: str, kernel_device: str
) -> None:
    agrees(op, inputs(*shape, device=kernel_device), reduction=reduction)


@both_ops
def test_a_whole_vocabulary_of_odd_size_is_right(op: Loss, kernel_device: str) -> None:
    agrees(op, inputs(2, 50257, device=kernel_device), z_loss=1e-4)


@both_ops
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_all_rows_ignored_give_no_gradient_and_no_mean(
    op: Loss, reduction: str, kernel_device: str
) -> None:
    values = inputs(3, 13, device=kernel_device)
    values["target"].fill_(7)
    logits = values["logits"].requires_grad_()
    loss = op(logits, values["target"], ignore_index=7, reduction=reduction)
    assert loss.isnan() if reduction == "mean" else (loss == 0).all()
    (dlogits,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.equal(dlogits, torch.zeros_like(logits))


@both_ops
def test_an_ignored_row_is_ignored_whatever_it_holds(op: Loss, kernel_device: str) -> None:
    values = inputs(4, 9, device=kernel_device)
    values["logits"][1] = math.nan
    values["target"][1] = 3
    values["target"][0] = values["target"][2] = values["target"][3] = 0
    logits = values["logits"].requires_grad_()
    loss = op(logits, values["target"], ignore_index=3)
    (dlogits,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert torch.equal(dlogits[1], torch.zeros_like(dlogits[1]))
    assert dlogits.isfinite().all()


@both_ops
@pytest.mark.parametrize("n_cols", [40, 43])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_infinities_and_nan_are_as_in_eager(
    op: Loss, n_cols: int, smoothing: float, kernel_device: str
) -> None:
    values = inputs(6, n_cols, device=kernel_device, dtype=torch.float64)
    logits, target = values["logits"], values["target"]
    logits[0] = -math.inf
    logits[1, :-1], target[1] = -math.inf, n_cols - 1  # one class left, and it is the target
    logits[2, : n_cols // 2], target[2] = -math.inf, n_cols - 1  # whole chunks of -inf
    logits[3, 5], target[3] = -math.inf, 5
    logits[4, 7] = math.inf
    logits[5, 11] = math.nan
    agrees(op, values, reduction="none", label_smoothing=smoothing)


@both_ops
def test_an_offset_of_all_logits_changes_nothing(op: Loss, kernel_device: str) -> None:
    """Exponentials are taken from the maximum, the row's end counts as -inf and not as 0."""
    for offset in (-1e4, 1e4):
        values = inputs(2, 21, device=kernel_device)
        values["logits"] = (values["logits"] * 8).round() / 8 + offset
        agrees(op, values)


@both_ops
def test_a_sure_prediction_has_the_gradient_of_its_remainder(op: Loss, kernel_device: str) -> None:
    """In bf16 the probability of the true class is 1: taking 1 from it there would give 0."""
    logits = torch.zeros(1, 8, dtype=torch.bfloat16, device=kernel_device)
    logits[0, 0] = 9.0
    logits.requires_grad_()
    loss = op(logits, torch.zeros(1, dtype=torch.int64, device=kernel_device))
    (dlogits,) = torch.autograd.grad(loss, logits)
    expected = -7 * math.exp(-9) / (1 + 7 * math.exp(-9))
    assert dlogits[0, 0].item() == pytest.approx(expected, rel=2**-7)


@both_ops
def test_expanded_and_scaled_gradients_are_used(op: Loss, kernel_device: str) -> None:
    values = inputs(4, 7, device=kernel_device, dtype=torch.float64)
    expanded = torch.full((), 2.5, dtype=torch.float64, device=kernel_device).expand(4)
    ours, right = partial(op, reduction="none"), partial(eager, reduction="none")
    assert_agrees(ours, right, values, ("logits",), {0: expanded})
    assert_agrees(op, eager, values, ("logits",), {0: expanded[0]})


def test_strided_logits_and_targets_are_read_right(kernel_device: str) -> None:
    values = inputs(6, 6, device=kernel_device)
    values["target"] = torch.stack([values["target"]] * 2, dim=1)[:, 0]
    agrees(cross_entropy, {**values, "logits": values["logits"].t()})


def test_in_place_the_logits_become_the_gradient(kernel_device: str) -> None:
    values = inputs(3, 11, device=kernel_device)
    leaf = values["logits"].clone().requires_grad_()
    (expected,) = torch.autograd.grad(cross_entropy(leaf, values["target"]), leaf)
    logits = values["logits"].clone()
    with torch.no_grad():
        cross_entropy_(logits, values["target"])
    assert torch.equal(logits, expected)


def test_in_place_the_gradient_has_no_memory_of_its_own(kernel_device: str) -> None:
    x = torch.randn(3, 11, device=kernel_device, requires_grad=True)
    logits = x * 1.0
    loss = cross_entropy_(logits, torch.tensor([1, 2, 3], device=kernel_device))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.data_ptr() == logits.data_ptr()


def test_in_place_what_needs_the_logits_later_is_an_error(kernel_device: str) -> None:
    x = torch.randn(2, 5, device=kernel_device, requires_grad=True)
    target = torch.tensor([1, 2], device=kernel_device)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(cross_entropy_(x.tanh(), target), x)
    loss = cross_entropy_(x * 1.0, target)
    torch.autograd.grad(loss, x, retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, x)


def test_in_place_a_first_loss_is_an_error_after_a_second(kernel_device: str) -> None:
    logits = torch.randn(2, 5, device=kernel_device, requires_grad=True) * 1.0
    target = torch.tensor([1, 2], device=kernel_device)
    first, _ = cross_entropy_(logits, target), cross_entropy_(logits, target)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.backward(first)


def test_in_place_a_second_derivative_is_refused(kernel_device: str) -> None:
    w = torch.randn(2, 5, device=kernel_device, requires_grad=True)
    loss = cross_entropy_(w * 1.0, torch.tensor([1, 2], device=kernel_device))
    with pytest.raises(SecondDerivativeError, match=r"cross_entropy_: .* has no derivative"):
        torch.autograd.grad(loss, w, create_graph=True)


def test_in_place_a_parameter_and_its_gradient_never_share_memory(kernel_device: str) -> None:
    leaf = torch.randn(2, 5, device=kernel_device, requires_grad=True)
    target = torch.tensor([1, 2], device=kernel_device)
    before = leaf.detach().clone()
    for logits in (leaf, leaf.view(2, 5), leaf.view(1, 2, 5)[0]):
        with pytest.raises(KernelInputError, match="logits is a leaf that requires a gradient"):
            cross_entropy_(logits, target)
    assert torch.equal(leaf, before)
    product = leaf * 1.0
    torch.autograd.backward(cross_entropy_(product.view(2, 5), target))
    assert leaf.grad is not None
    assert torch.equal(leaf, before)


@pytest.mark.thorough
def test_in_place_compilation_keeps_one_whole_graph(kernel_device: str) -> None:
    values = inputs(3, 9, device=kernel_device)
    leaves = [values["logits"].clone().requires_grad_() for _ in range(2)]
    torch.autograd.backward(in_place(leaves[0], values["target"]))
    compiled = torch.compile(in_place, fullgraph=True, backend="aot_eager")
    torch.autograd.backward(compiled(leaves[1], values["target"]))
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=0, atol=0)


def test_in_place_launches_declare_three_accesses_an_element() -> None:
    (entry,) = IN_PLACE
    launches = entry.launches(entry.inputs(8192, 50257, torch.bfloat16, "meta"))
    for phase, least in (
        ("forward", entry.bytes_per_element_forward(torch.bfloat16, 50257)),
        ("backward", entry.bytes_per_element_backward(torch.bfloat16, 50257)),
    ):
        moved = sum(launch.bytes_read + launch.bytes_written for launch in launches[phase])
        assert moved / (8192 * 50257) == pytest.approx(least, rel=1e-3)


@both_ops
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_an_ignored_row_has_gradient_zero_whatever_that_of_the_loss_is(
    op: Loss, reduction: str, kernel_device: str
) -> None:
    """As where a sequence is all padding, and its mean 0 / 0."""
    logits = torch.randn(3, 5, device=kernel_device, requires_grad=True)
    target = torch.tensor([0, -100, 3], device=kernel_device)
    loss = op(logits * 1, target, reduction=reduction)
    torch.autograd.backward(loss, torch.full_like(loss, math.nan))
    assert logits.grad is not None
    assert logits.grad[1].tolist() == [0.0] * 5
    assert logits.grad[0].isnan().all()


@pytest.mark.thorough
def test_the_ops_are_registered_soundly(kernel_device: str) -> None:
    values = inputs(3, 5, device=kernel_device)
    logits, target = values["logits"], values["target"]
    options = (-100, 0.1, 0.01, "mean")
    ops = torch.ops.traincost
    forward = (logits.clone().requires_grad_(), target, *options, True)
    torch.library.opcheck(ops.cross_entropy, forward)
    top, count = logits.amax(-1), torch.tensor(3.0, device=kernel_device)
    backward = (logits, target, top, logits.logsumexp(-1) - top, count, count.clone(), *options)
    torch.library.opcheck(ops.cross_entropy_backward, backward)
    torch.library.opcheck(ops.cross_entropy_, (logits.clone(), target, *options, True))
    torch.library.opcheck(ops.scale_, (logits.clone(), count, target, -100))
