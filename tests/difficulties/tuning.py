"""Expert tuning: what a configuration costs that is found by trial and error, by search method.

What a search spent that did not reach the target is no cost of reaching it, but less than that: in
a median it counts as more than any search that did, and a range is of those that did.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from difficulties.drawing import Dots, Point, dot_rows
from difficulties.part import Part, table, times
from difficulties.rows import number, rows_of, spread, those, values
from traincost.data.record import Record, Status
from traincost.show.report.plot import Axis
from traincost.show.units import amount

SUITE, LIMIT_S = "tuning", 30.0
COST = "search_flops"


def part() -> Part:
    """Of the suite `tuning`."""
    rows = [r for r in rows_of("tuning") if r.status != Status.UNAVAILABLE]
    return Part(
        "tuning",
        _measured(rows),
        _picture(rows),
        "FLOPs of a search until its target, ten seeds of each method, and their median",
        _table(rows),
        _answer(rows),
    )


@dataclass(frozen=True)
class Price:
    """FLOPs to the target, by one method."""

    median: float  # over all searches; infinite where half of them did not reach the target
    low: float  # of those that did
    high: float

    def text(self) -> str:
        """`24.6 GFLOP`, or what it is more than."""
        if math.isinf(self.median):
            return f"more than {amount(self.high)}FLOP"
        return f"{amount(self.median)}FLOP"


def timed_out(rows: Iterable[Record]) -> list[Record]:
    """Searches that the limit of time ended."""
    return [r for r in rows if (number(r, "search_time_s") or 0.0) >= LIMIT_S and r.suite == SUITE]


def price_of(rows: Sequence[Record]) -> Price | None:
    """What one method pays; None where no search of it reached the target."""
    spent = [number(r, COST) or 0.0 for r in _reached(rows)]
    if not spent:
        return None
    missed = [math.inf] * (len(rows) - len(spent))
    return Price(statistics.median([*spent, *missed]), min(spent), max(spent))


def _of(rows: Sequence[Record], method: str) -> list[Record]:
    return those(rows, "to_target", method=method)


def _reached(rows: Sequence[Record]) -> list[Record]:
    return [r for r in rows if r.steps_to_target is not None]


def _measured(rows: Sequence[Record]) -> str:
    (target,) = {r.target for r in rows}
    assert target is not None
    late = len(timed_out(rows))
    by_time = (
        f"{late} of them ended by that limit of time, in which other work had a part"
        if late
        else "none was ended by its limit of time, so other work on the machine changed none"
    )
    return f"""
        {len(values(rows, "method"))} methods search one space (width, depth, activation, rate and
        batch of a perceptron on digits) until a trial reaches `{target}`, or 2e11 FLOPs, 15,000
        steps or {LIMIT_S:.0f} s of training are spent; {len(values(rows, "seed"))} seeds each
        ([suite](../suites/test_tuning.py), {len(rows)} rows); {by_time}. Held-out accuracy chose
        the winner, and is an optimistic word for it.
    """


def _picture(rows: Sequence[Record]) -> str:
    lines: list[Dots] = []
    for method in values(rows, "method"):
        mine = _of(rows, method)
        dots = [
            (0, Point(number(r, COST) or 0.0, 0, hollow=r.steps_to_target is None, size=0.8))
            for r in mine
        ]
        price = price_of(mine)
        if price is not None and math.isfinite(price.median):
            dots.append((1, Point(price.median, 0, size=1.4)))
        lines.append(Dots(method, dots, f"{len(_reached(mine))} of {len(mine)} reached"))
    return dot_rows(
        "What a search spends until its target; hollow: not reached",
        Axis("FLOPs of all trials"),
        lines,
        ["a search, one seed", "median, not reached above all"],
    )


def _known(row: Record) -> float:
    """FLOPs of the winner's training alone."""
    return (row.steps_to_target or 0) * (row.flops or 0)


def _table(rows: Sequence[Record]) -> str:
    lines: list[list[str]] = []
    for method in values(rows, "method"):
        mine = _of(rows, method)
        price, trials = price_of(mine), spread(mine, "search_trials")
        assert trials is not None
        ratios = [(number(r, COST) or 0.0) / _known(r) for r in _reached(mine)]
        ends = [
            sum(int(number(r, f"search_{name}_trials") or 0) for r in mine)
            for name in ("diverged", "ended_early")
        ]
        lines.append(
            [
                method,
                f"{len(_reached(mine))} of {len(mine)}",
                trials.text(),
                "" if price is None else f"{price.text()} ({_span(price)})",
                times(statistics.median(ratios)) if ratios else "",
                *map(str, ends),
            ]
        )
    heads = (
        "method",
        "reached",
        "trials",
        "to the target",
        "over the winner's",
        "diverged",
        "ended early",
    )
    return table(
        "Trials of a search, median (range) over seeds; FLOPs to the target, median over seeds, "
        "those that missed it above all (range of those that did not); the same over what the "
        "winner's training takes; trials of all seeds that diverged or were given up",
        heads,
        lines,
    )


def _span(price: Price) -> str:
    return f"{amount(price.low)} to {amount(price.high)}"


def _answer(rows: Sequence[Record]) -> str:
    prices = {m: price_of(_of(rows, m)) for m in values(rows, "method")}
    known = {m: p for m, p in prices.items() if p is not None}
    cheap, dear = (pick(known, key=lambda m: known[m].median) for pick in (min, max))
    ratios = [(number(r, COST) or 0.0) / _known(r) for r in _reached(rows)]
    assert min(ratios) >= 0.99 and statistics.median(ratios) > 1
    a, b = known[cheap], known[dear]
    apart = "though their ranges overlap" if b.low <= a.high else "and their ranges do not overlap"
    widest = max(p.high / p.low for p in known.values())
    return f"""
        not knowing the configuration costs {times(statistics.median(ratios))} the training of the
        winner in the median of {len(ratios)} searches that found one, and up to
        {times(max(ratios))}; {len(rows) - len(ratios)} of {len(rows)} spent their budget and found
        none. The cheapest method in the median is {cheap} ({a.text()}), the dearest {dear}
        ({b.text()}), {apart}: luck alone spreads the cost of one method's searches that arrive by
        up to {times(widest)}.
    """
