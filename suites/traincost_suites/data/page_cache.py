"""Files out of the kernel's page cache, and the proof that they went.

`posix_fadvise(DONTNEED)` is advice: pages that are dirty, or mapped by anyone, stay, and some file
systems (tmpfs, some network ones) keep all. So `drop` asks `mincore` afterwards how much is left.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from traincost_suites.data.shards import DataUnavailableError


def resident_bytes(path: Path) -> int:
    """Bytes of the file that the page cache holds, by `mincore` on a mapping that is never read.

    Raises:
        OSError: the kernel does not say.
    """
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    pages = (ctypes.c_ubyte * -(-mapped.nbytes // mmap.PAGESIZE))()
    libc = ctypes.CDLL(None, use_errno=True)
    address, length = ctypes.c_void_p(mapped.ctypes.data), ctypes.c_size_t(mapped.nbytes)
    if libc.mincore(address, length, pages) != 0:
        raise OSError(ctypes.get_errno(), "mincore", str(path))
    return sum(page & 1 for page in pages) * mmap.PAGESIZE


def drop(paths: Sequence[Path]) -> None:
    """Take the files out of the page cache.

    Raises:
        DataUnavailableError: pages stayed, so a read would not be cold.
    """
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # a dirty page stays
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    left = sum(resident_bytes(path) for path in paths)
    if left:
        raise DataUnavailableError(
            f"cold cache: {left} bytes of {paths[0].parent.name} stayed in the page cache (mapped "
            "elsewhere, or kept by the file system); set TRAINCOST_CACHE to a folder on a disk"
        )
