"""When to read a counter so that its edges are sharp and the reading costs nothing.

Until the period is known the counter is read every millisecond. Every edge then narrows down when
the next ones are due, a span of time that is moved on by a period and widened by what the period
may be off. The counter is left alone until shortly before that span: mostly one reading finds the
edge not yet there, and a second one, after the span, finds it. An edge outside its span begins the
search anew. One that came before the first reading is seen late, so its bracket is wide, and
honest; the guard before the next ones is doubled, and shrinks again while readings come in time.

This file holds no clock: the recorder runs it in real time, the tests in virtual time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

from traincost.instruments.edges import Edge, estimate_period_s

T = TypeVar("T")

FAST_S = 1e-3
SHARP_S = 2.5e-3
"""Edges known no better are seen late, and tell nothing of the period."""
FEWEST_EDGES, MOST_EDGES = 5, 25
"""Sharp edges from which the period is estimated."""
ESTIMATE_EVERY = 8  # edges
GUARD_S = 0.4e-3
"""How long before an edge is due the reading starts, at least: a sleep may end late."""
OVERDUE = 3.0
"""Periods without an edge after which the next one is not waited for at full speed."""
SLOW_S = 2e-3


def drained(items: list[T]) -> list[T]:
    """Take what a list holds out of it; what another thread appends meanwhile stays in it."""
    taken = items[: len(items)]
    del items[: len(taken)]
    return taken


@dataclass
class EdgeFinder:
    """Takes readings in the order they were made, keeps the edges, says when to read next."""

    edges: list[Edge] = field(default_factory=list[Edge], init=False)
    _sharp: deque[Edge] = field(default_factory=lambda: deque[Edge](maxlen=MOST_EDGES), init=False)
    _value_j: float | None = field(default=None, init=False)
    _last_read_s: float = field(default=0.0, init=False)
    _period_s: float | None = field(default=None, init=False)
    _off_s: float = field(default=0.0, init=False)
    _due_s: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    _guard_s: float = field(default=GUARD_S, init=False)

    def put(self, called_s: float, returned_s: float, energy_j: float) -> None:
        """A reading, made between the two moments."""
        if self._value_j is not None and energy_j != self._value_j:
            self._found(Edge(self._last_read_s, returned_s, energy_j))
        self._value_j, self._last_read_s = energy_j, called_s

    def take(self) -> list[Edge]:
        """The edges found since the last call; safe while another thread adds to them."""
        return drained(self.edges)

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next reading."""
        if self._period_s is None:
            return FAST_S
        earliest_s, latest_s = self._due_s
        if now_s < earliest_s - self._guard_s:
            return earliest_s - self._guard_s - now_s
        if now_s < latest_s:
            return min(FAST_S, latest_s - now_s)
        return SLOW_S if now_s - latest_s > OVERDUE * self._period_s else FAST_S

    def _found(self, edge: Edge) -> None:
        self.edges.append(edge)
        sharp = edge.bracket_s <= SHARP_S
        if sharp:
            self._sharp.append(edge)
        if len(self._sharp) < FEWEST_EDGES:
            return
        if self._period_s is not None:
            wider_s = min(self._period_s / 2, 2 * self._guard_s)
            self._guard_s = max(GUARD_S, 0.9 * self._guard_s) if sharp else wider_s
        if self._period_s is None or len(self.edges) % ESTIMATE_EVERY == 0:
            self._period_s = estimate_period_s(self._sharp) or 0.0
            self._off_s = FAST_S / (len(self._sharp) - 1)  # as either end is known to FAST_S
        period_s, off_s = self._period_s, self._off_s
        earliest_s = max(edge.after_s, self._due_s[0])
        latest_s = min(edge.seen_s, self._due_s[1])
        if earliest_s > latest_s:
            earliest_s, latest_s = edge.after_s, edge.seen_s
        self._due_s = earliest_s + period_s - off_s, latest_s + period_s + off_s
