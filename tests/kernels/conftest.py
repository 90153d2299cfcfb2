"""Runs the kernels' tests on a GPU where there is one, else in Triton's interpreter.

Triton decides at import whether a kernel is compiled or interpreted, so the variable is set here,
before the first test file imports it.
"""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture
def kernel_device() -> str:
    """Where the kernels run: "cuda" where there is one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"
