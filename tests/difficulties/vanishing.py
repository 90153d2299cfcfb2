"""Vanishing gradients: what depth leaves of them, and what brings them and learning back."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from difficulties.drawing import Line, Point, Series, curves
from difficulties.part import Part, table, times
from difficulties.rows import fastest_s, is_timed, number, rows_of, spread, those, told, values
from traincost.data.record import Record, Status
from traincost.show.report.plot import Axis
from traincost.show.units import plain

DEEP = 32
LOST, LEARNED, CHANCE = 1e-8, 0.5, 0.15
"""A ratio that fp32 cannot add to a weight; accuracies of a net that learns, and of a guess."""
NEAR_ONE = (0.1, 10.0)
SHOWN = ("sigmoid", "tanh", "relu", "gelu", "silu")


@dataclass(frozen=True)
class Net:
    """One activation and remedy at the depth of the table: its rows are of several seeds."""

    activation: str
    remedy: str
    rows: Sequence[Record]

    @property
    def ratio(self) -> float | None:
        """At the start, median over seeds; None where no gradient is left of either layer."""
        found = spread(self.rows, "grad_norm_ratio")
        return None if found is None else found.median

    @property
    def accuracy(self) -> float:
        """After training, median over seeds; a seed that diverged has none of it."""
        return statistics.median(r.accuracy_heldout or 0.0 for r in self.rows)

    @property
    def outcome(self) -> str:
        """One of four, so that they add up."""
        if any(r.status == Status.DIVERGED for r in self.rows):
            return "diverged"
        if self.accuracy >= LEARNED:
            return "learned"
        return "guess" if self.accuracy < CHANCE else "between"

    @property
    def step_s(self) -> float | None:
        """The fastest step of any seed; None where all ended too soon."""
        return min(map(fastest_s, filter(is_timed, self.rows)), default=None)

    @property
    def step_bytes(self) -> float:
        """Memory of a step."""
        return number(self.rows[0], "step_peak_bytes") or 0.0

    @property
    def rate(self) -> float:
        """What the search found for it, alike for all seeds."""
        (found,) = {r.metrics["learning_rate"] for r in self.rows}
        return found


def part() -> Part:
    """Of the suite `gradients`, test `depth`."""
    rows = those(rows_of("gradients"), "depth")
    deep = those(rows, "depth", depth=DEEP)
    nets = [
        Net(a, m, those(deep, "depth", activation=a, remedy=m))
        for a in values(deep, "activation")
        for m in values(deep, "remedy")
    ]
    return Part(
        "vanishing",
        _measured(rows, deep),
        _picture(rows),
        "The ratio of the first layer's gradient to the last's over depth, sigmoid and ReLU, with "
        "and without remedies",
        _table(nets),
        _answer(rows, nets),
    )


def _measured(rows: Sequence[Record], deep: Sequence[Record]) -> str:
    depths = sorted({int(told(r, "depth")) for r in rows})
    (steps,) = {r.loss_steps for r in rows if r.status != Status.DIVERGED}
    (trials,) = {r.metrics["search_trials"] for r in rows}
    return f"""
        perceptrons of {depths[0]} to {depths[-1]} layers of 64 units on the digits,
        {len(values(rows, "activation"))} activations, {len(values(rows, "remedy")) - 1} remedies
        and none, {steps} steps of SGD with momentum each
        ([suite](../suites/test_gradients.py), {len(rows)} rows). Each net has its own rate: of six
        between 3e-4 and 0.1 the one with the lowest held-out loss over two seeds apart, {trials:g}
        trainings for every net, with a remedy or without. The ratio is the norm of the first
        layer's gradient over that of the last one's. {DEEP} layers are of
        {len(values(deep, "seed"))} seeds, other depths of one, of which decades count.
    """


def _picture(rows: Sequence[Record]) -> str:
    lines = [("sigmoid", r) for r in ("none", "he", "residual", "batch-norm")]
    lines += [("relu", r) for r in ("none", "he")]
    series: list[Series] = []
    for activation, remedy in lines:
        chosen = those(rows, "depth", activation=activation, remedy=remedy)
        points: list[Point] = []
        for depth in sorted({int(told(r, "depth")) for r in chosen}):
            found = spread(those(chosen, "depth", depth=depth), "grad_norm_ratio")
            if found is not None and found.low > 0:
                points.append(Point(float(depth), found.median, found.low, found.high))
        series.append(Series(f"{activation}, {remedy}", points))
    return curves(
        "How much of a gradient reaches the first layer",
        Axis("hidden layers", plain=True),
        Axis("gradient of the first layer over the last's, at the start", plain=True),
        series,
        lines=[Line(LOST, "below: nothing is added to a weight in fp32")],
        ticks=(2, 4, 8, 16, 32, 64),
    )


def _table(nets: Sequence[Net]) -> str:
    lines: list[list[str]] = []
    for remedy in dict.fromkeys(n.remedy for n in nets):
        mine = {n.activation: n for n in nets if n.remedy == remedy}
        ratios = [_ratio(mine[a].ratio) for a in ("sigmoid", "relu")]
        rates = sorted(n.rate for n in mine.values())
        accuracies = [_accuracy(mine[a]) for a in SHOWN]
        lines.append([remedy, *ratios, *accuracies, _range(rates), *_price(nets, remedy)])
    heads = ("remedy", "ratio, sigmoid", "ratio, ReLU", *SHOWN, "rates", "step time", "step memory")
    return table(
        f"{DEEP} layers: ratio at the start, accuracy on held-out digits after training, median "
        "(range over seeds), the nets' rates, and the price of a step over that without remedy",
        heads,
        lines,
    )


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.0e}" if ratio < 1e-2 else f"{ratio:.3g}"


def _range(rates: Sequence[float]) -> str:
    low, high = plain(rates[0]), plain(rates[-1])
    return low if low == high else f"{low} to {high}"


def _accuracy(net: Net) -> str:
    found = spread(net.rows, "accuracy_heldout")
    return "diverged" if found is None else found.text(".0%")


def _price(nets: Sequence[Net], remedy: str) -> list[str]:
    """Medians over activations of the ratio to the net without remedy."""
    bare = {n.activation: n for n in nets if n.remedy == "none"}
    pairs = [(n, bare[n.activation]) for n in nets if n.remedy == remedy]
    return [
        times(statistics.median(a.step_s / b.step_s for a, b in pairs if a.step_s and b.step_s)),
        times(statistics.median(a.step_bytes / b.step_bytes for a, b in pairs)),
    ]


def _answer(rows: Sequence[Record], nets: Sequence[Net]) -> str:
    sigmoid = {
        depth: spread(
            those(rows, "depth", activation="sigmoid", depth=depth, remedy="none"),
            "grad_norm_ratio",
        )
        for depth in (4, DEEP)
    }
    shallow, vanished = (s.median for s in sigmoid.values() if s is not None)
    assert shallow / vanished > 1e6
    bare = [n for n in nets if n.remedy == "none"]
    assert all(n.outcome == "guess" for n in bare)
    learned = [n for n in nets if n.outcome == "learned"]
    by_remedy = [f"{k} with {name}" for name, k in Counter(n.remedy for n in learned).most_common()]
    near = [n for n in nets if n.ratio and NEAR_ONE[0] <= n.ratio <= NEAR_ONE[1]]
    ends = Counter(n.outcome for n in near)
    others = sorted(n.ratio or 0.0 for n in learned if n not in near)
    return f"""
        from 4 to {DEEP} sigmoid layers the ratio falls from {shallow:.0e} to {vanished:.0e}, and no
        activation learns {DEEP} layers without a remedy; with one, each at the best of the same
        rates, {len(learned)} of {len(nets) - len(bare)} nets get half of the digits right or more
        ({", ".join(by_remedy)}). A mended ratio helps and is not enough: of {len(near)} nets that
        start with one between {NEAR_ONE[0]:g} and {NEAR_ONE[1]:g}, {ends["learned"]} learn,
        {ends["between"]} get part of the way, {ends["guess"]} are still at a guess, and
        {ends["diverged"]} diverge on a seed or more; {_outside(others)}.
    """


def _outside(ratios: Sequence[float]) -> str:
    """What those start with that learn all the same."""
    if not ratios:
        return "none that learns starts outside of it"
    return f"{len(ratios)} that learn start outside of it, at {_words([_ratio(r) for r in ratios])}"


def _words(texts: Sequence[str]) -> str:
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last
