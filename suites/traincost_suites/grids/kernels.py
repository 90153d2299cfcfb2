"""Which fused ops each profile measures, in which implementations, phases, sizes and dtypes.

Only cases that exist are listed: an op without a composed form has none, and one that writes over
its input runs forward and back in one go. What a machine lacks (Liger, a GPU) makes an
`unavailable` row; so does Triton, which is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from traincost_suites.grids.axes import BF16, CPU, FP16, FP32, Platform, stands_in

if TYPE_CHECKING:
    from traincost_kernels.entry import KernelEntry

Shape = tuple[int, int]  # (n_rows, n_cols)

SMALL: Shape = (64, 1024)  # 64 Ki elements: a launch costs more than the work
MEDIUM: Shape = (16_384, 4_096)  # 64 Mi: far larger than any L2 cache
LARGE: Shape = (262_144, 4_096)  # 1 Gi
ON_A_CPU: Shape = (256, 1_024)
VOCABULARIES: Mapping[Shape, Shape] = MappingProxyType(
    {
        SMALL: (8, 50_304),
        MEDIUM: (2_048, 50_304),
        LARGE: (8_192, 131_072),
        ON_A_CPU: (32, 8_192),
    }
)
"""What cross-entropy gets instead: few rows of a vocabulary."""
FORTH_AND_BACK = ("forward", "backward")
BASELINES = ("eager", "composed", "compile", "aten-fused", "liger", "triton")


@dataclass(frozen=True)
class KernelProduct:
    """All ops, these implementations and phases, on these platforms, from `profile` on."""

    profile: str
    impls: tuple[str, ...]
    phases: tuple[str, ...]
    shapes: tuple[Shape, ...]
    platforms: tuple[Platform, ...]


PRODUCTS = (
    KernelProduct("quick", ("eager", "composed"), ("both",), (ON_A_CPU,), (CPU,)),
    KernelProduct("quick", ("eager", "triton"), FORTH_AND_BACK, (MEDIUM,), (BF16,)),
    KernelProduct("standard", BASELINES, FORTH_AND_BACK, (MEDIUM,), (BF16,)),
    KernelProduct("standard", ("eager", "compile", "triton"), ("both",), (SMALL,), (BF16,)),
    KernelProduct("full", ("compile", "aten-fused"), ("both",), (ON_A_CPU,), (CPU,)),
    KernelProduct(
        "full", BASELINES, ("forward", "backward", "both"), (MEDIUM,), (BF16, FP16, FP32)
    ),
    KernelProduct("full", BASELINES, FORTH_AND_BACK, (SMALL, LARGE), (BF16,)),
)
COPIES = (
    ("quick", ON_A_CPU, CPU),
    ("quick", MEDIUM, BF16),
    ("standard", SMALL, BF16),
    ("full", LARGE, BF16),
    ("full", MEDIUM, FP32),
)

TRAININGS = (  # profile, models, implementations, batch, platforms
    ("quick", ("gpt-10k",), ("eager",), 4, (CPU,)),
    ("quick", ("lstm-10k",), ("eager", "composed"), 4, (CPU,)),
    ("quick", ("gpt-10M", "gpt50k-10M"), ("eager", "triton"), 32, (BF16,)),
    ("quick", ("lstm-1M",), ("eager", "composed", "triton"), 32, (BF16,)),
    ("standard", ("gpt-10M", "gpt50k-100M"), ("eager", "compile", "triton"), 32, (BF16,)),
    ("standard", ("lstm-10M",), ("eager", "composed", "triton"), 32, (BF16, FP32)),
    ("full", ("gpt-100M", "gpt50k-1B"), ("eager", "compile", "triton"), 32, (BF16, FP32)),
)


def kernel_cases(profile: str | None = None) -> tuple[tuple[str, ...], list[Any]]:
    """Names and cases for `pytest.mark.parametrize`, in this run's profile."""
    names = ("kernel", "impl", "phase", "n_rows", "n_cols", "device", "dtype")
    if find_spec("triton") is None:
        reason = "triton is not installed; it comes with torch for CUDA, or pip install triton"
        skipped = pytest.mark.skip(reason=reason)
        return names, [pytest.param("all", "triton", "both", *ON_A_CPU, *CPU, marks=skipped)]
    wanted = [p for p in PRODUCTS if stands_in(p.profile, profile)]
    cases = {case: None for p in wanted for case in _cases(p)}
    return names, [pytest.param(*case) for case in cases]


def copy_cases(profile: str | None = None) -> tuple[tuple[str, ...], list[Any]]:
    """The copies that the ops are compared with."""
    wanted = [(s, p) for name, s, p in COPIES if stands_in(name, profile)]
    names = ("n_rows", "n_cols", "device", "dtype")
    return names, [pytest.param(*shape, *platform) for shape, platform in wanted]


def _cases(p: KernelProduct) -> Iterator[tuple[object, ...]]:
    from traincost_kernels.catalog import CATALOG, IN_PLACE

    for entry, impl, shape, platform in product(
        (*CATALOG, *IN_PLACE), p.impls, p.shapes, p.platforms
    ):
        if not (impl == "triton" if entry in IN_PLACE else _exists(entry, impl)):
            continue  # the rivals of an op in place are those of the other
        phases = ("both",) if entry in IN_PLACE else p.phases
        losses = entry.name.startswith("cross_entropy")
        for phase in phases:
            yield (entry.name, impl, phase, *(VOCABULARIES[shape] if losses else shape), *platform)


def _exists(entry: KernelEntry, impl: str) -> bool:
    """Whether the op has this implementation at all."""
    has = {"composed": entry.composed, "aten-fused": entry.aten_fused, "liger": entry.liger}
    return has.get(impl, entry) is not None


def fused_cases(profile: str | None = None) -> tuple[tuple[str, ...], list[Any]]:
    """Names and cases for `pytest.mark.parametrize`, in this run's profile."""
    cases = {
        (model, impl, batch, *platform): None
        for name, models, impls, batch, platforms in TRAININGS
        if stands_in(name, profile)
        for model, impl, platform in product(models, impls, platforms)
    }
    return ("model", "impl", "batch_size", "device", "dtype"), [pytest.param(*c) for c in cases]
