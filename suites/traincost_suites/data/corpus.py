"""The corpus: the bytes of the Python standard library's own sources, about 30 MB on every machine.

Real text with real structure that nobody has to download. Files in the order of their relative
paths; left out are installed packages and the few files that are written for one machine, so the
same release of Python gives the same hash. A distribution that packs the tests apart has less.
"""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from traincost_suites.data.shards import (
    SHARD_BYTES,
    DataUnavailableError,
    Shards,
    cache_folder,
    prepare,
)

_OTHERS = frozenset({"site-packages", "dist-packages", "__pycache__"})
_MACHINE_OWN = ("_sysconfigdata", "config-", "sitecustomize")


def source_files(root: Path) -> list[Path]:
    """The `*.py` files below `root` that belong to the corpus, sorted by relative path."""
    kept: list[tuple[str, Path]] = []
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).parts
        own = any(part.startswith(_MACHINE_OWN) for part in parts)
        if not own and _OTHERS.isdisjoint(parts) and path.is_file():
            kept.append(("/".join(parts), path))
    return [path for _, path in sorted(kept)]


def corpus(root: Path | None = None) -> Shards:
    """The prepared corpus of this Python's library, or of the sources below `root`.

    Raises:
        DataUnavailableError: there are no sources (a Python that ships only compiled files).
    """
    return _corpus(root or Path(sysconfig.get_paths()["stdlib"]), cache_folder())


@cache  # verifying reads every shard: once a process is enough
def _corpus(root: Path, cache: Path) -> Shards:
    files = source_files(root)
    if not files:
        raise DataUnavailableError(
            f"corpus: expected *.py files below {root}, found none; install Python's sources"
        )
    # Two installations of one release may differ (tests packed apart): names and sizes tell.
    listing = "\n".join(f"{p.relative_to(root).as_posix()} {p.stat().st_size}" for p in files)
    key = hashlib.sha256(listing.encode()).hexdigest()[:8]
    name = f"corpus-{platform.python_version()}-{key}"
    return prepare(name, lambda: _shards(files), cache)


def _shards(files: list[Path]) -> Iterator[bytes]:
    """The files' bytes, one after the other, cut into shards."""
    held = bytearray()
    for path in files:
        held += path.read_bytes()
        while len(held) >= SHARD_BYTES:
            yield bytes(held[:SHARD_BYTES])
            del held[:SHARD_BYTES]
    if held:
        yield bytes(held)
