"""Grids of the suite of data requirements: samples with their remedies, and compute."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from traincost_suites.grids.axes import CPU, FP32, Grid, Platform, Product


def _samples(
    profile: str,
    data: str,
    n_samples: tuple[int, ...],
    remedies: str,
    seeds: tuple[int, ...],
    *on: Platform,
) -> Product:
    """The same compute on so many samples."""
    axes = {
        "data": (data,),
        "dataset_samples": n_samples,
        "remedy": tuple(remedies.split()),
        "seed": seeds,
    }
    return Product(profile, axes, on)


def _compute(
    profile: str,
    data: str,
    n_samples: tuple[int, ...],
    steps: tuple[int, ...],
    seeds: tuple[int, ...],
    *on: Platform,
) -> Product:
    """So many steps on so many samples."""
    axes = {"data": (data,), "dataset_samples": n_samples, "steps": steps, "seed": seeds}
    return Product(profile, axes, on)


_ALL = "none early-stopping augmentation dropout weight-decay"
_DIGITS, _TEXT = (64, 128, 256, 512, 1024, 1600), (32, 128, 512, 2048)
_THREE = (0, 1, 2)

DATA_NEEDS: Mapping[str, Grid] = MappingProxyType(
    {
        "data_samples": (
            _samples("quick", "digits", (64, 1024), _ALL, (0,), CPU, FP32),
            _samples("quick", "digits", (256,), "none", (0,), CPU, FP32),
            _samples("standard", "digits", _DIGITS, _ALL, _THREE, CPU),
            _samples("standard", "text", _TEXT, _ALL, (0,), CPU, FP32),
            _samples("full", "digits", _DIGITS, _ALL, (0, 1, 2, 3, 4), CPU, FP32),
            _samples("full", "text", (*_TEXT, 8192), _ALL, _THREE, CPU, FP32),
        ),
        "data_compute": (
            _compute("quick", "digits", (64, 1024), (50, 400), (0,), CPU, FP32),
            _compute("standard", "digits", (64, 256, 1024), (50, 100, 200, 400, 800), _THREE, CPU),
            _compute("standard", "text", (32, 2048), (50, 200, 800), (0,), CPU, FP32),
            _compute("full", "text", (32, 512, 8192), (50, 200, 800, 3200), _THREE, CPU, FP32),
        ),
    }
)
