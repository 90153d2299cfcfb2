"""Prepared data: a folder of raw byte files (shards) and a manifest with their sizes and hashes.

A folder is made once: written beside its place under a temporary name and renamed when whole, so a
killed preparation leaves nothing that looks finished. `prepare` reads every shard against the
manifest (about 1.5 GB/s) and makes the folder anew where it differs: a truncated or overwritten
file is never trained on.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FORMAT = 1
SHARD_BYTES = 16 * 2**20
_MANIFEST = "manifest.json"
_STALE_S = 3600.0  # no preparation takes this long; a temporary folder this old was abandoned


class DataUnavailableError(Exception):
    """This machine lacks what the data needs; the message says what to do."""


@dataclass(frozen=True)
class Shard:
    """One file: its name in the folder, its size and hash."""

    file: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class Shards:
    """A prepared folder."""

    folder: Path
    name: str
    sha256: str  # of all shards' bytes in order
    shards: tuple[Shard, ...]

    @property
    def fingerprint(self) -> str:
        """Name and hash, short enough for a column."""
        return f"{self.name}:{self.sha256[:12]}"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in order."""
        return tuple(self.folder / shard.file for shard in self.shards)


def cache_folder() -> Path:
    """`$TRAINCOST_CACHE`, else `traincost` in the user's cache folder."""
    own = os.environ.get("TRAINCOST_CACHE")
    if own:
        return Path(own)
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "traincost"


def prepare(name: str, make: Callable[[], Iterable[bytes]], cache: Path | None = None) -> Shards:
    """The folder `name` of the cache, made of `make`'s shards where it is missing or damaged."""
    cache = cache or cache_folder()
    folder = cache / name
    found = _intact(folder)
    if found is not None:
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        scratch = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=cache))
    except OSError as e:
        raise DataUnavailableError(
            f"{cache}: {e.strerror}; expected a folder for prepared data: set TRAINCOST_CACHE"
        ) from e
    try:
        written = _write(scratch / name, name, make())
        faster = _intact(folder)  # another process may have made it meanwhile
        if faster is not None:
            return faster
        if folder.exists():
            folder.rename(scratch / "damaged")  # readers keep the files that they have open
        try:
            written.rename(folder)
        except OSError:  # made between the last look and now: as good, if it is whole
            if _intact(folder) is None:
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    made = _intact(folder)
    if made is None:
        raise OSError(f"{folder}: expected the shards just written, found others; check the disk")
    return made


def _write(folder: Path, name: str, shards: Iterable[bytes]) -> Path:
    """All shards, then the manifest that makes the folder count."""
    folder.mkdir()
    whole = hashlib.sha256()
    written: list[Shard] = []
    for i, content in enumerate(shards):
        file = f"{i:05d}.bin"
        (folder / file).write_bytes(content)
        whole.update(content)
        written.append(Shard(file, len(content), hashlib.sha256(content).hexdigest()))
    manifest = {
        "format": FORMAT,
        "name": name,
        "sha256": whole.hexdigest(),
        "shards": [asdict(shard) for shard in written],
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return folder


def _intact(folder: Path) -> Shards | None:
    """The folder's shards if every byte is what the manifest says."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            return None
        shards = tuple(Shard(**shard) for shard in manifest["shards"])
        for shard in shards:
            path = folder / shard.file
            if path.stat().st_size != shard.n_bytes or _sha256(path) != shard.sha256:
                return None
        return Shards(folder, manifest["name"], manifest["sha256"], shards)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None  # no folder, or a manifest that is not ours: made anew


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(cache: Path) -> None:
    """Remove what killed preparations left."""
    for path in cache.glob(".*.tmp"):
        if time.time() - path.stat().st_mtime > _STALE_S:
            shutil.rmtree(path, ignore_errors=True)
