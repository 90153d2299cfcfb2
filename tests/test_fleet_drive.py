"""The loop of a fleet, in virtual time: whatever is lost, the rows equal the plan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import pytest
from fleet_engine import Engine, Home, driven, offers, row_of
from hypothesis import given, settings
from hypothesis import strategies as st

from traincost.data.errors import BadInputError
from traincost.fleet.drive import PEAKS, SAVING_SHARE, Row
from traincost.fleet.plan import MAX_KILLS, FleetPlan

CASES = [f"{suite}/x[n={n}]" for suite in "abc" for n in range(8)]


def engine(nodes: int = 3, **more: object) -> Engine:
    """Nodes of one kind."""
    kinds = {f"n{i}": "m" for i in range(nodes)}
    return Engine(kinds, {"m": offers(*CASES), "other": offers(*CASES)}, **more)  # type: ignore[arg-type]


def test_every_case_comes_home_once_and_no_slot_gets_two_at_a_time() -> None:
    fleet = engine()
    home = driven(fleet)
    assert sorted(home.case_ids) == sorted(CASES)
    assert {slot for slot, _ in fleet.ran} == {"n0", "n1", "n2"}


@settings(max_examples=60, deadline=None)
@given(
    lost=st.lists(
        st.tuples(st.sampled_from(["n0", "n1", "n2"]), st.floats(0, 60)),
        max_size=2,
        unique_by=lambda pair: pair[0],
    ),
    killers=st.frozensets(st.sampled_from(CASES), max_size=3),
    actor_killers=st.frozensets(st.sampled_from(CASES), max_size=2),
    unseen_s=st.floats(0, 20),
    come_s=st.none() | st.floats(0, 60),
)
def test_the_union_equals_the_plan_whatever_is_lost_at_whatever_moment(
    lost: list[tuple[str, float]],
    killers: frozenset[str],
    actor_killers: frozenset[str],
    unseen_s: float,
    come_s: float | None,
) -> None:
    fleet = engine(killers=killers, actor_killers=actor_killers - killers, unseen_s=unseen_s)
    for node, at_s in lost:
        fleet.at(at_s, partial(fleet.lose, node))
    if come_s is not None:
        fleet.at(come_s, lambda: fleet.come("n9", "m"))
    home = driven(fleet)
    assert sorted(home.case_ids) == sorted(CASES)
    assert set(home.failed) == killers | actor_killers


def test_a_lost_node_is_not_blamed_on_its_case() -> None:
    fleet = engine()
    fleet.at(5.0, lambda: fleet.lose("n1"))
    home = driven(fleet)
    assert not home.failed
    assert "node n1 is lost" in home.said
    assert any("the worker on n1 is gone" in line and "runs again" in line for line in home.said)


def test_a_case_that_kills_three_workers_is_an_error_row_and_the_others_run() -> None:
    home = driven(engine(killers=frozenset({CASES[3]})))
    assert list(home.failed) == [CASES[3]]
    assert "killed its worker 3 times (SIGKILL)" in str(home.failed[CASES[3]])
    assert sum("killed its worker on" in line for line in home.said) == MAX_KILLS


def test_a_case_waits_for_a_node_of_its_kind_and_runs_on_no_other() -> None:
    fleet = engine(1)
    fleet.at(20.0, lambda: fleet.lose("n0"))
    fleet.at(25.0, lambda: fleet.come("n1", "other"))
    fleet.at(50.0, lambda: fleet.come("n2", "m"))
    home = driven(fleet)
    kinds: dict[str, set[str | None]] = {}
    for row in home.rows:
        kinds.setdefault(row.record.suite, set()).add(row.record.machine_id)
    assert sorted(home.case_ids) == sorted(CASES)
    assert all(len(ids) == 1 for ids in kinds.values())
    assert {i for ids in kinds.values() for i in ids} == {"m", "other"}


def test_without_a_node_of_the_kind_the_run_ends_and_a_resumed_one_has_the_rest_only() -> None:
    fleet = engine(1)
    fleet.at(20.0, lambda: fleet.lose("n0"))
    first = driven(fleet)
    assert 0 < len(first.rows) < len(CASES)
    resumed = FleetPlan({r.record.case_id: r.record.machine_id for r in first.rows})
    second = driven(engine(), resumed)
    assert sorted(first.case_ids + second.case_ids) == sorted(CASES)


def test_nodes_where_no_worker_starts_are_left_out_and_if_all_are_it_is_bad_input() -> None:
    home = driven(engine(refusing=frozenset({"n1"})))
    assert sorted(home.case_ids) == sorted(CASES)
    assert any("slot on n1 is left out: no torch" in line for line in home.said)
    with pytest.raises(BadInputError, match="no torch on n0"):
        driven(engine(1, refusing=frozenset({"n0"})))
    with pytest.raises(BadInputError, match="no node to measure on"):
        driven(engine(0))


def test_cases_that_others_need_come_first_and_their_rows_go_along() -> None:
    first, cases = f"{PEAKS}/peak[n=1]", ["a/x[n=1]", "a/x[n=2]"]
    fleet = Engine({"n0": "m", "n1": "m"}, {"m": offers(*cases, first, first=[first])})
    assert driven(fleet).case_ids[0] == first
    assert [o.peaks for o in fleet.orders] == [(), *[(row_of(first, "m"),)] * 2]


def test_saving_takes_a_small_share_of_the_time_however_long_a_save_takes() -> None:
    fleet, saved = engine(), list[float]()

    def slow_save(rows: Sequence[Row]) -> None:
        fleet.now += 0.2
        saved.append(fleet.now)

    home = driven(fleet, save=slow_save)
    assert sorted(home.case_ids) == sorted(CASES)
    assert all(later - earlier > 0.2 / SAVING_SHARE for earlier, later in pairwise(saved[:-1]))


def test_rows_that_came_home_are_saved_when_the_command_is_interrupted() -> None:
    fleet, home = engine(), Home()

    def interrupt() -> None:
        raise KeyboardInterrupt

    fleet.at(20.0, interrupt)
    with pytest.raises(KeyboardInterrupt):
        driven(fleet, home=home, save=lambda rows: setattr(fleet, "now", fleet.now + 1.0))
    assert sorted(home.case_ids) == sorted(case_id for _, case_id in fleet.ran)
