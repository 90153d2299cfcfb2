"""The loop of a fleet: start slots, hand out cases, save rows as they come, outlive what is lost.

A slot whose worker has gone is started again, after a while: a cluster takes time to see that a
node is lost. If it answers, its node lives and the case has killed the worker; if the node is gone
from the cluster, the case is not to blame. Either way the case waits again at once. A row that
comes for a case that has one is dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from traincost.data.errors import BadInputError
from traincost.data.fleet_messages import Hello, Order, Reply
from traincost.data.record import Record
from traincost.fleet.plan import FleetPlan, GivenUp

LOOK_S = 2.0
"""Between two looks at which nodes the cluster has."""
WAIT_S = 0.5
SAVING_SHARE = 0.05
"""Of the driver's time, at most: files are written as a whole, and a fleet's rows are many."""
SLOW_START_S = 60.0
"""Longer than importing torch takes."""
MAX_STARTS = 4
"""Starts of a slot in a row that come to nothing."""
PEAKS = "machine"
"""The suite whose rows the others of a machine need."""


@dataclass(frozen=True)
class Event:
    """What a slot tells; one of the four, or none: its worker and the actor around it have gone."""

    slot: str
    hello: Hello | None = None  # ready
    reply: Reply | None = None  # its case has ended
    died: str | None = None  # the worker died under its case, and can be started again
    refused: str | None = None  # the worker cannot be started: why


class Slots(Protocol):
    """The engine."""

    def places(self) -> Mapping[str, str]:
        """The slots of the nodes that live now, with the name of their node."""
        ...

    def start(self, slot: str) -> None:
        """Begin to start a worker there."""
        ...

    def run(self, slot: str, order: Order) -> None:
        """Give an order to a slot that is ready and idle."""
        ...

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What has happened; empty if nothing does in this time."""
        ...


@dataclass(frozen=True)
class Row:
    """A row that came home."""

    slot: str
    record: Record
    rounds_s: Sequence[float]
    overhead_s: float  # from order to reply, less the case itself


