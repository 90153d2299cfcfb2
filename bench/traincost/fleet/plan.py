"""Which case runs where: series stay on one kind of machine, lost cases run again, killers end.

Slots are alike when their machine ids agree. A series is what `compare` sets side by side: the
cases of one test function. It is bound to the kind of the slot that takes its first case; it may
change kind only while it has no row and none of its cases runs. Nothing here waits, and nothing
knows Ray.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from traincost.data.fleet_messages import Offer

Kind = tuple[str, ...]  # machine ids
MAX_KILLS = 3
"""A worker that died while its node lived on: after so many of them the case is the cause."""
MAX_NODES = 5
"""Lost with a case on them: by chance, or else it would take down every node there is."""


def series_of(case_id: str) -> str:
    """The test function of a case."""
    return case_id.partition("[")[0]


@dataclass(frozen=True)
class GivenUp:
    """A case that runs no more, and why."""

    offer: Offer
    reason: str


@dataclass
class _Trouble:
    """What became of workers and nodes under a case."""

    kills: list[str] = field(default_factory=list[str])  # reasons
    nodes: list[str] = field(default_factory=list[str])  # where workers were killed
    lost: int = 0  # nodes


@dataclass
class _Slot:
    node: str
    kind: Kind
    offers: Mapping[str, Offer]


@dataclass
class FleetPlan:
    """The state of all cases; `resumed` are finished ones and the machine id of their rows."""

    resumed: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])
    offers: dict[str, Offer] = field(default_factory=dict[str, Offer], init=False)
    finished: set[str] = field(default_factory=set[str], init=False)
    running: dict[str, str] = field(default_factory=dict[str, str], init=False)  # case by slot
    taken_over: int = field(default=0, init=False)  # cases that the resumed files have
    bound: dict[str, Kind] = field(default_factory=dict[str, Kind], init=False)  # by series
    _waiting: dict[str, dict[str, None]] = field(
        default_factory=dict[str, dict[str, None]], init=False
    )  # by series, in the order of the files
    _firsts: dict[str, Offer] = field(default_factory=dict[str, Offer], init=False)
    _slots: dict[str, _Slot] = field(default_factory=dict[str, _Slot], init=False)
    _known: dict[int, tuple[Sequence[Offer], dict[str, Offer]]] = field(
        default_factory=dict[int, "tuple[Sequence[Offer], dict[str, Offer]]"], init=False
    )  # what slots offer, by identity: a thousand of a kind offer the same
    _rows: dict[str, int] = field(default_factory=dict[str, int], init=False)  # by series
    _ids: dict[str, set[str]] = field(default_factory=dict[str, set[str]], init=False)
    _trouble: dict[str, _Trouble] = field(default_factory=dict[str, _Trouble], init=False)

    def __post_init__(self) -> None:
        for case_id, machine_id in self.resumed.items():
            if machine_id is not None:
                self._ids.setdefault(series_of(case_id), set()).add(machine_id)

    # --- what is known ------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Every case that a slot has named has its row."""
        return not self.waits and not self.running

    @property
    def waits(self) -> bool:
        """Some case has not been handed out."""
        return any(self._waiting.values())

    @property
    def missing(self) -> list[str]:
        """Cases without a row."""
        return [c for c in self.offers if c not in self.finished and c not in self.resumed]

    def has(self, slot: str) -> bool:
        """Whether a slot is ready, or runs a case."""
        return slot in self._slots

    def kind_of(self, slot: str) -> Kind:
        """The machine ids of a slot."""
        return self._slots[slot].kind

    def wanted_kinds(self) -> set[Kind]:
        """Kinds that cases without a row must run on."""
        series = {series_of(c) for c in self.missing}
        ids = {tuple(sorted(self._ids[s])) for s in series if s in self._ids}
        return {self.bound[s] for s in series if s in self.bound} or ids

    # --- slots come and go --------------------------------------------------------------------

    def join(self, slot: str, node: str, kind: Kind, offers: Sequence[Offer]) -> None:
        """A slot is ready; cases that nobody named before are added to the plan."""
        if id(offers) in self._known:
            self._slots[slot] = _Slot(node, kind, self._known[id(offers)][1])
            return
        by_id = {o.case_id: o for o in offers}
        self._known[id(offers)] = (offers, by_id)
        self._slots[slot] = _Slot(node, kind, by_id)
        for offer in offers:
            known = self.offers.get(offer.case_id)
            if known is None or (known.unavailable and not offer.unavailable):
                self.offers[offer.case_id] = offer
                if offer.first:
                    self._firsts[offer.case_id] = offer
            if known is None and offer.case_id in self.resumed:
                self.taken_over += 1
            elif known is None:
                self._waiting.setdefault(series_of(offer.case_id), {})[offer.case_id] = None

    def leave(self, slot: str, *, lost: bool = False) -> tuple[str | None, GivenUp | None]:
        """A slot is gone: the case it ran waits again, unless too many nodes went under it."""
        gone = self._slots.pop(slot, None)
        if gone is None:
            return None, None
        case_id, given_up = self.running.pop(slot, None), None
        if case_id is not None:
            self._wait_again(case_id)
            given_up = self.node_lost(case_id) if lost else self._if_condemned(case_id)
        if not any(s.kind == gone.kind for s in self._slots.values()):
            for series in [s for s, kind in self.bound.items() if kind == gone.kind]:
                if not self._rows.get(series):
                    del self.bound[series]
        return case_id, given_up

    # --- cases begin and end ------------------------------------------------------------------

    def next_for(self, slot: str) -> Offer | None:
        """The case that an idle slot runs now; None if it has to wait, or there is none."""
        here = self._slots[slot]
        if slot in self.running:
            return None
        choice = min(
            (
                (
                    *(not offer.first, offer.unavailable, series not in self.bound, number),
                    offer.case_id,
                )
                for number, (series, waiting) in enumerate(self._waiting.items())
                if waiting and self._fits(series, here.kind)
                for offer in self._takeable(series, here)
            ),
            default=None,
        )
        if choice is None:
            return None
        offer = here.offers[choice[-1]]
        if not offer.first and self._first_unfinished(here.kind):
            return None
        series = series_of(offer.case_id)
        self.bound.setdefault(series, here.kind)
        del self._waiting[series][offer.case_id]
        self.running[slot] = offer.case_id
        return offer

    def finish(self, slot: str, case_id: str) -> bool:
        """A row came; False if the case has one already, so that none is doubled."""
        if self.running.get(slot) == case_id:
            del self.running[slot]
        return self._close(case_id)

    def worker_died(self, slot: str, reason: str) -> tuple[str | None, GivenUp | None]:
        """The worker died under its case, its node lives on."""
        here = self._slots[slot]
        case_id = self.running.pop(slot, None)
        if case_id is None:
            return None, None
        self._wait_again(case_id)
        return case_id, self.blame(case_id, here.node, reason)

    def blame(self, case_id: str, node: str, reason: str) -> GivenUp | None:
        """Count a worker that a case has killed."""
        trouble = self._trouble.setdefault(case_id, _Trouble())
        trouble.kills.append(reason)
        trouble.nodes.append(node)
        return self._if_condemned(case_id)

    def node_lost(self, case_id: str) -> GivenUp | None:
        """Count a node that was lost while a case ran on it."""
        trouble = self._trouble.setdefault(case_id, _Trouble())
        trouble.lost += 1
        if trouble.lost < MAX_NODES:
            return None
        return self._give_up(case_id, f"{MAX_NODES} nodes were lost while it ran")

    # --- within -------------------------------------------------------------------------------

    def _fits(self, series: str, kind: Kind) -> bool:
        if series in self.bound:
            return self.bound[series] == kind
        return self._ids.get(series, set()).issubset(kind)

    def _takeable(self, series: str, here: _Slot) -> Iterable[Offer]:
        """What this slot can run of a series: the first that it measures, else that it lacks."""
        lacking: list[Offer] = []
        for case_id in self._waiting[series]:
            offer = here.offers.get(case_id)
            if offer is None or self._avoids(case_id, here):
                continue
            if not offer.unavailable:
                return [offer]
            if self.offers[case_id].unavailable:
                lacking.append(offer)
        return lacking[:1]

    def _avoids(self, case_id: str, here: _Slot) -> bool:
        """Another node of this kind has not yet lost a worker to this case."""
        died_on = self._trouble[case_id].nodes if case_id in self._trouble else []
        if here.node not in died_on:
            return False
        return any(s.kind == here.kind and s.node not in died_on for s in self._slots.values())

    def _first_unfinished(self, kind: Kind) -> bool:
        """A case that others need the numbers of still runs, or will, on this kind."""
        return any(
            not offer.unavailable
            and self.bound.get(series_of(case_id)) == kind
            and (
                case_id in self._waiting.get(series_of(case_id), {})
                or case_id in self.running.values()
            )
            for case_id, offer in self._firsts.items()
            if case_id not in self.finished
        )

    def _if_condemned(self, case_id: str) -> GivenUp | None:
        trouble = self._trouble.get(case_id, _Trouble())
        if len(trouble.kills) < MAX_KILLS:
            return None
        where, how = (", ".join(dict.fromkeys(told)) for told in (trouble.nodes, trouble.kills))
        times = len(trouble.kills)
        return self._give_up(case_id, f"killed its worker {times} times ({how}) on {where}")

    def _wait_again(self, case_id: str) -> None:
        if case_id not in self.finished:
            waiting = self._waiting.setdefault(series_of(case_id), {})
            self._waiting[series_of(case_id)] = {case_id: None, **waiting}

    def _give_up(self, case_id: str, reason: str) -> GivenUp | None:
        if case_id in self.running.values() or not self._close(case_id):
            return None  # it runs again elsewhere: its end decides
        self._waiting.get(series_of(case_id), {}).pop(case_id, None)
        return GivenUp(self.offers[case_id], reason)

    def _close(self, case_id: str) -> bool:
        if case_id in self.finished or case_id in self.resumed:
            return False
        self.finished.add(case_id)
        self._waiting.get(series_of(case_id), {}).pop(case_id, None)
        series = series_of(case_id)
        self._rows[series] = self._rows.get(series, 0) + 1
        return True
