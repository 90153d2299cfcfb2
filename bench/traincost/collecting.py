"""From collected tests to the cases of a run: which run, in which order, which cannot."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from traincost.data.case import (
    CASE_FIXTURES,
    RANKS_FIXTURE,
    RUN_FIXTURE,
    WITHOUT_RUNNING,
    Case,
    case_from_test,
)
from traincost.data.errors import BadInputError
from traincost.session import Devices

CASE = pytest.StashKey[Case]()
UNAVAILABLE = pytest.StashKey[str]()
KINDS = ("cpu", "cuda")


@dataclass(frozen=True)
class Plan:
    """The items of a session, cost cases and others, and those that were taken out."""

    items: Sequence[pytest.Item]
    cases: Sequence[pytest.Item]  # the cost cases among them
    deselected: Sequence[pytest.Item]
    finished: int  # taken out because a resumed file has their row


def name_cases(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """The cost cases among the items, each stashed with its `Case`; no two may have one name."""
    cases = [i for i in items if CASE_FIXTURES.intersection(getattr(i, "fixturenames", ()))]
    seen: dict[str, pytest.Item] = {}
    for item in cases:
        case = _case_of(item)
        if case.case_id in seen:
            raise BadInputError(
                f"{item.nodeid}: case id {case.case_id} is that of {seen[case.case_id].nodeid} "
                "too; expected one test a case: rename the file or the test"
            )
        seen[case.case_id] = item
        item.stash[CASE] = case
    return cases


def _case_of(item: Any) -> Case:
    callspec = getattr(item, "callspec", None)
    name = item.originalname or item.name
    if item.cls is not None:
        name = f"{item.cls.__name__}.{name}"
    params = {} if callspec is None else _named(callspec)
    try:
        case = case_from_test(item.path.stem, name, params)
    except ValueError as e:
        raise BadInputError(str(e)) from e
    runs = {RUN_FIXTURE, RANKS_FIXTURE}.intersection(item.fixturenames)
    return case if runs else replace(case, defaults=WITHOUT_RUNNING)


def _named(callspec: Any) -> dict[str, Any]:
    """Parameters, an object without a name of its own by its type and place: `Config1`."""
    return {
        name: value if _has_name(value) else f"{type(value).__name__}{callspec.indices[name]}"
        for name, value in callspec.params.items()
    }


def _has_name(value: Any) -> bool:
    if value is None or isinstance(value, str | int | float):
        return True
    name = getattr(value, "__name__", str(value))
    return name.replace("_", "").replace(".", "").isalnum()  # no <lambda>, no <object at ...>


def plan(
    items: Sequence[pytest.Item],
    cases: Sequence[pytest.Item],
    devices: Devices,
    finished: Container[str],
) -> Plan:
    """Keep the cases of the devices at hand, drop finished ones, and put first what others need.

    Without CUDA one CUDA case of each suite stays, to become its `unavailable` row.
    """
    out: set[pytest.Item] = set()
    represented: set[str] = set()
    stands_for: dict[str, int] = {}
    for item in cases:
        case = item.stash[CASE]
        kind = case.axes.get("device")
        if kind is None or kind in devices:
            continue
        if kind not in KINDS:
            raise BadInputError(f"{item.nodeid}: device={kind!r}: expected cpu or cuda")
        if kind == "cuda" and devices.cuda_missing:
            stands_for[case.suite] = stands_for.get(case.suite, 0) + 1
            if case.suite not in represented:
                represented.add(case.suite)
                item.stash[UNAVAILABLE] = devices.cuda_missing
                continue
        out.add(item)
    for item in cases:
        if item not in out and UNAVAILABLE in item.stash:
            item.stash[UNAVAILABLE] += (
                f" (stands for {stands_for[item.stash[CASE].suite]} CUDA cases of this suite)"
            )
    done = {i for i in cases if i not in out and i.stash[CASE].case_id in finished}
    kept = [i for i in items if i not in out | done]
    kept.sort(key=lambda i: i.get_closest_marker("cost_first") is None)  # stable
    gone = [i for i in items if i in out | done]
    return Plan(kept, [i for i in kept if CASE in i.stash], gone, len(done))


def timing_off(config: Any) -> str | None:
    """Why pytest-benchmark measures nothing in this session; None if it does."""
    benchmarks = config._benchmarksession
    if benchmarks.skip:
        return "benchmarks are skipped (--benchmark-skip)"
    if hasattr(config, "workerinput"):
        return "timing is off under xdist"
    if benchmarks.disabled:
        return "timing is off (--benchmark-disable or xdist)"
    return None
