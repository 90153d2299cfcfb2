"""Digits: 1,797 handwritten digits of 8 x 8 pixels, shipped beside this file.

A record is 64 bytes of pixels (0 to 16) and one of class. They are the test part of E. Alpaydin
and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
licensed CC BY 4.0, in scikit-learn's order and values (`sklearn.datasets.load_digits`); 46 kB here
spare every machine scikit-learn and scipy.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from traincost_suites.data.shards import Shards, cache_folder, prepare

SHAPE = (1, 8, 8)
SCALE = 16
"""The brightest pixel's value."""


def digits() -> Shards:
    """The prepared digits."""
    return _digits(cache_folder())


@cache
def _digits(cache: Path) -> Shards:
    return prepare("digits-1", _shards, cache)


def _shards() -> Iterator[bytes]:
    packed = files("traincost_suites.data").joinpath("digits.bin.gz").read_bytes()
    yield gzip.decompress(packed)
