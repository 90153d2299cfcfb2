"""The second stage of gradients of biases and weights."""

import pytest
import torch

from traincost_kernels.column_sums import column_sums_launch
from traincost_kernels.launch import run


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (63, 31), (64, 32), (65, 33), (200, 1)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_columns_are_summed_over_all_rows(
    shape: tuple[int, int], dtype: torch.dtype, kernel_device: str
) -> None:
    x = torch.linspace(-1, 2, shape[0] * shape[1], dtype=dtype, device=kernel_device).reshape(shape)
    sums = torch.full((shape[1],), float("nan"), dtype=dtype, device=kernel_device)
    run("sum", [column_sums_launch(x, sums)])
    torch.testing.assert_close(sums, x.double().sum(0).to(dtype))
