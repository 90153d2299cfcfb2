"""Grids of the suites of optimizers and learning rates."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from traincost_suites.grids.axes import CPU, FP32, Grid, Platform, Product

_EVERY = (
    *("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam"),
    *("adamw-single", "adamw-foreach", "adamw-fused", "adafactor", "muon", "lbfgs"),
)
_FEW = ("sgd", "momentum", "adamw-fused", "lbfgs")
_MANY = ("sgd", "momentum", "adam", "adamw-fused", "adafactor", "muon", "lbfgs")
_QUICK_STEPS = ("sgd", "momentum", "adamw-single", "adamw-fused", "adafactor", "muon")
_THREE = (0, 1, 2)


def _steps(profile: str, names: tuple[str, ...], models: str, *on: Platform) -> Product:
    """The step of these optimizers on the parameters of these models."""
    return Product(profile, {"optimizer": names, "model": tuple(models.split())}, on)


def _targets(
    profile: str, problems: str, names: tuple[str, ...], seeds: tuple[int, ...], *on: Platform
) -> Product:
    """These optimizers, each at its own rate, to the target of these problems."""
    axes = {"problem": tuple(problems.split()), "optimizer": names, "seed": seeds}
    return Product(profile, axes, on)


def _rates(
    profile: str, problem: str, names: str, seeds: tuple[int, ...], *on: Platform
) -> Product:
    """Nine decades of rates."""
    axes = {
        "problem": (problem,),
        "optimizer": tuple(names.split()),
        "rate": ("1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1e0", "1e1", "1e2"),
        "seed": seeds,
    }
    return Product(profile, axes, on)


def _schedules(
    profile: str, problem: str, names: str, schedules: str, seeds: tuple[int, ...], *on: Platform
) -> Product:
    """Schedules, each at its own peak rate."""
    axes = {
        "problem": (problem,),
        "optimizer": tuple(names.split()),
        "schedule": tuple(schedules.split()),
        "seed": seeds,
    }
    return Product(profile, axes, on)


def _finders(
    profile: str, problems: str, names: str, seeds: tuple[int, ...], *on: Platform
) -> Product:
    """Ways to find a rate."""
    axes = {
        "problem": tuple(problems.split()),
        "optimizer": tuple(names.split()),
        "method": ("search", "range-test"),
        "seed": seeds,
    }
    return Product(profile, axes, on)


_ALL_SCHEDULES = "constant warm-up-cosine one-cycle step-decay plateau"

REMEDIES: Mapping[str, Grid] = MappingProxyType(
    {
        "optimizer_step": (
            _steps("quick", _QUICK_STEPS, "gpt-100k", CPU),
            _steps("quick", _EVERY, "gpt-10M", FP32),
            _steps("standard", _EVERY, "gpt-100k gpt-1M", CPU),
            _steps("standard", _QUICK_STEPS, "gpt-100M", FP32),
            _steps("full", _EVERY, "gpt-10M", CPU),
            _steps("full", _EVERY, "gpt-100k gpt-1M gpt-100M gpt-1B", FP32),
        ),
        "optimizer_target": (
            _targets("quick", "quadratic", _FEW, (0,), CPU, FP32),
            _targets("standard", "quadratic saddle digits", _EVERY, _THREE, CPU),
            _targets("standard", "text", _MANY, _THREE, CPU),
            _targets("standard", "digits text", _MANY, _THREE, FP32),
            _targets("full", "quadratic saddle digits text", _EVERY, (0, 1, 2, 3, 4), CPU, FP32),
        ),
        "constant_rate": (
            _rates("quick", "quadratic", "momentum", (0,), CPU),
            _rates("quick", "digits", "momentum", (0,), CPU, FP32),
            _rates("standard", "quadratic", "sgd adam", (0,), CPU),
            _rates("standard", "digits", "momentum adam", _THREE, CPU),
            _rates("standard", "text", "adam", (0,), CPU, FP32),
            _rates("full", "text", "momentum adam", _THREE, CPU, FP32),
        ),
        "schedule": (
            _schedules("quick", "digits", "momentum", "constant one-cycle", (0,), CPU, FP32),
            _schedules("standard", "digits", "momentum adam", _ALL_SCHEDULES, _THREE, CPU),
            _schedules("standard", "text", "adam", _ALL_SCHEDULES, (0,), CPU, FP32),
            _schedules("full", "text", "momentum adam", _ALL_SCHEDULES, _THREE, CPU, FP32),
        ),
        "find_rate": (
            _finders("quick", "digits", "momentum", (0,), CPU, FP32),
            _finders("standard", "quadratic digits", "momentum adam", _THREE, CPU),
            _finders("standard", "text", "adam", _THREE, CPU),
        ),
    }
)
