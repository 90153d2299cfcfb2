"""Collectives counted as they are called, on a group of four that only one process plays."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, distributed
from torch.testing._internal.distributed.fake_pg import FakeStore

from traincost.instruments.arithmetic import count
from traincost.instruments.collectives import collectives_of, ring_factor

c10d: Any = distributed
RANKS = 4
FLOATS, S = 64, 256  # elements of the whole tensor, and its bytes


@pytest.fixture(scope="module", autouse=True)
def group() -> Iterator[None]:
    """Collectives that return at once, whatever the other ranks would have sent."""
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=RANKS)
    yield
    distributed.destroy_process_group()


def whole() -> Tensor:
    return torch.zeros(FLOATS)


def shard() -> Tensor:
    return torch.zeros(FLOATS // RANKS)


def functional(name: str) -> Tensor:
    group_name = distributed.group.WORLD.group_name  # type: ignore[union-attr]
    ops = torch.ops._c10d_functional
    found: Tensor = {
        "all_reduce": lambda: ops.all_reduce(whole(), "sum", group_name),
        "all_gather": lambda: ops.all_gather_into_tensor(shard(), RANKS, group_name),
        "reduce_scatter": lambda: ops.reduce_scatter_tensor(whole(), "sum", RANKS, group_name),
    }[name]()
    waited: Tensor = ops.wait_tensor(found)
    return waited


CALLS: dict[str, tuple[Callable[[], object], float]] = {  # what is called, bus over payload
    "all_reduce": (lambda: c10d.all_reduce(whole()), 2 * 3 / 4),
    "all_gather": (lambda: c10d.all_gather_single(whole(), shard()), 3 / 4),
    "all_gather of a list": (
        lambda: c10d.all_gather([shard() for _ in range(RANKS)], shard()),
        3 / 4,
    ),
    "reduce_scatter": (lambda: c10d.reduce_scatter_single(shard(), whole()), 3 / 4),
    "all_to_all": (lambda: c10d.all_to_all_single(whole(), whole()), 3 / 4),
    "broadcast": (lambda: c10d.broadcast(whole(), src=0), 1),
    "functional all_reduce": (lambda: functional("all_reduce"), 2 * 3 / 4),
    "functional all_gather": (lambda: functional("all_gather"), 3 / 4),
    "functional reduce_scatter": (lambda: functional("reduce_scatter"), 3 / 4),
}


@pytest.mark.parametrize("name", CALLS)
def test_payload_and_bus_bytes_are_those_of_the_closed_form(name: str) -> None:
    call, factor = CALLS[name]
    with collectives_of() as ledger:
        call()
    (found,) = ledger.calls
    assert (found.ranks, found.payload_bytes) == (RANKS, S)
    assert found.bus_bytes == factor * S
    assert found.time_s is None


@pytest.mark.parametrize("name", CALLS)
def test_a_collective_that_is_timed_begins_when_all_ranks_have_met(name: str) -> None:
    events: list[str] = []
    with collectives_of(lambda: events.append("met"), lambda: events.append("waited")) as ledger:
        CALLS[name][0]()
    assert events == ["waited", "met", "waited"]
    assert ledger.calls[0].time_s is not None


def test_a_send_counts_on_its_sender_and_is_not_timed() -> None:
    def meet() -> None:
        raise AssertionError("two ranks of four would wait for the other two")

    with collectives_of(meet) as ledger:
        c10d.send(whole(), dst=1)
        c10d.recv(whole(), src=1)
    (sent,) = ledger.calls
    assert (sent.kind, sent.bus_bytes, sent.time_s) == ("send", S, None)


def test_barriers_and_arithmetic_are_no_communication() -> None:
    with collectives_of() as ledger:
        distributed.barrier()
        whole().square().sum()
    assert ledger.calls == []


def test_a_group_of_one_sends_nothing() -> None:
    assert ring_factor("allreduce", 1) == 0


def test_an_unknown_collective_is_refused() -> None:
    with pytest.raises(ValueError, match="collective 'gossip': expected one whose traffic"):
        ring_factor("gossip", 2)


@pytest.mark.parametrize("name", CALLS)
def test_communication_is_free_of_flops(name: str) -> None:
    assert count(CALLS[name][0], phase="step").flops == 0
