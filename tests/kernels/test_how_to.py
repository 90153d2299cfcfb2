"""The op that `docs/how-to/add-a-kernel.md` adds is a right one, with no word of it changed."""

import importlib
import re
from pathlib import Path

import pytest
import torch

import traincost_kernels.entries
import traincost_kernels.ops
from traincost_kernels.agreement import assert_agrees
from traincost_kernels.entry import KernelEntry

PAGE = Path(__file__).parents[2] / "docs/how-to/add-a-kernel.md"


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> KernelEntry:
    """What the page says to write, imported from where it says to put it."""
    op, catalog_entry = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    for package, code in ((traincost_kernels.ops, op), (traincost_kernels.entries, catalog_entry)):
        folder = tmp_path_factory.mktemp("package")
        (folder / "snake.py").write_text(code)
        package.__path__.append(str(folder))
    found: KernelEntry = importlib.import_module("traincost_kernels.entries.snake").ENTRY
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_its_outputs_and_gradients_agree_with_fp64(
    entry: KernelEntry, dtype: torch.dtype, kernel_device: str
) -> None:
    assert_agrees(
        entry.fused, entry.right, entry.inputs(3, 700, dtype, kernel_device), entry.differentiable
    )


def test_its_gradient_is_its_slope(entry: KernelEntry, kernel_device: str) -> None:
    x = entry.inputs(2, 5, torch.float64, kernel_device)["x"].requires_grad_()
    assert torch.autograd.gradcheck(entry.fused, (x,))
    torch.library.opcheck(torch.ops.traincost.snake, (x,))


def test_its_launches_declare_the_least_bytes(entry: KernelEntry) -> None:
    inputs = entry.inputs(8, 512, torch.bfloat16, "meta")
    for phase, least in (
        ("forward", entry.bytes_per_element_forward),
        ("backward", entry.bytes_per_element_backward),
    ):
        moved = sum(
            launch.bytes_read + launch.bytes_written for launch in entry.launches(inputs)[phase]
        )
        assert moved / (8 * 512) == least(torch.bfloat16, 512)
