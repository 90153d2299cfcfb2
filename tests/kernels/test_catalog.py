"""What holds of every op in the catalog."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry

from traincost_kernels.agreement import DTYPES, assert_agrees
from traincost_kernels.catalog import CATALOG
from traincost_kernels.entry import KernelEntry, Outputs

SHAPES = ((0, 8), (1, 1), (2, 7), (3, 127), (5, 128), (2, 129), (2, 1031))
each_entry = pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)


def summed(outputs: Outputs) -> Tensor:
    """One number that depends on every output that has a gradient."""
    tensors = (outputs,) if isinstance(outputs, Tensor) else outputs
    return torch.stack([y.double().sum() for y in tensors if y.requires_grad]).sum()


def leaves(entry: KernelEntry, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs, with gradients asked for where the op has them."""
    return {
        name: value.clone().requires_grad_(name in entry.differentiable)
        for name, value in inputs.items()
    }


@pytest.mark.thorough
@each_entry
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_outputs_and_gradients_agree_with_fp64(
    entry: KernelEntry, shape: tuple[int, int], dtype: torch.dtype, kernel_device: str
) -> None:
    inputs = entry.inputs(*shape, dtype, kernel_device)
    stores = 2 if entry.name == "fused_mlp" else 1
    assert_agrees(entry.fused, entry.right, inputs, entry.differentiable, stores=stores)


@each_entry
def test_the_fixed_baselines_compute_the_same(entry: KernelEntry, kernel_device: str) -> None:
    inputs = entry.inputs(3, 33, torch.float32, kernel_device)
    for baseline in (entry.composed, entry.aten_fused):
        if baseline is not None and not (
            baseline is entry.aten_fused and kernel_device == "cpu" and entry.aten_fused_needs_cuda
        ):
            assert_agrees(baseline, entry.right, inputs, entry.differentiable)


@pytest.mark.thorough
@each_entry
def test_gradients_are_the_slopes_of_the_function(entry: KernelEntry, kernel_device: str) -> None:
    inputs = leaves(entry, entry.inputs(2, 5, torch.float64, kernel_device))

    def function(*values: Tensor) -> Outputs:
        return entry.fused(**dict(zip(inputs, values, strict=True)))

    assert torch.autograd.gradcheck(function, tuple(inputs.values()))


@each_entry
def test_gradients_of_a_sum_and_of_a_transposed_result_are_right(
    entry: KernelEntry, kernel_device: str
) -> None:
    """The first hands the backward an expanded gradient, the second a transposed one."""
    inputs = entry.inputs(6, 10, torch.float64, kernel_device)
    with torch.no_grad():
        outputs = entry.right(**inputs)
    tensors = (outputs,) if isinstance(outputs, Tensor) else outputs
    expanded = {number: y.new_ones(()).expand(y.shape) for number, y in enumerate(tensors)}
    assert_agrees(entry.fused, entry.right, inputs, entry.differentiable, expanded)
    strided = {
        number: torch.linspace(-1, 1, y.numel(), dtype=y.dtype, device=y.device)
        .reshape(y.shape[::-1])
        .permute(tuple(range(y.dim()))[::-1])
        for number, y in enumerate(tensors)
    }
    assert_agrees(entry.fused, entry.right, inputs, entry.differentiable, strided)


@each_entry
def test_strided_inputs_are_read_right(entry: KernelEntry, kernel_device: str) -> None:
    plain = entry.inputs(4, 6, torch.float32, kernel_device)
    strided = {
        name: torch.stack([value, value], dim=-1)[..., 0] if value.dim() else value
        for name, value in plain.items()
    }
    assert_agrees(entry.fused, entry.right, strided, entry.differentiable)


@each_entry
def test_inputs_are_not_overwritten(entry: KernelEntry, kernel_device: str) -> None:
    inputs = leaves(entry, entry.inputs(3, 9, torch.float32, kernel_device))
    before = {name: value.detach().clone() for name, value in inputs.items()}
    torch.autograd.backward(summed(entry.fused(**inputs)))
    for name, value in inputs.items():
        assert torch.equal(value.detach(), before[name]), name


@each_entry
def test_two_identical_runs_give_bitwise_identical_gradients(
    entry: KernelEntry, kernel_device: str
) -> None:
    def gradients() -> list[Tensor]:
        inputs = leaves(entry, entry.inputs(5, 130, torch.float32, kernel_device))
        wanted = [inputs[name] for name in entry.differentiable]
        return list(torch.autograd.grad(summed(entry.fused(**inputs)), wanted))

    assert all(torch.equal(a, b) for a, b in zip(gradients(), gradients(), strict=True))


@each_entry
def test_compilation_keeps_one_whole_graph(entry: KernelEntry, kernel_device: str) -> None:
    plain = leaves(entry, entry.inputs(3, 9, torch.float32, kernel_device))
    traced = leaves(entry, entry.inputs(3, 9, torch.float32, kernel_device))
    torch.autograd.backward(summed(entry.fused(**plain)))
    compiled = torch.compile(entry.fused, fullgraph=True, backend="aot_eager")
    torch.autograd.backward(summed(compiled(**traced)))
    for name in entry.differentiable:
        torch.testing.assert_close(traced[name].grad, plain[name].grad, rtol=0, atol=0)


@each_entry
def test_launches_declare_the_least_bytes(entry: KernelEntry) -> None:
    """Up to what grows with the rows or the columns alone, small for a matrix this large."""
    n_rows, n_cols = 2**18, 4096
    dtype = torch.bfloat16
    launches = entry.launches(entry.inputs(n_rows, n_cols, dtype, "meta"))
    least = {
        "forward": entry.bytes_per_element_forward(dtype, n_cols),
        "backward": entry.bytes_per_element_backward(dtype, n_cols),
    }
    for phase, steps in launches.items():
        moved = sum(launch.bytes_read + launch.bytes_written for launch in steps)
        assert moved / (n_rows * n_cols) == pytest.approx(least[phase], rel=0.02), phase


def test_no_op_is_taken_for_free_of_flops_by_mistake() -> None:
    names = [n for n in torch._C._dispatch_get_all_op_names() if n.startswith("traincost::")]
    packets = {getattr(torch.ops.traincost, name.partition("::")[2]) for name in names}
    assert len(packets) >= len(CATALOG)
    assert packets - set(flop_registry) == set()
