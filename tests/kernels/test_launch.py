"""Launching: where it is refused, and what needs no launch."""

import os
import subprocess
import sys

import torch

from traincost_kernels.ops.relu_squared import forward_launches

WITHOUT_INTERPRETER = """
import torch, traincost_kernels
try:
    traincost_kernels.relu_squared(torch.ones({size}))
except traincost_kernels.errors.NoDeviceError as error:
    print(error)
"""


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