@dataclass
class Drive:
    """One run of a fleet."""

    slots: Slots
    plan: FleetPlan
    save: Callable[[Sequence[Row]], None]
    give_up: Callable[[GivenUp, Hello], Record]  # the row of a case that killed its workers
    welcome: Callable[[Hello], None]  # a slot that is ready
    tell: Callable[[str], None]
    progress: Callable[[Drive], None]
    patience_s: float = 120.0
    now_s: Callable[[], float] = time.monotonic
    peaks: list[Record] = field(default_factory=list[Record])  # rows of the suite `machine`
    hellos: dict[str, Hello] = field(default_factory=dict[str, Hello], init=False)
    places: dict[str, str] = field(default_factory=dict[str, str], init=False)
    names: dict[str, str] = field(default_factory=dict[str, str], init=False)  # of nodes, by slot
    lost_nodes: set[str] = field(default_factory=set[str], init=False)
    overheads_s: list[float] = field(default_factory=list[float], init=False)
    begun_s: float | None = field(default=None, init=False)  # of the first case
    _starts: dict[str, int] = field(default_factory=dict[str, int], init=False)  # since it answered
    _starting: set[str] = field(default_factory=set[str], init=False)
    _first: set[str] | None = field(default=None, init=False)  # slots not heard of yet
    _again_s: dict[str, float] = field(default_factory=dict[str, float], init=False)  # start then
    _suspects: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _dropped: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _sent_s: dict[str, float] = field(default_factory=dict[str, float], init=False)
    _unsaved: list[Row] = field(default_factory=list[Row], init=False)
    _save_due_s: float = field(default=0.0, init=False)
    _told_of_waiting: bool = field(default=False, init=False)
    _moved_s: float = field(default=0.0, init=False)  # when something last happened
    _looked_s: float | None = field(default=None, init=False)

    def run(self) -> None:
        """Until every case has its row, or none is left that can be had."""
        self._moved_s = self.now_s()
        try:
            while True:
                self._look()
                self._dispatch()
                self._save_if_due()
                self.progress(self)
                if self._ended():
                    return
                events = self.slots.wait(WAIT_S)
                for event in events:
                    self._handle(event)
                if events:
                    self._moved_s = self.now_s()
        finally:  # interrupted, too
            self._save()

    def _save_if_due(self) -> None:
        """Rows that came together are saved together: the file is written as a whole."""
        if self.now_s() < self._save_due_s:
            return
        begun_s = self.now_s()
        self._save()
        ended_s = self.now_s()
        self._save_due_s = ended_s + (ended_s - begun_s) / SAVING_SHARE

    def _save(self) -> None:
        if self._unsaved:
            self.save(self._unsaved)
            self._unsaved = []

    # --- nodes --------------------------------------------------------------------------------

    def _look(self) -> None:
        """Start slots of new nodes, let go of those whose node is gone."""
        if self._looked_s is not None and self.now_s() - self._looked_s < LOOK_S:
            return
        self._looked_s = self.now_s()
        here = dict(self.slots.places())
        for slot in [s for s in self.places if s not in here]:
            self._lose(slot)
        for slot, node in here.items():
            if slot not in self.places:
                self.places[slot] = self.names[slot] = node
                self._moved_s = self.now_s()
                self._start(slot)
        for slot in [s for s, at_s in self._again_s.items() if at_s <= self.now_s()]:
            del self._again_s[slot]
            self._start(slot)
        if self._first is None and self._starting:
            self._first = set(self._starting)
        if not self._told_of_waiting and not self.hellos and self._waited(SLOW_START_S):
            self._told_of_waiting = True
            slots = f"none of {len(self._starting)} slots is ready" if self._starting else "no slot"
            self.tell(f"{slots} after {SLOW_START_S:g} s: another run may hold the nodes; waiting")

    def _start(self, slot: str) -> None:
        if self._starts.get(slot, 0) >= MAX_STARTS:
            self._drop(slot, f"its worker went {MAX_STARTS} times before it was ready")
            return
        self._starts[slot] = self._starts.get(slot, 0) + 1
        self._starting.add(slot)
        self.slots.start(slot)

    def _lose(self, slot: str) -> None:
        node = self.places.pop(slot)
        case_id, given_up = self.plan.leave(slot, lost=True)
        suspect = self._suspects.pop(slot, None)
        if suspect is not None:  # it went before its node was known to be gone
            given_up = self.plan.node_lost(suspect)
        self._again_s.pop(slot, None)
        self._starting.discard(slot)
        self._forget_first(slot)
        self.lost_nodes.add(node)
        self.tell(f"node {node} is lost" + (f": {case_id} runs again" if case_id else ""))
        if given_up is not None:
            self._save_given_up(given_up, slot)

    def _drop(self, slot: str, reason: str) -> None:
        """No more of this slot, though its node lives."""
        self._dropped[slot] = reason
        self._starting.discard(slot)
        self._forget_first(slot)
        self.tell(f"slot on {self.places.get(slot, slot)} is left out: {reason}")

    def _forget_first(self, slot: str) -> None:
        if self._first is not None:
            self._first.discard(slot)

    # --- events -------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        slot = event.slot
        if slot not in self.places:
            return  # of a node that is gone
        if event.hello is not None:
            self._ready(slot, event.hello)
        elif event.reply is not None:
            self._ended_case(slot, event.reply)
        elif event.died is not None:
            case_id, given_up = self.plan.worker_died(slot, event.died)
            self.tell(f"{case_id} killed its worker on {self.places[slot]}: {event.died}")
            if given_up is not None:
                self._save_given_up(given_up, slot)
        elif event.refused is not None:
            self.plan.leave(slot)
            self._drop(slot, event.refused)
        else:
            case_id, given_up = self.plan.leave(slot)
            if given_up is not None:
                self._save_given_up(given_up, slot)
            elif case_id is not None:
                self._suspects[slot] = case_id
                self.tell(f"the worker on {self.places[slot]} is gone: {case_id} runs again")
            self._starting.add(slot)
            self._again_s[slot] = self.now_s() + LOOK_S * 2 ** self._starts.get(slot, 0)

    def _ready(self, slot: str, hello: Hello) -> None:
        self._starts[slot] = 0
        self._starting.discard(slot)
        self._forget_first(slot)
        self.hellos[slot] = hello
        self.welcome(hello)
        self.plan.join(slot, self.places[slot], hello.machine_ids, hello.offers)
        suspect = self._suspects.pop(slot, None)
        if suspect is not None:
            given_up = self.plan.blame(suspect, self.places[slot], "the worker's own process went")
            if given_up is not None:
                self._save_given_up(given_up, slot)

    def _ended_case(self, slot: str, reply: Reply) -> None:
        overhead_s = self.now_s() - self._sent_s.get(slot, self.now_s()) - reply.in_case_s
        self.overheads_s.append(overhead_s)
        if not self.plan.finish(slot, reply.case_id):
            self.tell(f"{reply.case_id} came a second time: dropped")
            return
        offer, hello = self.plan.offers[reply.case_id], self.hellos[slot]
        record = reply.record or self.give_up(GivenUp(offer, "it left no row"), hello)
        if record.suite == PEAKS:
            self.peaks.append(record)
        self._unsaved.append(Row(slot, record, reply.rounds_s, overhead_s))

    def _save_given_up(self, given_up: GivenUp, slot: str) -> None:
        self.tell(f"{given_up.offer.case_id} is given up: {given_up.reason}")
        self._unsaved.append(Row(slot, self.give_up(given_up, self.hellos[slot]), (), 0.0))

    # --- cases --------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        for slot in self.places if self.plan.waits else ():
            if not self._idle(slot):
                continue
            offer = self.plan.next_for(slot)
            if offer is None:
                continue
            kind = self.plan.kind_of(slot)
            needed = () if offer.first else tuple(r for r in self.peaks if r.machine_id in kind)
            self._sent_s[slot] = self.now_s()
            self.begun_s = self._sent_s[slot] if self.begun_s is None else self.begun_s
            self.slots.run(slot, Order(offer.case_id, needed))

    def _idle(self, slot: str) -> bool:
        ready = slot in self.hellos and slot not in self._starting and slot not in self._dropped
        return ready and self.plan.has(slot) and slot not in self.plan.running

    def _ended(self) -> bool:
        """All rows are there; or nothing runs, and nothing has happened for long."""
        waited = self._waited(self.patience_s)
        if not self.hellos and self._dropped and not self._starting:
            raise BadInputError(next(iter(self._dropped.values())))
        if not self.hellos and waited and not self.places:
            raise BadInputError(
                f"the cluster has had no node to measure on for {self.patience_s:g} s; expected "
                "one with a free CPU or GPU (`ray status` lists them)"
            )
        settled = bool(self.hellos) and (not self._first or waited)
        if self.plan.done and settled:
            return True
        return bool(self.hellos) and waited and not self.plan.running

    def _waited(self, for_s: float) -> bool:
        return self.now_s() - self._moved_s >= for_s
