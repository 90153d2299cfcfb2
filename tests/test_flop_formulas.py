"""Formulas checked on shapes alone, so that those of CUDA ops run on a machine without one."""

import re
from collections.abc import Callable
from typing import Any

import closed_forms
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from traincost.instruments.arithmetic import count
from traincost.instruments.flop_formulas import formula_for, formulas
from traincost.instruments.zero_flop_ops import ZERO_FLOP_OPS, counts_zero

aten = torch.ops.aten
LIST_CHECKED_WITH = "2.13."
PRODUCT_NAME = re.compile(
    r"(^|_)(mm|mv|bmm|addr|dot|vdot|matmul|conv\w*|attention|linear|rnn|lstm|linalg|fft|cdist)(_|$)"
)
NO_PRODUCTS_DESPITE_THE_NAME = {
    "_cudnn_rnn_flatten_weight",
    "_thnn_fused_lstm_cell",
    "_thnn_fused_lstm_cell_backward_impl",
    "linalg__powsum",
    "linalg_cross",
    "linalg_vector_norm",
    "mkldnn_reorder_conv2d_weight",
    "mkldnn_reorder_conv3d_weight",
    "upsample_linear1d",
    "upsample_linear1d_backward",
}

PRODUCTS: list[tuple[Callable[[Tensor, Tensor], object], int]] = [  # of (3, 4) and (4,)
    (lambda a, v: torch.mv(a, v), 2 * 3 * 4),
    (lambda a, v: torch.addmv(torch.ones(3), a, v), 2 * 3 * 4),
    (lambda a, v: torch.dot(v, v), 2 * 4),
    (lambda a, v: torch.vdot(v, v), 2 * 4),
    (lambda a, v: torch.addr(a, torch.ones(3), v), 2 * 3 * 4),
    (lambda a, v: torch.addbmm(torch.ones(3, 3), a[None], a.T[None]), 2 * 3 * 4 * 3),
    (lambda a, v: torch.baddbmm(torch.ones(1, 3, 3), a[None], a.T[None]), 2 * 3 * 4 * 3),
    (lambda a, v: torch.ones(3, 3).addmm_(a, a.T), 2 * 3 * 4 * 3),
    (lambda a, v: torch.ops.aten._addmm_activation(torch.ones(3), a, a.T), 2 * 3 * 4 * 3),
    (lambda a, v: torch.einsum("ij,kj->ik", a, a), 2 * 3 * 4 * 3),
    (lambda a, v: torch.mm(a, a.T, out=torch.empty(3, 3)), 2 * 3 * 4 * 3),
]


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def flops(packet: Any, *args: Any, out: Any = None) -> int:
    formula = formula_for(packet)
    assert formula is not None
    return formula(*args, out_val=out)


def cudnn_weights(
    gates: int, features: int, hidden: int, layers: int, directions: int, proj: int = 0
) -> list[Tensor]:
    """The list as `nn.LSTM` and its kin hand it to `_cudnn_rnn`."""
    weights: list[Tensor] = []
    out = proj or hidden
    for layer in range(layers):
        n_in = features if layer == 0 else directions * out
        for _ in range(directions):
            rows = gates * hidden
            weights += [meta(rows, n_in), meta(rows, out), meta(rows), meta(rows)]
            weights += [meta(proj, hidden)] if proj else []
    return weights


@pytest.mark.parametrize("shape", [(7, 3, 4), (3, 7, 4), (21, 4)])  # batch second, first, packed
def test_a_cudnn_lstm_counts_as_the_closed_form(shape: tuple[int, ...]) -> None:
    weights = cudnn_weights(4, 4, 6, layers=2, directions=2)
    expected = closed_forms.lstm_forward_flops(7, 3, 4, 6, layers=2, directions=2)
    rest: tuple[object, ...] = (
        4,
        None,
        meta(4, 3, 6),
        meta(4, 3, 6),
        2,
        6,
        0,
        2,
        False,
        0.0,
        True,
        True,
        [],
        None,
    )
    assert flops(aten._cudnn_rnn, meta(*shape), weights, *rest) == expected


@pytest.mark.parametrize(("weights_asked_for", "times"), [(True, 2), (False, 1)])
def test_a_cudnn_backward_always_runs_the_data_gradients(
    weights_asked_for: bool, times: int
) -> None:
    x, h = meta(7, 3, 4), meta(1, 3, 6)
    weights = cudnn_weights(4, 4, 6, layers=1, directions=1)
    args = (4, meta(264), h, h, meta(7, 3, 6), meta(7, 3, 6), None, None, 2, 6, 0, 1, False, 0.0)
    mask = [False, False, False, weights_asked_for]
    counted = flops(
        aten._cudnn_rnn_backward, x, weights, *args, True, False, [], None, meta(8), mask
    )
    assert counted == times * closed_forms.lstm_forward_flops(7, 3, 4, 6)


