"""Hunger for data: what fewer samples cost in accuracy, and which remedy makes up for them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from difficulties.drawing import Line, Point, Series, curves
from difficulties.part import Part, table, times
from difficulties.rows import Spread, fastest_s, rows_of, spread, those, values
from traincost.data.record import Record
from traincost.show.report.plot import Axis

TARGET = 0.9
NONE = "none"
ONE_DIGIT = 1 / 179


def part() -> Part:
    """Of the suite `data_requirements`."""
    every = rows_of("data_requirements")
    rows = those(every, "samples", data="digits")
    compute = those(every, "compute", data="digits")
    return Part(
        "data",
        _measured(rows),
        _picture(rows),
        "Accuracy on held-out digits over the number of samples trained on, by remedy",
        _table(rows),
        _answer(rows, compute),
    )


def _sizes(rows: Sequence[Record]) -> list[int]:
    return sorted({r.dataset_samples or 0 for r in rows})


def _at(rows: Sequence[Record], remedy: str, n: int, column: str = "accuracy_heldout") -> Spread:
    found = spread(those(rows, "samples", remedy=remedy, dataset_samples=n), column)
    assert found is not None
    return found


def _measured(rows: Sequence[Record]) -> str:
    sizes, seeds = _sizes(rows), values(rows, "seed")
    return f"""
        a perceptron on {sizes[0]} to {sizes[-1]} digits, always over the same number of steps, so
        at the same compute, with {len(values(rows, "remedy")) - 1} remedies and none, {len(seeds)}
        seeds each ([suite](../suites/test_data_requirements.py), {len(rows)} rows; its CSV has
        texts, too). Held out are 179 digits: one is {ONE_DIGIT:.1%}, and a few of them are chance.
        Nothing was tuned for a remedy.
    """


def _picture(rows: Sequence[Record]) -> str:
    series: list[Series] = []
    for remedy in values(rows, "remedy"):
        at = [(float(n), _at(rows, remedy, n)) for n in _sizes(rows)]
        series.append(Series(remedy, [Point(n, s.median, s.low, s.high) for n, s in at]))
    return curves(
        "What fewer samples cost",
        Axis("digits trained on", plain=True),
        Axis("accuracy on held-out digits, median of seeds and their range", log=False, plain=True),
        series,
        lines=[Line(TARGET, f"target: {TARGET:g}", at_end=True)],
        ticks=[float(n) for n in _sizes(rows)],
    )


def _enough(rows: Sequence[Record], remedy: str) -> int | None:
    """The fewest samples with which the median seed ends at the target."""
    return next((n for n in _sizes(rows) if _at(rows, remedy, n).median >= TARGET), None)


def _table(rows: Sequence[Record]) -> str:
    remedies = values(rows, "remedy")
    heads = ("digits", *remedies, "gap, none")
    lines: list[list[str | int]] = [
        [
            n,
            *(_at(rows, remedy, n).text(".0%") for remedy in remedies),
            _at(rows, NONE, n, "gap_accuracy_share").text(".0%"),
        ]
        for n in _sizes(rows)
    ]
    prices = ["1x", *(times(_price(rows, r)) for r in remedies if r != NONE)]
    assert remedies[0] == NONE
    lines.append(["time of a step", *prices, ""])
    return table(
        "Accuracy on held-out digits, median (range over seeds); gap: accuracy on what was trained "
        "on, less that; time of a step without the looks of early stopping",
        heads,
        lines,
    )


def _price(rows: Sequence[Record], remedy: str) -> float:
    """Of the fastest step, which early stopping's looks are not in; the median over sizes."""
    ratios: list[float] = []
    for n in _sizes(rows):
        a, b = (
            statistics.median(
                fastest_s(r) for r in those(rows, "samples", remedy=name, dataset_samples=n)
            )
            for name in (remedy, NONE)
        )
        ratios.append(a / b)
    return statistics.median(ratios)


def _answer(rows: Sequence[Record], compute: Sequence[Record]) -> str:
    sizes = _sizes(rows)
    few, many = (_at(rows, NONE, n) for n in (sizes[0], sizes[-1]))
    gap_few, gap_many = (_at(rows, NONE, n, "gap_accuracy_share") for n in (sizes[0], sizes[-1]))
    assert few.high < many.low
    assert gap_few.low > gap_many.high
    better = [
        r for r in values(rows, "remedy") if r != NONE and _at(rows, r, sizes[0]).low > few.high
    ]
    assert len(better) <= 1
    helps = "no remedy beats it there beyond the range of the seeds"
    for name in better:
        helps = (
            f"only {name} beats it there beyond the range of the seeds, with "
            f"{_at(rows, name, sizes[0]).text('.0%')}, and reaches {TARGET:.0%} with "
            f"{_enough(rows, name)} digits where training alone needs {_enough(rows, NONE)}"
        )
    return f"""
        with {sizes[0]} digits in place of {sizes[-1]} accuracy falls from {many.text(".0%")} to
        {few.text(".0%")}, and the gap to the samples trained on grows from {gap_many.median:.0%} to
        {gap_few.median:.0%}; {helps}. {_compute(compute)}
    """


def _compute(rows: Sequence[Record]) -> str:
    steps = sorted(int(s) for s in values(rows, "steps"))
    sizes = _sizes(rows)

    def loss(n: int, s: int) -> float:
        found = spread(those(rows, "compute", dataset_samples=n, steps=s), "loss_heldout")
        assert found is not None
        return found.median

    least = min(steps, key=lambda s: loss(sizes[0], s))
    few, best = loss(sizes[0], steps[-1]), loss(sizes[0], least)
    many = loss(sizes[-1], steps[-1])
    assert few > many
    turned = (
        f"{steps[-1] // least} times the steps make held-out loss worse ({best:.2f} to "
        f"{few:.2f} nats)"
        if few > best
        else f"its held-out loss is {few:.2f} nats after {steps[-1]} steps"
    )
    return (
        f"Compute does not replace data: on {sizes[0]} digits {turned}, and {sizes[-1]} digits end "
        f"at {many:.2f} after the same {steps[-1]} steps."
    )
