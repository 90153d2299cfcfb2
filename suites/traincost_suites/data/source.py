"""Which data a model trains on: real data as far as it reaches, synthetic beyond."""

from __future__ import annotations

import math

from traincost_suites.data.corpus import corpus
from traincost_suites.data.dataset import (
    HELD_OUT_EVERY,
    RecordDataset,
    ShardDataset,
    TokenDataset,
    training_index,
)
from traincost_suites.data.digits import SCALE, SHAPE, digits
from traincost_suites.data.shards import Shards
from traincost_suites.data.synthetic import synthetic

VOCABULARY = {"bytes": 256, "byte-pairs": 50_304}
IMAGE_SHAPE = (3, 32, 32)
KINDS = (*VOCABULARY, "digits", "images")


def dataset(
    kind: str, n_samples: int, *, seq_len: int = 128, held_out: bool = False
) -> ShardDataset:
    """The first `n_samples` of the kind, of real data if it has so many.

    Raises:
        ValueError: an unknown kind.
        DataUnavailableError: this machine lacks the data.
    """
    if kind not in KINDS:
        raise ValueError(f"data {kind!r}: expected one of {', '.join(KINDS)}")
    found = None if kind == "images" else _real(kind, seq_len, held_out)
    if found is None or len(found) < n_samples:
        found = _synthetic(kind, n_samples, seq_len, held_out)
    found.limit(n_samples)
    return found


def _real(kind: str, seq_len: int, held_out: bool) -> ShardDataset:
    if kind == "digits":
        return RecordDataset(digits(), SHAPE, scale=SCALE, held_out=held_out)
    return TokenDataset(corpus(), seq_len, vocabulary=VOCABULARY[kind], held_out=held_out)


def _synthetic(kind: str, n_samples: int, seq_len: int, held_out: bool) -> ShardDataset:
    n_all = HELD_OUT_EVERY * n_samples if held_out else training_index(n_samples) + 1
    if kind in VOCABULARY:
        vocabulary = VOCABULARY[kind]
        window = (seq_len + 1) * (1 if vocabulary <= 256 else 2)
        # Whole windows a shard, and one window to spare for the target after the last sequence.
        drawn = _rounded_up(n_all * window, window)
        return TokenDataset(drawn, seq_len, vocabulary=vocabulary, held_out=held_out)
    shape = SHAPE if kind == "digits" else IMAGE_SHAPE
    size = math.prod(shape) + 1
    return RecordDataset(_rounded_up(n_all * size, size), shape, scale=255, held_out=held_out)


def _rounded_up(n_bytes: int, record_bytes: int) -> Shards:
    """The next power of two at or above: nearby volumes share one folder of the cache."""
    return synthetic(1 << (n_bytes - 1).bit_length(), record_bytes)
