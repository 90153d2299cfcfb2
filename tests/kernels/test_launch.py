"""Launching: where it is refused, and what needs no launch."""

import os
import subprocess
import sys

import pytest
import torch
import triton
from triton.runtime.errors import InterpreterError

from traincost_kernels import relu_squared
from traincost_kernels.errors import InterpreterVersionsError
from traincost_kernels.interpreter import naming_versions
from traincost_kernels.ops.relu_squared import forward_launches
from traincost_kernels.pointwise import pointwise_kernel

WITHOUT_INTERPRETER = """
import torch, traincost_kernels
try:
    traincost_kernels.relu_squared(torch.ones({size}))
except traincost_kernels.errors.NoDeviceError as error:
    print(error)
"""


@pytest.mark.thorough
def test_the_cpu_is_refused_outside_the_interpreter_even_for_nothing() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    for size in (0, 3):
        ran = subprocess.run(
            [sys.executable, "-c", WITHOUT_INTERPRETER.format(size=size)],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert ran.stdout.startswith("relu_squared: Triton needs a CUDA device")
        assert "TRITON_INTERPRET=1" in ran.stdout


def test_launchers_take_meta_tensors() -> None:
    x = torch.empty(3, 1000, dtype=torch.bfloat16, device="meta")
    (launch,) = forward_launches(x, torch.empty_like(x))
    assert launch.grid == (2,)
    assert (launch.bytes_read, launch.bytes_written) == (6000, 6000)


def test_an_empty_tensor_launches_nothing(
    kernel_device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU refuses a grid of 0 programs; the interpreter would not notice."""
    launched: list[object] = []

    def note(*_arguments: object, grid: object, **_options: object) -> None:
        launched.append(grid)

    monkeypatch.setattr(type(pointwise_kernel), "run", note)
    for size in (0, 3):
        relu_squared(torch.ones(size, device=kernel_device))
    assert launched == [(1,)]


@pytest.mark.parametrize(
    ("of_triton", "of_numpy", "named"),
    [("3.6.0", "2.4.6", True), ("3.6.0", "2.3.9", False), ("3.7.1+git1", "2.4.6", False)],
)
def test_an_interpreter_and_a_numpy_that_do_not_go_together_are_named(
    of_triton: str, of_numpy: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton, "__version__", of_triton)
    monkeypatch.setattr("numpy.__version__", of_numpy)
    expected = InterpreterVersionsError if named else InterpreterError
    message = r"softmax: .* triton 3\.6\.0 .* numpy 2\.4\.6, .* 'numpy<2\.4'" if named else "why"
    with pytest.raises(expected, match=message), naming_versions("softmax"):
        raise InterpreterError("why")
