"""Energy between two moments, from a counter that moves in steps.

A GPU's energy counter is true only at the moment it is updated, every 10 to 100 ms. The difference
of two readings is off by up to a whole update at each end. So the moments of the updates, its
edges, are recorded, and the window's ends are found between the edges around them. The mean power
from edge to edge is known,

    P_i = (E_{i+1} - E_i) / (t_{i+1} - t_i)

and a window mostly starts and ends where the power jumps, from idle to load and back. So between
two edges the power is taken to jump once, from P_{i-1} to P_{i+1}, at the moment that gives P_i;
where P_i does not lie between the two, it is taken as constant. A straight line instead would
leave out T·(P_load - P_idle)/3 of every window, on average.

    energy = E(end) - E(start)  ±  T·(P_hi - P_lo) + slack

T is the time between the edges around an end (half of it counts for each end), P_hi and P_lo the
highest and lowest power seen. Two courses of power that stay between them and agree at both edges
are never more than T/2·(P_hi - P_lo) apart, so this holds for whatever the power did, if it did not
leave what was seen. The slack is what is not known of the edges' own times, times the power, and
the counter's resolution of 1 mJ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

RESOLUTION_J = 1e-3
SHORTEST_PERIODS = 1.25
"""A window shorter than this many periods is refused; above 1, as the period is an estimate."""
BLUNT = 0.25
"""Edges known to no better than this share of the period are placed by the period."""
IMPOSSIBLE = 2.0
"""Power above this many times the card's limit is a broken counter, not power."""


@dataclass(frozen=True)
class Edge:
    """The counter was updated to `energy_j` after `after_s` and not later than `seen_s`."""

    after_s: float
    seen_s: float
    energy_j: float

    @property
    def time_s(self) -> float:
        """The middle of the two."""
        return (self.after_s + self.seen_s) / 2

    @property
    def bracket_s(self) -> float:
        """How far apart the two are."""
        return self.seen_s - self.after_s


@dataclass(frozen=True)
class CounterEnergy:
    """Energy of a window, the bound of its error, and the counter's period."""

    energy_j: float
    error_j: float
    period_s: float


@dataclass(frozen=True)
class Refusal:
    """Why there is no number."""

    reason: str


@dataclass(frozen=True)
class _Placed:
    """An edge at the best guess of its moment, off by `slack_s` at most."""

    time_s: float
    slack_s: float
    energy_j: float


@dataclass(frozen=True)
class _End:
    """The counter at an end of the window, between two edges."""

    energy_j: float
    gap_s: float
    slack_j: float


def estimate_period_s(edges: Sequence[Edge]) -> float | None:
    """Seconds from update to update; None below three edges.

    From the first to the last edge that is known well. Updates that were missed between them (the
    recorder was held up) are counted by the length of the gap.
    """
    if len(edges) < 3:
        return None
    usual_s = median(b.time_s - a.time_s for a, b in pairwise(edges))
    sharp = [edge for edge in edges if edge.bracket_s <= BLUNT * usual_s]
    known = sharp if len(sharp) >= 3 else edges
    updates = sum(max(1, round((b.time_s - a.time_s) / usual_s)) for a, b in pairwise(known))
    return (known[-1].time_s - known[0].time_s) / updates


def energy_between(
    edges: Sequence[Edge],
    start_s: float,
    end_s: float,
    *,
    seen_w: Sequence[float] = (),
    limit_w: float | None = None,
) -> CounterEnergy | Refusal:
    """Energy from `start_s` to `end_s`, with its bound, or the reason why there is none.

    Args:
        edges: Of one counter, in order; from before the window to after it.
        start_s: On the clock of the edges.
        end_s: The same.
        seen_w: Power seen by other means (a sensor, the idle power before): widens P_hi - P_lo.
        limit_w: The card's power limit, to know impossible values by.
    """
    if not edges:
        return Refusal("the energy counter did not change while it was watched")
    whole = _monotone(edges, start_s, end_s)
    if isinstance(whole, Refusal):
        return whole
    period_s = estimate_period_s(whole)
    if period_s is None:
        n = len(whole)
        return Refusal(f"window too short: the energy counter was updated only {n} times around it")
    length_s = end_s - start_s
    if length_s < SHORTEST_PERIODS * period_s:
        return Refusal(
            f"window too short: {length_s:.3g} s, the energy counter is updated every "
            f"{period_s:.3g} s"
        )
    if impossible := _impossible(whole, limit_w):
        return impossible
    placed = _placed(whole, period_s)
    first, last = _end_at(placed, start_s), _end_at(placed, end_s)
    if first is None or last is None:
        where = "before its start" if first is None else "after its end"
        return Refusal(f"window too short: the energy counter showed no update {where}")
    seen = [*_powers_w(placed), *seen_w]
    spread_w = max(seen) - min(seen)
    error_j = sum(e.gap_s / 2 * spread_w + e.slack_j + RESOLUTION_J for e in (first, last))
    return CounterEnergy(last.energy_j - first.energy_j, error_j, period_s)


