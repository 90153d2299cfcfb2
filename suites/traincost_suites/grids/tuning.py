"""Grids of the suite that searches for a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from traincost_suites.grids.axes import CPU, FP32, Grid, Platform, Product

_METHODS = ("grid", "random", "tpe", "hyperband", "asha")


def _searches(profile: str, seeds: int, *on: Platform) -> Product:
    """Every method from so many seeds."""
    return Product(profile, {"method": _METHODS, "seed": tuple(range(seeds))}, on)


TUNING: Mapping[str, Grid] = MappingProxyType(
    {
        "tuning": (
            _searches("quick", 1, CPU, FP32),
            _searches("standard", 10, CPU),
            _searches("full", 10, FP32),
        )
    }
)
