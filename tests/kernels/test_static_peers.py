"""A peer's launches are taken from its own code; here the peer is a stand-in with Liger's names."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from traincost_kernels.liger import INSTALL
from traincost_kernels.static.cost import StaticCost
from traincost_kernels.static.pool import WorkerUnavailableError
from traincost_kernels.static.run import StaticRun
from traincost_kernels.static.subject import Subject

OP = """
    import torch, triton
    import triton.language as tl

    @triton.jit
    def peer_kernel(x_ptr, y_ptr, partial_ptr, n_rows, n_cols, eps, BLOCK: tl.constexpr):
        cols = tl.arange(0, BLOCK)
        total = tl.zeros((BLOCK,), tl.float32)
        for row in range(tl.program_id(0), n_rows, tl.num_programs(0)):
            x = tl.load(x_ptr + row * n_cols + cols, mask=cols < n_cols, other=0.0)
            total += x.to(tl.float32) * eps.to(tl.float32)
            tl.store(y_ptr + row * n_cols + cols, x, mask=cols < n_cols)
        tl.store(partial_ptr + tl.program_id(0) * n_cols + cols, total, mask=cols < n_cols)

    class LigerReLUSquaredFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            if x.shape[1] > 8192:
                raise RuntimeError("rows are too long")
            assert (x == x).all().item() and x.sum().item() is not None
            ctx.save_for_backward(x)
            on_card = x.device.type == "cuda"
            n = torch.cuda.get_device_properties(x.device).multi_processor_count if on_card else 1
            y, partial = torch.empty_like(x), x.new_empty((n, x.shape[1]), dtype=torch.float32)
            warps = 8 if on_card and torch.cuda.get_device_capability()[0] == 9 else 4
            peer_kernel[(n,)](x, y, partial, *x.shape, 1e-6,
                              BLOCK=triton.next_power_of_2(x.shape[1]), num_warps=warps)
            return y

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return dy * x
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "__init__": "",
        "utils": "",
        "ops/__init__": "",
        "ops/relu_squared": OP,
    }.items():
        file = tmp_path / "liger_kernel" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path))


def subject(n_cols: int = 4096) -> Subject:
    return Subject("relu_squared", "bf16", n_cols, impl="liger")


def forward(run: StaticRun, arch: str, n_cols: int = 4096) -> StaticCost:
    return run.cost(subject(n_cols), "forward", arch)


@pytest.mark.thorough
@pytest.mark.usefixtures("stand_in")
def test_a_peers_kernels_are_compiled_as_it_would_launch_them_on_each_card() -> None:
    targets = ("sm_80", "sm_90")
    with StaticRun([(subject(), arch) for arch in targets], workers=1) as run:
        costs = {arch: forward(run, arch) for arch in targets}
        assert [b.name for b in costs["sm_90"].binaries] == ["peer_kernel"]
        assert {arch: c.binaries[0].num_warps for arch, c in costs.items()} == {
            "sm_80": 4,
            "sm_90": 8,
        }
        assert costs["sm_90"].loads.main_bytes == 16
        with pytest.raises(WorkerUnavailableError, match="liger launches no Triton kernel"):
            run.cost(subject(), "backward", "sm_90")


@pytest.mark.thorough
@pytest.mark.usefixtures("stand_in")
def test_a_peers_bytes_are_counted_with_the_partial_sums_of_a_whole_card() -> None:
    with StaticRun([(subject(), "sm_90")], workers=1) as run:
        moved = forward(run, "sm_90").moved
    assert moved is not None
    assert moved.bytes_per_element == pytest.approx(4 + 132 * 4 / 4096, rel=1e-12)


@pytest.mark.thorough
@pytest.mark.usefixtures("stand_in")
def test_a_peer_that_refuses_the_inputs_is_unavailable_with_its_reason() -> None:
    with (
        StaticRun([(subject(65_536), "sm_90")], workers=1) as run,
        pytest.raises(WorkerUnavailableError, match="RuntimeError: rows are too long"),
    ):
        forward(run, "sm_90", 65_536)


@pytest.mark.thorough
def test_a_peer_that_is_not_installed_is_unavailable_and_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['liger_kernel'] = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with (
        StaticRun([(subject(), "sm_90")], workers=1) as run,
        pytest.raises(WorkerUnavailableError) as missing,
    ):
        forward(run, "sm_90")
    assert INSTALL in str(missing.value)
