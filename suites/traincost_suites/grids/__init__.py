"""Which cases each profile measures: the axes of the suites, as data.

A grid is a tuple of products; a product crosses its axes with its platforms, and stands in its
profile and every larger one (quick, standard, full). `quick` suits two CPU cores: a row costs its
first step, a warm-up, 20 rounds or more and a dozen untimed steps, so a step there is about 100 ms
at most. `standard` adds what one H100 measures in under five minutes a suite. `full` takes hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

import pytest

from traincost.data.profile import current_profile
from traincost_suites.grids.axes import PLATFORMS, PROFILE_ORDER, Grid, Platform, Product, stands_in
from traincost_suites.grids.cost import COST
from traincost_suites.grids.data_needs import DATA_NEEDS
from traincost_suites.grids.efficiency import EFFICIENCY
from traincost_suites.grids.gradients import GRADIENTS
from traincost_suites.grids.parallel import PARALLEL
from traincost_suites.grids.remedies import REMEDIES
from traincost_suites.grids.tuning import TUNING

__all__ = ["GRIDS", "PLATFORMS", "PROFILE_ORDER", "Platform", "Product", "grid", "products"]

GRIDS: Mapping[str, Grid] = MappingProxyType(
    {**COST, **PARALLEL, **REMEDIES, **GRADIENTS, **DATA_NEEDS, **TUNING, **EFFICIENCY}
)


def products(name: str, profile: str) -> list[Product]:
    """The products of a grid that stand in a profile.

    Raises:
        ValueError: an unknown grid or profile.
    """
    if name not in GRIDS:
        raise ValueError(f"grid {name!r}: expected one of {', '.join(GRIDS)}")
    if profile not in PROFILE_ORDER:
        raise ValueError(f"profile {profile!r}: expected one of {', '.join(PROFILE_ORDER)}")
    return [p for p in GRIDS[name] if stands_in(p.profile, profile)]


def grid(name: str, profile: str | None = None) -> tuple[list[str], list[object]]:
    """Names and cases for `pytest.mark.parametrize(*grid("batch"))`, in this run's profile.

    A case of two products, a larger one and a part of it in a smaller profile, is taken once.
    """
    chosen = products(name, profile or current_profile().name)
    names = [*chosen[0].axes, "device", "dtype"]
    cases: dict[tuple[object, ...], object] = {}
    for p in chosen:
        marks = [pytest.mark.gate] if p.gate else []
        for platform in p.platforms:
            for values in product(*p.axes.values()):
                case = (*values, *platform)
                cases.setdefault(case, pytest.param(*case, marks=marks))
    return names, list(cases.values())
