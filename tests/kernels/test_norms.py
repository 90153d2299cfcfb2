"""RMSNorm and LayerNorm, beyond what holds of every op."""

import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from traincost_kernels import layer_norm, norms, rms_norm, row_tiling
from traincost_kernels.agreement import assert_agrees, compare
from traincost_kernels.catalog import CATALOG
from traincost_kernels.entry import KernelEntry
from traincost_kernels.errors import KernelInputError
from traincost_kernels.launch import Launch

NAMES = ("rms_norm", "add_rms_norm", "layer_norm")
NORMS = tuple(entry for entry in CATALOG if entry.name in NAMES)
each_norm = pytest.mark.parametrize("entry", NORMS, ids=lambda entry: entry.name)


def agrees(entry: KernelEntry, inputs: Mapping[str, Tensor]) -> None:
    assert_agrees(entry.fused, entry.eager, inputs, entry.differentiable)


def one_sm(_device: torch.device) -> int:
    return 1


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows beyond 256 bytes of accumulators take the kernels of long ones, in small tiles."""
    for limit in ("MAX_FORWARD_BYTES", "MAX_BACKWARD_BYTES", "MAX_BACKWARD_BYTES_TIGHT"):
        monkeypatch.setattr(norms, limit, 256)
    monkeypatch.setattr(row_tiling, "ACCUMULATOR_BYTES_A_THREAD", 1)  # tiles of 32 and 64 columns


@pytest.mark.thorough
@each_norm
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(1, 65), (2, 128), (3, 131)], ids=str)
@pytest.mark.usefixtures("small_limits")
def test_long_rows_are_looped_over_right(
    entry: KernelEntry, shape: tuple[int, int], dtype: torch.dtype, kernel_device: str
) -> None:
    agrees(entry, entry.inputs(*shape, dtype, kernel_device))


@pytest.mark.thorough
@each_norm
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(300, 8), (300, 7), (19, 513), (19, 1025)], ids=str)
def test_programs_that_take_many_rows_sum_them_right(
    entry: KernelEntry,
    shape: tuple[int, int],
    dtype: torch.dtype,
    kernel_device: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one SM; rows of odd length meet their lead again in every tile of a program."""
    monkeypatch.setattr(norms, "sm_count", one_sm)
    agrees(entry, entry.inputs(*shape, dtype, kernel_device))


@pytest.mark.thorough
@each_norm
@pytest.mark.usefixtures("small_limits")
def test_long_rows_shared_by_columns_sum_many_rows_right(
    entry: KernelEntry, kernel_device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norms, "sm_count", one_sm)
    agrees(entry, entry.inputs(21, 75, torch.float32, kernel_device))


@each_norm
@pytest.mark.parametrize("shape", [(3,), (2, 3, 5), (2, 1, 3, 9), (2, 0, 8), (3, 0)], ids=str)
def test_any_rank_is_taken(entry: KernelEntry, shape: tuple[int, ...], kernel_device: str) -> None:
    flat = entry.inputs(math.prod(shape[:-1]), shape[-1], torch.float32, kernel_device)
    inputs = {k: v.reshape(shape) if v.dim() == 2 else v for k, v in flat.items()}
    agrees(entry, inputs)


@each_norm
def test_expanded_and_transposed_inputs_are_read_right(
    entry: KernelEntry, kernel_device: str
) -> None:
    plain = entry.inputs(6, 6, torch.float32, kernel_device)
    agrees(entry, {k: v.t() if v.dim() == 2 else v for k, v in plain.items()})
    agrees(entry, {k: v[:1].expand(6, 6) if v.dim() == 2 else v for k, v in plain.items()})


@each_norm
def test_empty_input_has_zero_gradients_of_its_parameters(
    entry: KernelEntry, kernel_device: str
) -> None:
    inputs = entry.inputs(0, 5, torch.float32, kernel_device)
    weight = inputs["weight"].requires_grad_()
    y = entry.fused(**{**inputs, "weight": weight})
    first = y if isinstance(y, Tensor) else y[0]
    (dweight,) = torch.autograd.grad(first.sum(), weight)
    assert torch.equal(dweight, torch.zeros_like(weight))


