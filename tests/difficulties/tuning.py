"""Expert tuning: what a configuration costs that is found by trial and error, by search method."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from difficulties.drawing import Dots, Point, dot_rows
from difficulties.part import Part, table, times
from difficulties.rows import number, rows_of, spread, those, values
from traincost.data.record import Record, Status
from traincost.show.report.plot import Axis
from traincost.show.units import amount

LIMIT_S = 30.0
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


def _of(rows: Sequence[Record], method: str) -> list[Record]:
    return those(rows, "to_target", method=method)


def _reached(rows: Sequence[Record]) -> list[Record]:
    return [r for r in rows if r.steps_to_target is not None]


def _measured(rows: Sequence[Record]) -> str:
    (target,) = {r.target for r in rows}
    assert target is not None
    timed_out = sum((number(r, "search_time_s") or 0.0) >= LIMIT_S for r in rows)
    by_time = (
        f"{timed_out} of them ended by that limit of time, in which other work had a part"
        if timed_out
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
        middle = statistics.median(number(r, COST) or 0.0 for r in mine)
        dots.append((1, Point(middle, 0, size=1.4)))
        lines.append(Dots(method, dots, f"{len(_reached(mine))} of {len(mine)} reached"))
    return dot_rows(
        "What a search spends until its target; hollow: not reached",
        Axis("FLOPs of all trials"),
        lines,
        ["a search, one seed", "median of the seeds"],
    )


def _known(row: Record) -> float:
    """FLOPs of the winner's training alone."""
    return (row.steps_to_target or 0) * (row.flops or 0)


def _table(rows: Sequence[Record]) -> str:
    lines: list[list[str]] = []
    for method in values(rows, "method"):
        mine = _of(rows, method)
        flops, trials = spread(mine, COST), spread(mine, "search_trials")
        assert flops is not None and trials is not None
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
                f"{amount(flops.median)} ({amount(flops.low)} to {amount(flops.high)})",
                times(statistics.median(ratios)) if ratios else "",
                *map(str, ends),
            ]
        )
    heads = ("method", "reached", "trials", "FLOPs", "over the winner's", "diverged", "ended early")
    return table(
        "Median (range) over seeds of trials and FLOPs of a search, also of one that did not reach "
        "the target; what it spent over what the winner's training takes; trials of all seeds that "
        "diverged or were given up",
        heads,
        lines,
    )


def _answer(rows: Sequence[Record]) -> str:
    costs = {m: spread(_of(rows, m), COST) for m in values(rows, "method")}
    known = {m: s for m, s in costs.items() if s is not None}
    cheap, dear = (pick(known, key=lambda m: known[m].median) for pick in (min, max))
    ratios = [(number(r, COST) or 0.0) / _known(r) for r in _reached(rows)]
    assert min(ratios) >= 0.99 and statistics.median(ratios) > 1
    a, b = known[cheap], known[dear]
    apart = "though their ranges overlap" if b.low <= a.high else "and their ranges do not overlap"
    widest = max(s.high / s.low for s in known.values())
    return f"""
        not knowing the configuration costs {times(statistics.median(ratios))} the training of the
        winner in the median of {len(ratios)} searches that found one, and up to
        {times(max(ratios))}. The cheapest method in the median is {cheap} ({amount(a.median)}FLOP),
        the dearest {dear} ({amount(b.median)}FLOP), {apart}: luck alone spreads one method's cost
        by up to {times(widest)}.
    """
