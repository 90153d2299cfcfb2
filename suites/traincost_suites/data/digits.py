"""Digits: 1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries in its package.

A record is 64 bytes of pixels (0 to 16) and one of class. They are the test part of E. Alpaydin
and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from traincost_suites.data.shards import DataUnavailableError, Shards, cache_folder, prepare

SHAPE = (1, 8, 8)
SCALE = 16
"""The brightest pixel's value."""


def digits() -> Shards:
    """The prepared digits.

    Raises:
        DataUnavailableError: scikit-learn is missing and they were never prepared.
    """
    return _digits(cache_folder())


@cache
def _digits(cache: Path) -> Shards:
    return prepare("digits-1", _shards, cache)


def _shards() -> Iterator[bytes]:
    try:
        sklearn_datasets = importlib.import_module("sklearn.datasets")  # it has no types
    except ImportError as missing:
        raise DataUnavailableError(
            "digits need scikit-learn: pip install scikit-learn"
        ) from missing
    loaded = sklearn_datasets.load_digits()
    pixels = np.asarray(loaded.data, dtype=np.uint8)  # (1797, 64)
    classes = np.asarray(loaded.target, dtype=np.uint8)  # (1797,)
    yield np.concatenate([pixels, classes[:, None]], axis=1).tobytes()