@each_norm
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("n_cols", [8, 13])
def test_nan_and_infinity_stay_in_their_row(
    entry: KernelEntry, value: float, n_cols: int, kernel_device: str
) -> None:
    inputs = dict(entry.inputs(5, n_cols, torch.float64, kernel_device))
    inputs["x"][2, 3] = value
    agrees(entry, inputs)


@pytest.mark.thorough
@each_norm
@pytest.mark.usefixtures("small_limits")
def test_nan_and_infinity_stay_in_their_row_when_looped(
    entry: KernelEntry, kernel_device: str
) -> None:
    for value, col in ((math.nan, 70), (math.inf, 70), (math.inf, 0)):
        inputs = dict(entry.inputs(3, 75, torch.float64, kernel_device))
        inputs["x"][1, col] = value
        agrees(entry, inputs)


@each_norm
def test_a_large_mean_costs_no_more_than_in_eager(entry: KernelEntry, kernel_device: str) -> None:
    inputs = dict(entry.inputs(3, 77, torch.float32, kernel_device))
    inputs["x"] = inputs["x"] + 1000.0
    agrees(entry, inputs)


@pytest.mark.parametrize("mean", [100.0, 1e4])
@pytest.mark.parametrize("n_cols", [301, 320])
@pytest.mark.usefixtures("small_limits")
def test_a_large_mean_costs_a_looped_row_no_accuracy(
    n_cols: int, mean: float, kernel_device: str
) -> None:
    """As exact as eager is without a mean; sums of the elements themselves are 10 times off."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, n_cols, generator=generator).to(kernel_device)
    (plain,) = compare(layer_norm, normalised, {"x": x}, ())
    (shifted,) = compare(layer_norm, normalised, {"x": x + mean}, ())
    assert shifted.worst <= 2 * plain.eager_worst + 1e-6


def without_first(x: Tensor) -> Tensor:
    """Leaves y's first column out: an outlier's own y would hide errors of the others."""
    return layer_norm(
        x,
        torch.ones_like(x[0]).index_fill(0, torch.zeros(1, dtype=torch.long, device=x.device), 0.0),
    )


def normalised_without_first(x: Tensor) -> Tensor:
    weight = torch.ones_like(x[0]).index_fill(
        0, torch.zeros(1, dtype=torch.long, device=x.device), 0.0
    )
    return F.layer_norm(x, x.shape[-1:], weight)


@pytest.mark.parametrize("outlier", [100.0, 1e4, 1e10])
@pytest.mark.parametrize("n_cols", [1024, 4099, 20001])
def test_an_outlier_in_the_first_column_costs_the_others_no_accuracy(
    n_cols: int, outlier: float, kernel_device: str
) -> None:
    """As the pivot of the row it would round them all to its own last bit."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, n_cols, generator=generator)
    x[:, 0] = outlier
    inputs = {"x": x.to(kernel_device)}
    (first,) = compare(without_first, normalised_without_first, inputs, ())
    assert first.worst <= 2 * first.eager_worst + 1e-7


def normalised(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:])


def test_parameters_are_optional(kernel_device: str) -> None:
    x = torch.linspace(-2, 2, 21, device=kernel_device).reshape(3, 7)

    def eager(x: Tensor) -> Tensor:
        return F.rms_norm(x, (7,), None, 1e-6)

    def eager_plain(x: Tensor) -> Tensor:
        return F.layer_norm(x, (7,))

    def eager_bias(x: Tensor, bias: Tensor) -> Tensor:
        return F.layer_norm(x, (7,), None, bias)

    assert_agrees(rms_norm, eager, {"x": x}, ("x",))
    assert_agrees(layer_norm, eager_plain, {"x": x}, ("x",))
    assert_agrees(layer_norm, eager_bias, {"x": x, "bias": x[0]}, ("x", "bias"))


