"""A CUDA case before its test body runs, on a fake, and a whole one where a GPU is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_cuda import FakeTorch
from project import run_pytest, write_project

from traincost.collecting import CASE, Plan
from traincost.data.case import case_from_test
from traincost.instruments.clock import Clock
from traincost.machine.device import CudaDevice
from traincost.running import CostSession
from traincost.session import Devices, Run


def ignore(*_: object, **__: object) -> None:
    """An item that takes markers."""


@pytest.mark.parametrize(("dtype", "tf32"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_tf32_is_on_in_tf32_cases_and_off_in_all_others(
    tmp_path: Path, dtype: str, tf32: bool
) -> None:
    fake = FakeTorch()
    device = CudaDevice(1, fake)
    devices = Devices({"cuda": "cuda:1"}, None)
    run = Run(tmp_path, tmp_path, devices, opened={"cuda": device})
    session = CostSession(run, Plan((), (), (), 0), {}, None, 0.0)
    case = case_from_test("test_a", "test_b", {"device": "cuda", "dtype": dtype})
    item: Any = SimpleNamespace(stash={CASE: case}, get_closest_marker={}.get, add_marker=ignore)
    assert session.clock_for(item) == Clock(device)
    expected = "high" if tf32 else "highest"
    assert ("set_float32_matmul_precision", expected) in fake.calls
    assert fake.backends.cudnn.allow_tf32 is tf32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_training_step_on_a_gpu_fills_the_columns_that_only_a_gpu_can(tmp_path: Path) -> None:
    suite = """
        def test_step(train_cost, device):
            model = torch.nn.Linear(512, 512).to(device)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            x = torch.randn(64, 512, device=device)
            def step():
                optimizer.zero_grad()
                loss = model(x).square().mean()
                loss.backward()
                optimizer.step()
                return loss.detach()
            train_cost(step, samples=64, model=model, optimizer=optimizer)
    """
    (record,) = run_pytest(write_project(tmp_path, {"test_a.py": suite})).records
    assert record.status == "ok"
    assert record.flops == 2 * 2 * 64 * 512 * 512  # no gradient of the input
    assert record.iterations == 1
    assert record.launches is not None
    assert record.launches > 5
    assert record.reserved_peak_bytes is not None
    assert record.live_before_bytes is not None
    assert record.live_before_bytes >= 4 * (2 * (512 * 512 + 512) + 64 * 512)
    assert record.gpu == torch.cuda.get_device_name(0)
    assert record.gpu_uuid is not None
