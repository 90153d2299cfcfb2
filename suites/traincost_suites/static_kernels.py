"""Static costs of the fused kernels as rows: which cases there are, and a cost as columns.

Whatever needs Triton is imported when it is called: without Triton one row says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from traincost_suites.grids.static import static_shapes

if TYPE_CHECKING:
    from traincost_kernels.entry import KernelEntry
    from traincost_kernels.static.cost import StaticCost, Widths
    from traincost_kernels.static.run import StaticRun
    from traincost_kernels.static.subject import Subject

AXES = ("kernel", "impl", "phase", "dtype", "n_cols", "arch")
NO_TRITON = "triton is not installed; it comes with torch for CUDA, or pip install triton"

Shape = tuple[str, int]  # dtype, length of a row


def static_grid() -> tuple[tuple[str, ...], list[Any]]:
    """Names and cases for `pytest.mark.parametrize`, in this run's profile.

    Without Triton, or without Liger, one case stays, to become the row that says so.
    """
    if find_spec("triton") is None:
        return AXES, [_standing_for(("all", "triton", "forward", "bf16", 4096, "sm_90"), NO_TRITON)]
    from traincost_kernels.liger import INSTALL, is_installed
    from traincost_kernels.static.subject import entries

    ours: list[Any] = []
    peers: list[Any] = []
    for entry, shape in _distinct(product(entries().values(), static_shapes())):
        ours += _cases(entry.name, "triton", *shape)
        if entry.liger is not None:
            peers += _cases(entry.name, "liger", *shape)
    if peers and not is_installed():
        peers = [_standing_for(peers[0], f"{INSTALL} (stands for {len(peers)} cases)")]
    return AXES, [*ours, *peers]


def _cases(kernel: str, impl: str, dtype: str, n_cols: int) -> Iterator[tuple[object, ...]]:
    from traincost_kernels.static.architecture import ARCHITECTURES
    from traincost_kernels.static.subject import PHASES

    return ((kernel, impl, p, dtype, n_cols, arch) for p, arch in product(PHASES, ARCHITECTURES))


def _standing_for(case: tuple[object, ...], reason: str) -> Any:
    return pytest.param(*case, marks=pytest.mark.skip(reason=reason))


def _distinct(pairs: Iterable[tuple[KernelEntry, Shape]]) -> Iterator[tuple[KernelEntry, Shape]]:
    """Pairs whose kernels are not those of an earlier pair: flat ops are the same for all lengths.

    Kernels are the same where their constants are, and the divisibility that they are specialised
    for.
    """
    from traincost_kernels.static.subject import Subject

    seen: set[tuple[object, ...]] = set()
    for entry, (dtype, n_cols) in pairs:
        subject = Subject(entry.name, dtype, n_cols)
        kernels = frozenset(subject.kernels(subject.n_rows))
        key = (entry.name, dtype, n_cols == 1, n_cols % 16 == 0, kernels)
        if key not in seen:
            seen.add(key)
            yield entry, (dtype, n_cols)


def subject_of(params: Mapping[str, Any]) -> Subject:
    """The subject of a case."""
    from traincost_kernels.static.subject import Subject

    return Subject(params["kernel"], params["dtype"], params["n_cols"], params["impl"])


def start(items: Iterable[Any]) -> StaticRun:
    """Compile and count, in the background, what these collected tests will ask for."""
    from traincost_kernels.static.run import StaticRun

    wanted = (item.callspec.params for item in items if not item.get_closest_marker("skip"))
    return StaticRun((subject_of(p), str(p["arch"])) for p in wanted)


def cost_or_skip(run: StaticRun, params: Mapping[str, Any]) -> StaticCost:
    """The cost of a case, or the case skipped where the peer has no such kernel."""
    from traincost_kernels.static.pool import WorkerUnavailableError

    try:
        return run.cost(subject_of(params), params["phase"], params["arch"])
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
