"""The choice of a learning rate: how wide the range is that works, and what finding it costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from difficulties.drawing import Line, Point, Series, curves
from difficulties.part import Part, table, times
from difficulties.rows import number, rows_of, spread, those, told, values
from traincost.data.record import Record
from traincost.show.report.plot import Axis
from traincost.show.units import plain

PROBLEM, OPTIMIZERS = "digits", ("momentum", "adam")
CHANCE = 2.30
"""The loss of a guess among ten digits, nats."""


def part() -> Part:
    """Of the suite `learning_rate`."""
    rows = rows_of("learning_rate")
    return Part(
        "rate",
        _measured(rows),
        _picture(rows),
        "Held-out loss over nine decades of learning rates, momentum and Adam on digits",
        f"{_finding(rows)}\n{_schedules(rows)}",
        _answer(rows),
    )


def _at(rows: Sequence[Record], optimizer: str, rate: str) -> list[Record]:
    return those(rows, "constant_rate", problem=PROBLEM, optimizer=optimizer, rate=rate)


def _rates(rows: Sequence[Record]) -> list[str]:
    return sorted(values(those(rows, "constant_rate"), "rate"), key=float)


def _measured(rows: Sequence[Record]) -> str:
    rates = _rates(rows)
    seeds = len(values(those(rows, "constant_rate", problem=PROBLEM), "seed"))
    return f"""
        trainings at {len(rates)} decades of constant rates, {rates[0]} to {rates[-1]}, until the
        target or a budget of steps; five schedules, each at a peak rate of its own search; and two
        ways to a rate: a search of ten trials, and a range test, one training of 100 steps under a
        rising rate ([suite](../suites/test_learning_rate.py), {len(rows)} rows, {seeds} seeds on
        digits). Rates are found on another seed than those of the rows.
    """


def _picture(rows: Sequence[Record]) -> str:
    found = {
        (o, r): spread(_at(rows, o, r), "loss_heldout") for o in OPTIMIZERS for r in _rates(rows)
    }
    ceiling = 2 * max(s.high for s in found.values() if s is not None)
    series: list[Series] = []
    for o in OPTIMIZERS:
        points: list[Point] = []
        for r in _rates(rows):
            s = found[o, r]
            if s is not None:
                points.append(Point(float(r), s.median, s.low, s.high))
            if s is None or s.n < s.of:
                points.append(Point(float(r), ceiling, hollow=True))
        series.append(Series(o, points))
    is_lost = any(s is None or s.n < s.of for s in found.values())
    lost = [Line(ceiling, "diverged, some seeds or all")] if is_lost else []
    target = _target(_at(rows, OPTIMIZERS[0], _rates(rows)[0]))
    return curves(
        "Where training crawls, arrives and fails",
        Axis("learning rate", plain=True),
        Axis("held-out loss at the end, median of seeds and their range", plain=True),
        series,
        lines=[*lost, Line(target, f"target: {target:g}")],
        ticks=[float(r) for r in _rates(rows)],
    )


def _target(rows: Sequence[Record]) -> float:
    (text,) = {r.target for r in rows}
    assert text is not None
    return float(text.rpartition(" ")[2])


def _finders(rows: Iterable[Record]) -> list[tuple[str, str, str]]:
    return list(
        dict.fromkeys(
            (told(r, "problem"), told(r, "optimizer"), told(r, "method"))
            for r in those(rows, "find_rate")
        )
    )


def _found(rows: Sequence[Record], key: tuple[str, str, str]) -> list[Record]:
    problem, optimizer, method = key
    return those(rows, "find_rate", problem=problem, optimizer=optimizer, method=method)


def _finding(rows: Sequence[Record]) -> str:
    lines: list[list[str]] = []
    for key in _finders(rows):
        mine = _found(rows, key)
        steps = spread(mine, "steps_to_target")
        search = number(mine[0], "search_steps") or 0.0
        lines.append(
            [
                " · ".join(key),
                plain(mine[0].metrics["learning_rate"]),
                f"{search:,.0f}",
                "missed" if steps is None else steps.text(),
                "" if steps is None else times(search / steps.median),
            ]
        )
    heads = ("problem · optimizer · way", "rate", "steps to find it", "steps at it", "price")
    return table(
        "Ways to a rate: steps of the search, steps to the target at that rate (range over seeds), "
        "and the first over the second",
        heads,
        lines,
    )


def _schedules(rows: Sequence[Record]) -> str:
    chosen = those(rows, "schedule", problem=PROBLEM)
    lines: list[list[str]] = []
    for schedule in values(chosen, "schedule"):
        cells: list[str] = []
        for o in OPTIMIZERS:
            mine = those(chosen, "schedule", optimizer=o, schedule=schedule)
            steps, loss = (spread(mine, c) for c in ("steps_to_target", "loss_heldout"))
            cells += [
                "missed" if steps is None else steps.text(),
                "diverged" if loss is None else loss.text(".3f"),
            ]
        lines.append([schedule, *cells])
    heads = ("schedule", *(f"{o}, {what}" for o in OPTIMIZERS for what in ("steps", "loss")))
    return table(
        f"Schedules on {PROBLEM}: steps to the target, and held-out loss at the end of the budget, "
        "median (range over seeds)",
        heads,
        lines,
    )


def _working(rows: Sequence[Record], optimizer: str) -> tuple[list[str], list[str]]:
    """Rates at which every seed reaches the target, and at which some do."""
    found = {r: spread(_at(rows, optimizer, r), "steps_to_target") for r in _rates(rows)}
    every = [r for r, s in found.items() if s is not None and s.n == s.of]
    return every, [r for r, s in found.items() if s is not None and r not in every]


def _width(rows: Sequence[Record], optimizer: str) -> str:
    every, some = _working(rows, optimizer)
    at = f" ({', '.join(every)})" if every else ""
    more = f" (some seeds at {' and '.join(some)})" if some else ""
    return f"with {optimizer} at {len(every) or 'none'}{at}{more}"


def _beside(rows: Sequence[Record], optimizer: str) -> str:
    """What a tenth of the only rate that works does, and ten times it."""
    ((best,), _), rates = _working(rows, optimizer), _rates(rows)
    low, high = (_at(rows, optimizer, rates[rates.index(best) + i]) for i in (-1, 1))
    crawls, fails = (spread(r, "loss_heldout") for r in (low, high))
    assert crawls is not None and fails is not None
    target = _target(low)
    assert target < crawls.low and crawls.high < fails.low and fails.low > CHANCE
    return (
        f"a tenth of {optimizer}'s {best} has not arrived at the end of the budget (loss "
        f"{crawls.median:.3f}, target {target:g}), ten times it is no better than a guess "
        f"({fails.median:.3f})"
    )


def _answer(rows: Sequence[Record]) -> str:
    prices: dict[str, list[float]] = {"search": [], "range-test": []}
    missed: dict[str, int] = dict.fromkeys(prices, 0)
    for key in _finders(rows):
        mine = _found(rows, key)
        steps = spread(mine, "steps_to_target")
        if steps is None or steps.n < steps.of:
            missed[key[2]] += 1
        if steps is not None:
            prices[key[2]].append((number(mine[0], "search_steps") or 0.0) / steps.median)
    search, test = (statistics.median(prices[m]) for m in ("search", "range-test"))
    assert search > 1 and search > test
    n = sum(key[2] == "search" for key in _finders(rows))
    return f"""
        of {len(_rates(rows))} decades of rates all seeds reach the target on digits
        {" and ".join(_width(rows, o) for o in OPTIMIZERS)}; {_beside(rows, "momentum")}. A search
        of ten trials costs {times(search)} the training that it is for (median of {n} problems and
        optimizers), a range test {times(test)}, but its rate misses the target on a seed or more in
        {missed["range-test"]} of {n} cases, that of the search in {missed["search"]}.
    """
