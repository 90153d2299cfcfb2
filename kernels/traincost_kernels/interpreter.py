"""Triton's interpreter beside a numpy that it does not work with: an error that names both.

Triton 3.6 makes Python numbers of arrays with one element, in loops and in scalar loads, which
numpy 2.4 refuses ("only 0-dimensional arrays can be converted to Python scalars"). Triton 3.7 does
not. A package's requirements cannot say "this numpy with that Triton", so the error does.
"""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import triton
from triton.runtime.errors import InterpreterError

from traincost_kernels.errors import InterpreterVersionsError

FIRST_TRITON = (3, 7)  # that works with any numpy
FIRST_NUMPY = (2, 4)  # that an older Triton does not work with


@contextmanager
def naming_versions(op: str) -> Generator[None]:
    """Say of what fails in the interpreter whether the versions are why.

    Raises:
        InterpreterVersionsError: a kernel failed, and Triton and numpy do not go together.
    """
    try:
        yield
    except InterpreterError as error:
        if not go_together(triton.__version__, np.__version__):
            raise InterpreterVersionsError(
                f"{op}: the interpreter of triton {triton.__version__} does not work with numpy "
                f"{np.__version__}, expected numpy below 2.4 or triton from 3.7: pip install "
                "'numpy<2.4'"
            ) from error
        raise


def go_together(triton_version: str, numpy_version: str) -> bool:
    """Whether this Triton's interpreter works with this numpy."""
    return _release(triton_version) >= FIRST_TRITON or _release(numpy_version) < FIRST_NUMPY


def _release(version: str) -> tuple[int, int]:
    """Of "3.6.0+git1a2b" (3, 6)."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
