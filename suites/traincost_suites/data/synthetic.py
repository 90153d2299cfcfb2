"""Synthetic bytes for volumes and shapes that real data does not reach: uniform, seeded, cheap.

Shard i is drawn from its own generator, seeded with (seed, i): one shard is in memory at a time,
and a larger volume begins with the bytes of a smaller one. Good for cost; a loss on it means
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from traincost_suites.data.shards import SHARD_BYTES, Shards, cache_folder, prepare


def synthetic(n_bytes: int, record_bytes: int = 1, seed: int = 0) -> Shards:
    """At least `n_bytes` uniform bytes, in shards of whole records of `record_bytes`."""
    return _synthetic(n_bytes, record_bytes, seed, cache_folder())


@cache
def _synthetic(n_bytes: int, record_bytes: int, seed: int, cache: Path) -> Shards:
    name = f"synthetic-{seed}-{record_bytes}-{n_bytes}"
    return prepare(name, lambda: _shards(n_bytes, record_bytes, seed), cache)


def _shards(n_bytes: int, record_bytes: int, seed: int) -> Iterator[bytes]:
    full = SHARD_BYTES // record_bytes * record_bytes
    whole = -(-n_bytes // record_bytes) * record_bytes
    for i, start in enumerate(range(0, whole, full)):
        yield np.random.default_rng([seed, i]).bytes(min(full, whole - start))
