"""Grids of the suite of gradients: depth and time, each with its remedies."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from traincost_suites.grids.axes import CPU, FP32, Grid, Platform, Product

_ACTIVATIONS = "sigmoid tanh relu leaky-relu gelu silu swiglu"
_REMEDIES = "none xavier he batch-norm layer-norm rms-norm residual clipping"


def _depths(
    profile: str,
    activations: str,
    depths: tuple[int, ...],
    remedies: str,
    seeds: tuple[int, ...],
    *on: Platform,
) -> Product:
    """Deep nets."""
    axes = {
        "activation": tuple(activations.split()),
        "depth": depths,
        "remedy": tuple(remedies.split()),
        "seed": seeds,
    }
    return Product(profile, axes, on)


def _lengths(
    profile: str,
    cells: str,
    lengths: tuple[int, ...],
    remedies: str,
    rate: str,
    seeds: tuple[int, ...],
    *on: Platform,
) -> Product:
    """Recurrent nets."""
    axes = {
        "cell": tuple(cells.split()),
        "seq_len": lengths,
        "remedy": tuple(remedies.split()),
        "rate": (rate,),
        "seed": seeds,
    }
    return Product(profile, axes, on)


_CELLS, _CUTS = "rnn irnn gru lstm", "none clipping truncation clipped-truncation"
_LONG = (64, 128, 256, 512, 1024)  # than the window of truncation
_THREE = (0, 1, 2)

GRADIENTS: Mapping[str, Grid] = MappingProxyType(
    {
        "gradient_depth": (
            _depths("quick", "sigmoid", (4,), "none", (0,), CPU, FP32),
            _depths("quick", "sigmoid", (32,), "none batch-norm residual", (0,), CPU, FP32),
            _depths("quick", "relu", (32,), "none he", (0,), CPU, FP32),
            _depths("standard", _ACTIVATIONS, (32,), _REMEDIES, _THREE, CPU),
            _depths("standard", _ACTIVATIONS, (4,), _REMEDIES, (0,), CPU),
            _depths(
                "standard", "sigmoid relu", (2, 8, 16, 64), "none he batch-norm residual", (0,), CPU
            ),
            _depths("standard", "sigmoid tanh relu gelu", (4, 32), _REMEDIES, (0,), FP32),
            _depths("full", _ACTIVATIONS, (2, 4, 8, 16, 32, 64), _REMEDIES, _THREE, CPU, FP32),
        ),
        "gradient_time": (
            _lengths("quick", "irnn", (16, 256), "none clipping", "0.1", (0,), CPU, FP32),
            _lengths(
                "quick", "rnn lstm", (64,), "none clipping truncation", "0.1", (0,), CPU, FP32
            ),
            _lengths("standard", _CELLS, (16, 32), "none clipping", "0.1", (0,), CPU),
            _lengths("standard", _CELLS, _LONG, _CUTS, "0.1", (0,), CPU),
            _lengths("standard", "irnn", (256,), "none clipping", "0.001", (0,), CPU),
            _lengths("standard", _CELLS, (256,), "none clipping", "1", (0,), CPU),
            _lengths("standard", _CELLS, (256,), _CUTS, "0.1", (0,), FP32),
            _lengths("full", _CELLS, _LONG, _CUTS, "0.1", _THREE, CPU, FP32),
            _lengths("full", _CELLS, _LONG, _CUTS, "1", _THREE, CPU, FP32),
        ),
    }
)
