"""Samples out of shards: torch datasets over memory-mapped files.

A shard is opened when a sample of it is first read, once in each process: a loader's worker holds
maps of its own, and nothing is opened by a dataset that nobody reads. Every tenth sample is held
out.
"""

from __future__ import annotations

import bisect
import math
import os
from abc import ABC, abstractmethod
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from traincost_suites.data.shards import Shards

HELD_OUT_EVERY = 10

Bytes = NDArray[np.uint8]


def training_index(i: int) -> int:
    """The i-th sample that is not held out: 0 to 8, 10 to 18 and so on."""
    return i + i // (HELD_OUT_EVERY - 1)


def held_out_index(i: int) -> int:
    """The i-th sample held out: 9, 19 and so on."""
    return i * HELD_OUT_EVERY + HELD_OUT_EVERY - 1


class ShardDataset(Dataset[tuple[Tensor, Tensor]], ABC):
    """Samples of `window` bytes, one every `stride` bytes; none crosses the end of a shard."""

    def __init__(self, shards: Shards, *, stride: int, window: int, held_out: bool) -> None:
        self.shards = shards
        self.held_out = held_out
        self._stride = stride
        self._window = window
        counts = (max(0, (s.n_bytes - window) // stride + 1) for s in shards.shards)
        self._ends = list(accumulate(counts))  # samples up to and including each shard
        n_all = self._ends[-1] if self._ends else 0
        n_held_out = n_all // HELD_OUT_EVERY
        self._n_samples = n_held_out if held_out else n_all - n_held_out
        self._maps: dict[int, Bytes] = {}
        self._pid = os.getpid()

    def __len__(self) -> int:
        return self._n_samples

    def limit(self, n_samples: int) -> None:
        """Keep the first `n_samples`.

        Raises:
            ValueError: there are not so many.
        """
        if not 0 < n_samples <= self._n_samples:
            raise ValueError(f"n_samples {n_samples}: expected 1 to {self._n_samples}")
        self._n_samples = n_samples

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        if not 0 <= i < self._n_samples:
            raise IndexError(f"sample {i}: expected 0 to {self._n_samples - 1}")
        index = held_out_index(i) if self.held_out else training_index(i)
        shard = bisect.bisect_right(self._ends, index)
        first = self._ends[shard - 1] if shard else 0
        start = (index - first) * self._stride
        return self.decode(self._map(shard)[start : start + self._window])

    @abstractmethod
    def decode(self, window: Bytes) -> tuple[Tensor, Tensor]:
        """Input and target, copied out of the map."""

    def close(self) -> None:
        """Drop this process's maps; a mapped page cannot leave the page cache."""
        self._maps = {}

    def _map(self, shard: int) -> Bytes:
        if self._pid != os.getpid():  # inherited by a fork
            self._maps, self._pid = {}, os.getpid()
        found = self._maps.get(shard)
        if found is None:
            found = np.memmap(self.shards.paths[shard], dtype=np.uint8, mode="r")
            self._maps[shard] = found
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}


class TokenDataset(ShardDataset):
    """Sequences of tokens and the same shifted by one; neighbours share no target.

    A token is a byte, or two bytes together, modulo the vocabulary: all of ASCII text stays below
    32,768, so in 50,304 a pair of ASCII bytes keeps an id of its own.
    """

    def __init__(
        self,
        shards: Shards,
        seq_len: int,
        *,
        vocabulary: int = 256,
        held_out: bool = False,
    ) -> None:
        self._vocabulary = vocabulary
        self._token_bytes = 1 if vocabulary <= 256 else 2
        size = self._token_bytes
        super().__init__(
            shards, stride=seq_len * size, window=(seq_len + 1) * size, held_out=held_out
        )

    def decode(self, window: Bytes) -> tuple[Tensor, Tensor]:
        """Two int64 tensors of shape (seq_len,)."""
        tokens = window.astype(np.int64)
        if self._token_bytes == 2:
            tokens = (tokens[0::2] * 256 + tokens[1::2]) % self._vocabulary
        tensor = torch.from_numpy(tokens)
        return tensor[:-1], tensor[1:]


class RecordDataset(ShardDataset):
    """Records of pixels and a last byte of class: an image scaled to 0..1, and its class."""

    def __init__(
        self,
        shards: Shards,
        shape: tuple[int, int, int],
        *,
        scale: int,
        n_classes: int = 10,
        held_out: bool = False,
    ) -> None:
        self._shape = shape
        self._scale = scale
        self._n_classes = n_classes
        size = math.prod(shape) + 1
        super().__init__(shards, stride=size, window=size, held_out=held_out)

    def decode(self, window: Bytes) -> tuple[Tensor, Tensor]:
        """A float32 tensor of the shape, and a scalar int64."""
        pixels = window[:-1].astype(np.float32) / self._scale
        target = int(window[-1]) % self._n_classes
        return torch.from_numpy(pixels.reshape(self._shape)), torch.tensor(target)