def mean_power_w(edges: Sequence[Edge], limit_w: float | None = None) -> float | Refusal:
    """From the first edge to the last; refused where the counter is seen to be broken."""
    if len(edges) < 2:
        return Refusal(f"the energy counter was updated {len(edges)} times meanwhile")
    for a, b in pairwise(edges):
        if b.energy_j < a.energy_j:
            return Refusal(f"the energy counter went backwards by {a.energy_j - b.energy_j:.6g} J")
    if impossible := _impossible(edges, limit_w):
        return impossible
    return (edges[-1].energy_j - edges[0].energy_j) / (edges[-1].time_s - edges[0].time_s)


def _monotone(edges: Sequence[Edge], start_s: float, end_s: float) -> Sequence[Edge] | Refusal:
    """The edges around the window between which the counter never went backwards."""
    begin, stop = 0, len(edges)
    for i, (a, b) in enumerate(pairwise(edges), start=1):
        if b.energy_j >= a.energy_j:
            continue
        if b.seen_s <= start_s:
            begin = i
        elif a.after_s >= end_s:
            stop = i
            break
        else:
            back_j = a.energy_j - b.energy_j
            return Refusal(f"the energy counter went backwards by {back_j:.6g} J in the window")
    return edges[begin:stop]


def _placed(edges: Sequence[Edge], period_s: float) -> list[_Placed]:
    """Each edge at its best guess: where the period puts it in its bracket, if that is wide.

    A value shown is that of the latest update, so no bracket is longer than a period.
    """
    placed: list[_Placed] = []
    for edge in edges:
        after_s = max(edge.after_s, edge.seen_s - period_s)
        time_s = (after_s + edge.seen_s) / 2
        if placed and edge.seen_s - after_s > BLUNT * period_s:
            updates = max(1, round((time_s - placed[-1].time_s) / period_s))
            due_s = placed[-1].time_s + updates * period_s
            time_s = min(max(due_s, after_s), edge.seen_s)
        slack_s = max(time_s - after_s, edge.seen_s - time_s)
        placed.append(_Placed(time_s, slack_s, edge.energy_j))
    return placed


def _powers_w(edges: Sequence[_Placed]) -> list[float]:
    """Mean power from each edge to the next."""
    return [(b.energy_j - a.energy_j) / (b.time_s - a.time_s) for a, b in pairwise(edges)]


def _impossible(edges: Sequence[Edge], limit_w: float | None) -> Refusal | None:
    """A refusal if even the longest time that an edge leaves makes the power impossible."""
    if limit_w is None:
        return None
    least_w = max((b.energy_j - a.energy_j) / (b.seen_s - a.after_s) for a, b in pairwise(edges))
    if least_w <= IMPOSSIBLE * limit_w:
        return None
    return Refusal(
        f"the energy counter says {least_w:.0f} W, over twice the power limit of {limit_w:.0f} W"
    )


def _end_at(edges: Sequence[_Placed], time_s: float) -> _End | None:
    """The counter at a moment, from the edges around it; None where one is missing."""
    powers = _powers_w(edges)
    for i, (a, b) in enumerate(pairwise(edges)):
        if a.time_s <= time_s < b.time_s:
            gap_s, since_s = b.time_s - a.time_s, time_s - a.time_s
            before_w = powers[i - 1] if i > 0 else powers[i]
            after_w = powers[i + 1] if i + 1 < len(powers) else powers[i]
            risen_j = _risen_j(since_s, gap_s, before_w, powers[i], after_w)
            slack_j = max(before_w, powers[i], after_w) * max(a.slack_s, b.slack_s)
            return _End(a.energy_j + risen_j, gap_s, slack_j)
    return None


def _risen_j(since_s: float, gap_s: float, before_w: float, mean_w: float, after_w: float) -> float:
    """Energy since an edge, if the power jumps once on the way to the next one."""
    jump_w = after_w - before_w
    if jump_w == 0 or not min(before_w, after_w) <= mean_w <= max(before_w, after_w):
        return mean_w * since_s
    jump_s = gap_s * (after_w - mean_w) / jump_w
    return before_w * min(since_s, jump_s) + after_w * max(0.0, since_s - jump_s)