def test_a_gru_has_three_gates_and_a_projection_is_one_more_product() -> None:
    x, h = meta(7, 3, 4), meta(1, 3, 6)
    gru = cudnn_weights(3, 4, 6, layers=1, directions=1)
    projected = cudnn_weights(4, 4, 6, layers=1, directions=1, proj=2)
    rest: tuple[object, ...] = (4, None, h, None, 3, 6, 0, 1, False, 0.0, True, False, [], None)
    assert flops(aten._cudnn_rnn, x, gru, *rest) == 2 * 21 * 3 * 6 * (4 + 6)
    assert flops(aten._cudnn_rnn, x, projected, *rest) == 2 * 21 * (4 * 6 * (4 + 2) + 6 * 2)


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_attention_counts_query_heads_on_every_backend(kv_heads: int) -> None:
    q, kv = meta(2, 4, 10, 8), meta(2, kv_heads, 10, 8)
    one = closed_forms.attention_forward_flops(2, 4, 10, 8)
    for backend in ("flash_attention_for_cpu", "flash_attention", "efficient_attention"):
        packet = getattr(aten, f"_scaled_dot_product_{backend}")
        gradient = getattr(aten, f"_scaled_dot_product_{backend}_backward")
        assert flops(packet, q, kv, kv) == one
        assert flops(gradient, q, q, kv, kv) == 5 * one // 2


@pytest.mark.parametrize(("product", "expected"), PRODUCTS)
def test_products_of_matrices_and_vectors_are_2mnk(
    product: Callable[[Tensor, Tensor], object], expected: int
) -> None:
    counted = count(lambda: product(torch.ones(3, 4), torch.ones(4)), phase="forward")
    assert (counted.flops, counted.model_flops) == (expected, expected)


def test_a_grouped_product_counts_each_row_once() -> None:
    rows_in_groups = flops(aten._grouped_mm, meta(12, 8), meta(3, 8, 5), meta(3))
    inner_in_groups = flops(aten._grouped_mm, meta(12, 8), meta(8, 5), meta(3))
    columns_in_groups = flops(aten._grouped_mm, meta(3, 12, 8), meta(8, 5), meta(3))
    batch = flops(aten._grouped_mm, meta(3, 12, 8), meta(3, 8, 5))
    assert rows_in_groups == inner_in_groups == columns_in_groups == 2 * 12 * 8 * 5
    assert batch == 3 * 2 * 12 * 8 * 5


@pytest.mark.parametrize("transposed", [False, True])
def test_a_convolution_backward_is_two_forwards_whatever_the_groups(transposed: bool) -> None:
    kind = torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d
    conv = kind(8, 4, 3, stride=2, groups=4)
    x = torch.randn(2, 8, 9, 9, requires_grad=True)
    forward = 2 * 2 * (81 if transposed else 16) * conv.weight.numel()
    assert count(lambda: conv(x), phase="forward").flops == forward
    assert count(lambda: conv(x).sum().backward(), phase="step").flops == 3 * forward


def test_formulas_that_torch_lacks_are_registered_with_it_once() -> None:
    formulas.cache_clear()
    assert formulas()
    formulas.cache_clear()
    assert aten._scaled_dot_product_flash_attention_for_cpu in formulas()
    q = torch.randn(1, 2, 4, 8)
    with FlopCounterMode(display=False) as counter:
        torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert counter.get_total_flops() == closed_forms.attention_forward_flops(1, 2, 4, 8)


def test_no_op_is_both_free_and_in_a_formula() -> None:
    packets = {*formulas(), *flop_registry}
    names = {str(getattr(p, "_qualified_op_name", p)).removeprefix("aten::") for p in packets}
    assert not [name for name in names if counts_zero(name)]


def test_no_free_op_is_named_like_a_product() -> None:
    suspects = {name for name in ZERO_FLOP_OPS if PRODUCT_NAME.search(name)}
    assert suspects == NO_PRODUCTS_DESPITE_THE_NAME & suspects


@pytest.mark.skipif(
    not torch.__version__.startswith(LIST_CHECKED_WITH), reason="other versions rename ops"
)
def test_every_free_op_exists() -> None:
    names = {name.split(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    listed = {name if "::" in name else f"aten::{name}" for name in ZERO_FLOP_OPS}
    lazily_registered = {name for name in listed if name.startswith(("fsdp::", "c10d"))}
    missing = {n for n in listed - lazily_registered if n not in names and f"{n}_" not in names}
    assert not missing


def test_in_place_twins_and_versions_over_lists_are_free_too() -> None:
    assert counts_zero("add_")
    assert counts_zero("_foreach_add_")
    assert counts_zero("c10d::allreduce_")
    assert not counts_zero("_foreach_mm")
    assert not counts_zero("mylib::add")
