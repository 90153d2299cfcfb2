"""The grids: every case once, every profile known, quick small enough."""

from __future__ import annotations

from typing import Any

import pytest

from traincost.data.profile import PROFILES
from traincost_suites.grids import GRIDS, PLATFORMS, PROFILE_ORDER, grid, products
from traincost_suites.grids.cost import COST
from traincost_suites.models import family
from traincost_suites.work import PHASES


def cases(name: str, profile: str) -> list[dict[str, Any]]:
    names, values = grid(name, profile)
    return [dict(zip(names, case.values, strict=True)) for case in values]  # type: ignore[attr-defined]


def of_device(device: str, profile: str) -> int:
    return sum(case["device"] == device for name in COST for case in cases(name, profile))


def test_the_profiles_are_those_of_the_plugin() -> None:
    assert set(PROFILE_ORDER) == set(PROFILES)
    assert {p.profile for grid_ in GRIDS.values() for p in grid_} == set(PROFILE_ORDER)


@pytest.mark.parametrize("name", GRIDS)
def test_a_case_stands_in_a_grid_once(name: str) -> None:
    keys = [tuple(sorted(case.items())) for case in cases(name, "full")]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("name", GRIDS)
def test_a_larger_profile_has_every_case_of_a_smaller(name: str) -> None:
    quick, standard, full = (
        {tuple(sorted(case.items())) for case in cases(name, profile)} for profile in PROFILE_ORDER
    )
    assert quick <= standard <= full
    assert quick


@pytest.mark.parametrize("name", GRIDS)
def test_products_of_a_grid_name_the_same_axes(name: str) -> None:
    assert len({tuple(p.axes) for p in GRIDS[name]}) == 1


def test_every_axis_value_is_known() -> None:
    for name in GRIDS:
        for case in cases(name, "full"):
            assert (case["device"], case["dtype"]) in PLATFORMS
            if "model" in case:
                family(case["model"])
            if "phase" in case:
                assert case["phase"] in PHASES


def test_batch_sizes_are_powers_of_two() -> None:
    assert all(case["batch_size"].bit_count() == 1 for case in cases("batch", "full"))


def test_quick_has_rows_enough_on_a_cpu_and_stays_small() -> None:
    assert 45 <= of_device("cpu", "quick") <= 60


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_gate_is_a_small_subset_of_quick(device: str) -> None:
    gated = [p for name in GRIDS for p in GRIDS[name] if p.gate]
    assert {p.profile for p in gated} == {"quick"}
    marked = [
        case
        for name in GRIDS
        for case in grid(name, "quick")[1]
        if device in case.values and case.marks  # type: ignore[attr-defined]
    ]
    assert 10 <= len(marked) <= 20


def test_an_unknown_grid_or_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="grid 'size': expected one of parameters"):
        products("size", "quick")
    with pytest.raises(ValueError, match="profile 'fast': expected one of quick"):
        products("batch", "fast")
