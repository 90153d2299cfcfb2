"""Which case runs where, decided without a cluster."""

from __future__ import annotations

from dataclasses import replace

from fleet_engine import offers

from traincost.fleet.nodes import Node, device_of, slots_of
from traincost.fleet.plan import MAX_KILLS, MAX_NODES, FleetPlan
from traincost.fleet.process import share

A = offers("a/x[n=1]", "a/x[n=2]", "a/x[n=3]")
B = offers("b/y[n=1]", "b/y[n=2]")
M, OTHER = ("m",), ("o",)


def joined(*slots: tuple[str, tuple[str, ...]]) -> FleetPlan:
    """A plan with slots, each on a node of its own."""
    plan = FleetPlan()
    for name, kind in slots:
        plan.join(name, name, kind, [*A, *B])
    return plan


def taken(plan: FleetPlan, slot: str) -> str | None:
    """The id of the case that a slot gets."""
    offer = plan.next_for(slot)
    return None if offer is None else offer.case_id


def test_a_series_stays_on_the_kind_that_took_its_first_case() -> None:
    plan = joined(("s", M), ("t", OTHER))
    assert taken(plan, "s") == "a/x[n=1]"
    assert taken(plan, "t") == "b/y[n=1]"
    plan.finish("t", "b/y[n=1]")
    assert taken(plan, "t") == "b/y[n=2]"
    plan.finish("t", "b/y[n=2]")
    assert taken(plan, "t") is None


def test_a_series_without_a_row_may_change_its_kind_and_one_with_a_row_may_not() -> None:
    plan = joined(("s", M), ("t", OTHER))
    plan.next_for("s")
    plan.leave("s")
    assert taken(plan, "t") == "a/x[n=1]"
    plan.finish("t", "a/x[n=1]")
    plan.leave("t")
    plan.join("s2", "s2", M, [*A, *B])
    assert taken(plan, "s2") == "b/y[n=1]"
    assert plan.wanted_kinds() == {OTHER, M}


def test_resumed_rows_are_not_run_and_bind_their_series() -> None:
    plan = FleetPlan({"a/x[n=1]": "o"})
    plan.join("s", "s", M, A)
    assert taken(plan, "s") is None
    plan.join("t", "t", OTHER, A)
    assert taken(plan, "t") == "a/x[n=2]"
    assert plan.taken_over == 1


def test_a_second_row_of_a_case_is_refused() -> None:
    plan = joined(("s", M))
    plan.next_for("s")
    assert plan.finish("s", "a/x[n=1]")
    assert not plan.finish("s", "a/x[n=1]")


def test_a_case_goes_to_another_node_after_it_killed_a_worker_and_is_given_up_at_last() -> None:
    plan = joined(("s", M), ("t", M))
    assert taken(plan, "s") == "a/x[n=1]"
    assert plan.worker_died("s", "SIGSEGV") == ("a/x[n=1]", None)
    assert taken(plan, "s") == "a/x[n=2]"
    for attempt in range(1, MAX_KILLS):
        assert taken(plan, "t") == "a/x[n=1]"
        _, given_up = plan.worker_died("t", "SIGSEGV")
        assert (given_up is not None) == (attempt == MAX_KILLS - 1)
    assert "a/x[n=1]" in plan.finished


def test_a_case_under_which_node_after_node_is_lost_is_given_up() -> None:
    plan = FleetPlan()
    for n in range(MAX_NODES):
        plan.join(f"s{n}", f"s{n}", M, A[:1])
        assert taken(plan, f"s{n}") == "a/x[n=1]"
        _, given_up = plan.leave(f"s{n}", lost=True)
        assert (given_up is not None) == (n == MAX_NODES - 1)
    assert plan.done


def test_what_is_unavailable_on_one_kind_runs_on_the_kind_that_has_it() -> None:
    plan, lacking = FleetPlan(), replace(A[0], unavailable=True)
    plan.join("s", "s", M, [lacking, *A[1:]])
    plan.join("t", "t", OTHER, [A[0]])
    assert taken(plan, "t") == "a/x[n=1]"
    alone = FleetPlan()
    alone.join("s", "s", M, [lacking, *A[1:]])
    order = [taken(alone, "s")]
    alone.finish("s", str(order[0]))
    assert order == ["a/x[n=2]"]  # its row comes last


def test_a_slot_is_a_node_or_a_device_and_heads_without_gpu_are_left_out() -> None:
    head, box = Node("h", "head", "1", 8, 0), Node("g", "box", "2", 64, 4)
    (whole,) = slots_of([head, box], [], per_device=False)
    assert (whole.node, whole.cpus, whole.gpus) == (box, 64, 4)
    parts = slots_of([head, box], [], per_device=True)
    assert [(p.index, p.of, p.cpus, p.gpus) for p in parts] == [(i, 4, 16, 1) for i in range(4)]
    both = slots_of([head, box], ["--cost-device=cpu"], per_device=False)
    assert [p.node for p in both] == [head, box]
    assert not slots_of([replace(head, cpus=0)], [], per_device=False)


def test_nodes_of_one_name_are_told_apart() -> None:
    twins = [Node("aaaaaaa", "vm", "1", 1, 0), Node("bbbbbbb", "vm", "1", 1, 0)]
    names = [p.node.name for p in slots_of(twins, [], per_device=False)]
    assert names == ["vm#aaaaaa", "vm#bbbbbb"]


def test_slots_of_a_node_share_its_cpus_without_overlap() -> None:
    parts = [share(range(10), i, 4) for i in range(4)]
    assert parts == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert share([3], 1, 2) == [3]


def test_the_device_that_is_asked_for_is_found() -> None:
    assert device_of(["suites", "--cost-device", "cpu"]) == "cpu"
    assert device_of(["--cost-device=cuda:1", "suites"]) == "cuda:1"
    assert device_of([]) == "auto"
