"""An engine of a fleet in virtual time: nodes that are lost and come, workers that cases kill."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from traincost.data.fleet_messages import Hello, Offer, Order, Reply
from traincost.data.record import Record, Status
from traincost.fleet.drive import Drive, Event, Row
from traincost.fleet.plan import FleetPlan, GivenUp


def offers(*names: str, first: Sequence[str] = ()) -> list[Offer]:
    """Cases `a/x[n=1]` and the like."""
    return [Offer(name, name.partition("/")[0], first=name in first) for name in names]


def hello(machine_id: str, given: Iterable[Offer], host: str = "h") -> Hello:
    """Of a slot of this machine id."""
    return Hello({"cpu": {"machine_id": machine_id, "host": host}}, {}, tuple(given))


def row_of(case_id: str, machine_id: str | None) -> Record:
    """A finished row."""
    suite = case_id.partition("/")[0]
    return Record(run_id="r", started_at="t", suite=suite, case_id=case_id, machine_id=machine_id)


@dataclass
class Engine:
    """`Slots` whose time passes only in `wait`."""

    kinds: dict[str, str]  # machine id by node; a slot each
    cases: Mapping[str, Sequence[Offer]]  # by machine id
    case_s: float = 5.0
    start_s: float = 3.0
    unseen_s: float = 10.0  # until the cluster sees that a node is lost
    killers: frozenset[str] = frozenset()  # these end their worker
    actor_killers: frozenset[str] = frozenset()  # these end the process around it as well
    refusing: frozenset[str] = frozenset()  # nodes where no worker starts
    now: float = field(default=0.0, init=False)
    ran: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]], init=False)
    orders: list[Order] = field(default_factory=list[Order], init=False)
    _later: list[tuple[float, int, Callable[[], Event | None]]] = field(
        default_factory=list[tuple[float, int, Callable[[], "Event | None"]]], init=False
    )
    _dead: set[str] = field(default_factory=set[str], init=False)
    _busy: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _number: int = field(default=0, init=False)

    # --- what happens -------------------------------------------------------------------------

    def at(self, time_s: float, happens: Callable[[], Event | None]) -> None:
        """Later."""
        self._number += 1
        heapq.heappush(self._later, (time_s, self._number, happens))

    def lose(self, node: str) -> Event | None:
        """Its processes go at once, the cluster sees it later."""
        self._dead.add(node)
        self.at(self.now + self.unseen_s, lambda: self._unlist(node))
        self._busy.pop(node, None)
        return Event(node)

    def come(self, node: str, machine_id: str) -> Event | None:
        """A node joins."""
        self.kinds[node] = machine_id
        return None

    def _unlist(self, node: str) -> Event | None:
        self.kinds.pop(node, None)
        return None

    # --- Slots --------------------------------------------------------------------------------

    def places(self) -> Mapping[str, str]:
        """One slot a node."""
        return {node: node for node in self.kinds}

    def start(self, slot: str) -> None:
        """Ready after a while."""
        machine_id = self.kinds.get(slot, "")

        def ready() -> Event | None:
            if slot in self._dead:
                return Event(slot)
            if slot in self.refusing:
                return Event(slot, refused=f"no torch on {slot}")
            return Event(slot, hello=hello(machine_id, self.cases[machine_id], slot))

        self.at(self.now + self.start_s, ready)

    def run(self, slot: str, order: Order) -> None:
        """One case at a time, or the drive is at fault."""
        assert slot not in self._busy, f"{slot} is not idle"
        machine_id = self.kinds.get(slot, "")
        self._busy[slot] = order.case_id
        self.orders.append(order)

        def end() -> Event | None:
            if slot in self._dead:
                return None if slot not in self._busy else Event(slot)
            del self._busy[slot]
            if order.case_id in self.actor_killers:
                return Event(slot)
            if order.case_id in self.killers:
                return Event(slot, died="SIGKILL")
            self.ran.append((slot, order.case_id))
            return Event(slot, reply=Reply(order.case_id, row_of(order.case_id, machine_id)))

        self.at(self.now + self.case_s, end)

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """The next event, or the time."""
        until = self.now + timeout_s
        while self._later and self._later[0][0] <= until:
            self.now, _, happens = heapq.heappop(self._later)
            event = happens()
            if event is not None:
                return [event]
        self.now = until
        return []


@dataclass
class Home:
    """Where rows arrive."""

    rows: list[Row] = field(default_factory=list[Row])
    said: list[str] = field(default_factory=list[str])

    @property
    def case_ids(self) -> list[str]:
        """Of the rows, in order."""
        return [row.record.case_id for row in self.rows]

    @property
    def failed(self) -> dict[str, str | None]:
        """Notes of rows with the status `error`."""
        return {
            r.record.case_id: r.record.notes for r in self.rows if r.record.status == Status.ERROR
        }

    def give_up(self, given_up: GivenUp, hello: Hello) -> Record:
        """An `error` row."""
        row = row_of(given_up.offer.case_id, hello.machine_ids[0])
        return replace(row, status=Status.ERROR, notes=given_up.reason)


def driven(
    engine: Engine,
    plan: FleetPlan | None = None,
    patience_s: float = 60.0,
    save: Callable[[Sequence[Row]], None] = lambda rows: None,
    home: Home | None = None,
) -> Home:
    """A whole run, in virtual time; `save` sees rows before they are home."""
    home = home or Home()

    def keep(rows: Sequence[Row]) -> None:
        save(rows)
        home.rows.extend(rows)

    Drive(
        engine,
        plan or FleetPlan(),
        save=keep,
        give_up=home.give_up,
        welcome=lambda hello: None,
        tell=home.said.append,
        progress=lambda drive: None,
        patience_s=patience_s,
        now_s=lambda: engine.now,
    ).run()
    return home
