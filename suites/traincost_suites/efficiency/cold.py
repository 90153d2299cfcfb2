"""A compiler that has compiled nothing before: the first step's time is then what it takes.

torch keeps compiled code in memory and on disk; a second run of a suite would find it there.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch


@contextmanager
def cold_compiler() -> Generator[None, None, None]:
    """Empty caches within, in a folder of its own, and what was compiled forgotten after."""
    from torch._inductor.utils import fresh_cache

    torch.compiler.reset()
    try:
        with fresh_cache():
            yield
    finally:
        torch.compiler.reset()
