"""Vanishing gradients: what depth leaves of them, and what brings them and learning back."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence

from difficulties.drawing import Line, Point, Series, curves
from difficulties.part import Part, table, times
from difficulties.rows import fastest_s, number, one, rows_of, those, told, values
from traincost.data.record import Record, Status
from traincost.show.report.plot import Axis

DEEP = 32
LOST, LEARNED, CHANCE = 1e-8, 0.5, 0.15
"""A ratio that fp32 cannot add to a weight; accuracies of a net that learns, and of a guess."""
SHOWN = ("sigmoid", "tanh", "relu", "gelu", "silu")


def part() -> Part:
    """Of the suite `gradients`, test `depth`."""
    rows = those(rows_of("gradients"), "depth")
    deep = those(rows, "depth", depth=DEEP)
    remedies = values(deep, "remedy")
    return Part(
        "vanishing",
        _measured(rows),
        _picture(rows),
        "The ratio of the first layer's gradient to the last's over depth, sigmoid and ReLU, with "
        "and without remedies",
        _table(deep, remedies),
        _answer(rows, deep),
    )


def _measured(rows: Sequence[Record]) -> str:
    depths = sorted({int(told(r, "depth")) for r in rows})
    activations = values(rows, "activation")
    (steps,) = {r.loss_steps for r in rows if r.status != Status.DIVERGED}
    return f"""
        perceptrons of {depths[0]} to {depths[-1]} layers of 64 units on the digits,
        {len(activations)} activations, {len(values(rows, "remedy")) - 1} remedies and none, {steps}
        steps of SGD with momentum each ([suite](../suites/test_gradients.py), {len(rows)} rows).
        The ratio is the norm of the first layer's gradient over that of the last one's. One seed:
        decades count, a few percent of accuracy do not.
    """


def _picture(rows: Sequence[Record]) -> str:
    lines = [("sigmoid", r) for r in ("none", "he", "residual", "batch-norm")]
    lines += [("relu", r) for r in ("none", "he")]
    series: list[Series] = []
    for activation, remedy in lines:
        chosen = those(rows, "depth", activation=activation, remedy=remedy)
        points = [(float(told(r, "depth")), r.grad_norm_ratio) for r in chosen]
        series.append(
            Series(f"{activation}, {remedy}", [Point(x, y) for x, y in sorted(points) if y])
        )
    return curves(
        "How much of a gradient reaches the first layer",
        Axis("hidden layers", plain=True),
        Axis("gradient of the first layer over the last's, at the start", plain=True),
        series,
        lines=[Line(LOST, "below: nothing is added to a weight in fp32")],
        ticks=(2, 4, 8, 16, 32, 64),
    )


def _table(deep: Sequence[Record], remedies: Sequence[str]) -> str:
    lines: list[list[str]] = []
    for remedy in remedies:
        ratios = [
            one(deep, "depth", activation=a, remedy=remedy).grad_norm_ratio
            for a in ("sigmoid", "relu")
        ]
        accuracies = [_accuracy(one(deep, "depth", activation=a, remedy=remedy)) for a in SHOWN]
        shown = [f"{r:.0e}" if r is not None and r < 1e-2 else f"{r:.3g}" for r in ratios]
        lines.append([remedy, *shown, *accuracies, *_price(deep, remedy)])
    heads = ("remedy", "ratio, sigmoid", "ratio, ReLU", *SHOWN, "step time", "step memory")
    return table(
        f"{DEEP} layers: ratio at the start, accuracy on held-out digits after training, and the "
        "price of a step over that without remedy",
        heads,
        lines,
    )


def _accuracy(row: Record) -> str:
    if row.status == Status.DIVERGED:
        return "diverged"
    assert row.accuracy_heldout is not None
    return f"{row.accuracy_heldout:.0%}"


def _price(deep: Sequence[Record], remedy: str) -> list[str]:
    """Medians over activations of the ratio to the row without remedy."""
    if remedy == "none":
        return ["1x", "1x"]
    pairs = [
        (
            one(deep, "depth", activation=a, remedy=remedy),
            one(deep, "depth", activation=a, remedy="none"),
        )
        for a in values(deep, "activation")
    ]
    memory = [
        (number(a, "step_peak_bytes") or 0) / (number(b, "step_peak_bytes") or 1) for a, b in pairs
    ]
    return [
        times(statistics.median(fastest_s(a) / fastest_s(b) for a, b in pairs)),
        times(statistics.median(memory)),
    ]


def _answer(rows: Sequence[Record], deep: Sequence[Record]) -> str:
    sigmoid = {
        (int(told(r, "depth")), told(r, "remedy")): r.grad_norm_ratio or 0.0
        for r in those(rows, "depth", activation="sigmoid")
    }
    shallow, vanished = sigmoid[4, "none"], sigmoid[DEEP, "none"]
    assert shallow / vanished > 1e6
    bare = [r.accuracy_heldout or 0.0 for r in those(deep, "depth", remedy="none")]
    assert max(bare) < CHANCE
    learn = [r for r in deep if (r.accuracy_heldout or 0.0) >= LEARNED]
    near_one = [r for r in deep if r.grad_norm_ratio and 0.1 <= r.grad_norm_ratio <= 10]
    stuck = [r for r in near_one if (r.accuracy_heldout or 0.0) < CHANCE]
    assert stuck
    remedies = Counter(told(r, "remedy") for r in learn)
    by_remedy = [f"{n} with {name}" for name, n in remedies.most_common()]
    (steps,) = {r.loss_steps for r in learn}
    assert all((r.grad_norm_ratio or 0.0) > LOST for r in learn)
    return f"""
        from 4 to {DEEP} sigmoid layers the ratio falls from {shallow:.0e} to {vanished:.0e}, and no
        activation learns {DEEP} layers without a remedy; with one, {len(learn)} of
        {len(deep) - len(bare)} nets get half of the digits right or more ({", ".join(by_remedy)}).
        A mended ratio is needed and not enough: of {len(near_one)} nets that start with one between
        0.1 and 10, {len(stuck)} are still at a guess after {steps} steps at this one rate,
        {_diverged(near_one)}.
    """


def _diverged(rows: Sequence[Record]) -> str:
    lost = [f"{told(r, 'activation')} with {told(r, 'remedy')}" for r in rows if _is_lost(r)]
    return f"and {len(lost)} diverge ({', '.join(lost)})" if lost else "and none diverges"


def _is_lost(row: Record) -> bool:
    return row.status == Status.DIVERGED
