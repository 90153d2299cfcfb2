"""Static costs of the fused kernels as rows: which cases there are, and a cost as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest

from traincost_kernels.catalog import CATALOG
from traincost_kernels.entry import KernelEntry
from traincost_kernels.liger import INSTALL, is_installed
from traincost_kernels.static.architecture import ARCHITECTURES
from traincost_kernels.static.cost import StaticCost, Widths
from traincost_kernels.static.pool import WorkerUnavailableError
from traincost_kernels.static.run import StaticRun
from traincost_kernels.static.subject import DTYPES, N_ROWS, PHASES, Subject
from traincost_suites.grids import static_shapes

AXES = ("kernel", "impl", "phase", "dtype", "n_cols", "arch")


def static_grid() -> tuple[tuple[str, ...], list[Any]]:
    """Names and cases for `pytest.mark.parametrize`, in this run's profile.

    Without Liger one of its cases stays, to become the row that says so.
    """
    cases: list[Any] = []
    missing: list[Any] = []
    for entry, (dtype, n_cols) in _distinct(product(CATALOG, static_shapes())):
        for impl in ("triton", "liger") if entry.liger is not None else ("triton",):
            of_impl = cases if impl == "triton" or is_installed() else missing
            of_impl += (
                pytest.param(entry.name, impl, phase, dtype, n_cols, arch)
                for phase, arch in product(PHASES, ARCHITECTURES)
            )
    if missing:
        reason = f"{INSTALL} (stands for {len(missing)} cases)"
        cases.append(pytest.param(*missing[0].values, marks=pytest.mark.skip(reason=reason)))
    return AXES, cases


Shape = tuple[str, int]  # dtype, length of a row


def _distinct(
    pairs: Iterable[tuple[KernelEntry, Shape]],
) -> Iterator[tuple[KernelEntry, Shape]]:
    """Pairs whose kernels are not those of an earlier pair: flat ops are the same for all lengths.

    Kernels are the same where their constants are, and the divisibility that they are specialised
    for.
    """
    seen: set[tuple[object, ...]] = set()
    for entry, (dtype, n_cols) in pairs:
        launches = entry.launches(entry.inputs(N_ROWS - n_cols % 2, n_cols, DTYPES[dtype], "meta"))
        kernels = [
            (str(launch.kernel), sorted(map(str, launch.constants.items())), launch.num_warps)
            for phase in PHASES
            for launch in launches[phase]
        ]
        key = (entry.name, dtype, n_cols == 1, n_cols % 16 == 0, str(kernels))
        if key not in seen:
            seen.add(key)
            yield entry, (dtype, n_cols)


def start(items: Iterable[Any]) -> StaticRun:
    """Compile and count, in the background, what these collected tests will ask for."""
    wanted = (item.callspec.params for item in items)
    return StaticRun((subject_of(p), str(p["arch"])) for p in wanted)


def subject_of(params: dict[str, Any]) -> Subject:
    """The subject of a case."""
    return Subject(params["kernel"], params["dtype"], params["n_cols"], params["impl"])


def cost_or_skip(run: StaticRun, subject: Subject, phase: str, arch: str) -> StaticCost:
    """The cost, or the case skipped where the peer cannot be compiled."""
    try:
        return run.cost(subject, phase, arch)
    except WorkerUnavailableError as lacking:
        pytest.skip(str(lacking))


def columns(cost: StaticCost) -> dict[str, Any]:
    """Arguments of the fixture `static_cost`."""
    moved = cost.moved
    notes = {} if cost.not_counted is None else {"bytes_per_element": cost.not_counted}
    if moved is not None and cost.loads.main_bytes is None and cost.loads.widest_bytes is not None:
        notes["load_width_bytes"] = "no counted access could be found in the PTX"
    return {
        "registers": cost.registers,
        "spill_bytes": cost.spill_bytes,
        "shared_bytes": cost.shared_bytes,
        "occupancy": cost.occupancy,
        "ptx_instructions": cost.ptx_instructions,
        "launches": len(cost.binaries),
        "load_width_bytes": cost.loads.main_bytes,
        "store_width_bytes": cost.stores.main_bytes,
        "bytes_per_element": None if moved is None else moved.bytes_per_element,
        "least_bytes_per_element": None if moved is None else moved.least_per_element,
        "notes": notes,
        "metrics": {
            "requested_bytes_per_element": None if moved is None else moved.requested_per_element,
            "num_warps": max(b.num_warps for b in cost.binaries),
            "atomics": cost.atomics,
            **_widths("load", cost.loads),
            **_widths("store", cost.stores),
        },
    }


def _widths(name: str, widths: Widths) -> dict[str, float | None]:
    return {
        f"{name}_width_narrowest_bytes": widths.narrowest_bytes,
        f"{name}_width_widest_bytes": widths.widest_bytes,
        f"{name}_full_width_share": widths.full_share,
    }