def test_either_result_of_the_residual_sum_can_go_unused(kernel_device: str) -> None:
    x, residual = (torch.randn(3, 5, device=kernel_device, requires_grad=True) for _ in range(2))
    _, total = rms_norm(x, residual=residual)
    (dx,) = torch.autograd.grad(total, x, torch.ones_like(total))
    assert torch.equal(dx, torch.ones_like(x))
    y, _ = rms_norm(x, residual=residual)
    (dx,) = torch.autograd.grad(y[0, 0], x)
    plain = (x + residual).detach().requires_grad_()
    (expected,) = torch.autograd.grad(rms_norm(plain)[0, 0], plain)
    torch.testing.assert_close(dx, expected)


@each_norm
def test_every_row_of_partial_sums_is_written(entry: KernelEntry) -> None:
    """Ceil division: as many programs as tiles, or a multiple of the leads that rows repeat in."""
    for n_rows, n_cols in ((1, 7), (5, 7), (131, 4097), (133, 4096), (9999, 33), (9999, 65537)):
        inputs = entry.inputs(n_rows, n_cols, torch.bfloat16, "meta")
        main = next(
            launch for launch in entry.launches(inputs)["backward"] if "ROWS" in launch.constants
        )
        assert_covers(main, n_rows)


def assert_covers(launch: Launch, n_rows: int) -> None:
    rows = launch.constants["ROWS"]
    assert isinstance(rows, int)
    n_programs, n_tiles = launch.grid[0], math.ceil(n_rows / rows)
    assert 0 < n_programs <= n_tiles
    if n_programs < n_tiles and not launch.constants["ALIGNED"]:
        assert n_programs * rows % 8 == 0


@each_norm
def test_inputs_that_do_not_match_are_refused(entry: KernelEntry) -> None:
    inputs = entry.inputs(2, 8, torch.float32, "cpu")
    name = entry.name.removeprefix("add_")
    for wrong, message in (
        (
            {"weight": torch.ones(7)},
            r"weight has shape \(7,\), expected \(8,\), the last dimension",
        ),
        (
            {"weight": torch.ones(8).double()},
            "weight has dtype torch.float64, expected torch.float",
        ),
        ({"weight": torch.ones(8, device="meta")}, "weight is on meta, expected cpu"),
        ({"x": torch.ones(2, 8).int()}, "x has dtype torch.int32, expected one of"),
        ({"x": torch.tensor(1.0)}, r"x has shape \(\), expected at least one dimension"),
    ):
        with pytest.raises(KernelInputError, match=f"{name}: {message}"):
            entry.fused(**{**inputs, **wrong})


def test_a_residual_of_another_shape_and_a_negative_eps_are_refused() -> None:
    x = torch.ones(2, 8)
    with pytest.raises(KernelInputError, match=r"residual has shape \(8,\), expected \(2, 8\)"):
        rms_norm(x, residual=torch.ones(8))
    with pytest.raises(KernelInputError, match=r"eps is -1\.0, expected from 0\.0 to inf"):
        rms_norm(x, eps=-1.0)


@pytest.mark.thorough
def test_the_op_is_registered_soundly(kernel_device: str) -> None:
    def x() -> Tensor:
        return torch.linspace(-2, 2, 6, device=kernel_device).reshape(2, 3).requires_grad_()

    weight = torch.ones(3, device=kernel_device, requires_grad=True)
    ops = torch.ops.traincost
    torch.library.opcheck(ops.rms_norm, (x(), weight, 1e-6))
    torch.library.opcheck(ops.add_rms_norm, (x(), x(), weight, 1e-6))
    rstd = torch.ones(2, device=kernel_device)
    plain = x().detach()
    torch.library.opcheck(
        ops.rms_norm_backward, (plain, weight.detach(), rstd, plain.clone(), plain.clone())
    )
    torch.library.opcheck(ops.layer_norm, (x(), weight, weight, 1e-5))
    backward = (plain, weight.detach(), rstd.clone(), rstd, plain.clone(), True)
    torch.library.opcheck(ops.layer_norm_backward, backward)
