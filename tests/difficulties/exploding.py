"""Exploding gradients: recurrent nets unrolled through time, and what clipping and cutting do."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from difficulties.drawing import Line, Point, Series, curves
from difficulties.part import Part, table
from difficulties.rows import fastest_s, one, rows_of, those, told, values
from traincost.data.record import Record, Status
from traincost.show.report.plot import Axis

RATE = "0.1"
REMEDIES = ("none", "clipping", "truncation")


def part() -> Part:
    """Of the suite `gradients`, test `time`."""
    rows = those(rows_of("gradients"), "time")
    usual = those(rows, "time", rate=RATE)
    return Part(
        "exploding",
        _measured(rows),
        _picture(usual),
        "Held-out loss of recurrent nets over the length of their sequences, and which diverged",
        _table(rows),
        _answer(rows, usual),
    )


def _measured(rows: Sequence[Record]) -> str:
    lengths = sorted({r.seq_len or 0 for r in rows})
    (steps,) = {r.loss_steps for r in rows if r.status != Status.DIVERGED}
    return f"""
        byte-level models with one recurrent layer ({", ".join(values(rows, "cell"))}; irnn is a
        ReLU net started at the identity) over {lengths[0]} to {lengths[-1]} steps of time: alone,
        with the norm of all gradients clipped to 1, and with gradients cut after 32 steps of time;
        {steps} steps of SGD with momentum, one seed ([suite](../suites/test_gradients.py),
        {len(rows)} rows). A loss that is no number is the row's status `diverged`.
    """


def _picture(usual: Sequence[Record]) -> str:
    ends = [r.loss_heldout for r in usual if r.loss_heldout is not None]
    ceiling = max(ends) + 0.1 * (max(ends) - min(ends))
    series: list[Series] = []
    for cell, remedy in (
        *(("irnn", "none"), ("irnn", "clipping")),
        *((cell, "none") for cell in ("rnn", "gru", "lstm")),
    ):
        chosen = sorted(
            those(usual, "time", cell=cell, remedy=remedy), key=lambda r: r.seq_len or 0
        )
        points = [
            Point(
                float(r.seq_len or 0),
                ceiling if r.loss_heldout is None else r.loss_heldout,
                hollow=r.loss_heldout is None,
            )
            for r in chosen
        ]
        series.append(Series(f"{cell}, {remedy}", points))
    return curves(
        "Which recurrent nets survive their first steps",
        Axis("steps of time", plain=True),
        Axis("held-out loss, nats a byte", log=False),
        series,
        lines=[Line(ceiling, "diverged")],
        ticks=(16, 64, 256, 1024),
    )


def _end(row: Record) -> str:
    if row.status == Status.DIVERGED:
        return f"diverged in step {row.loss_steps}"
    assert row.loss_heldout is not None
    return f"{row.loss_heldout:.2f}"


def _table(rows: Sequence[Record]) -> str:
    lines: list[list[str | int | None]] = []
    for cell, rate, length in dict.fromkeys(
        (told(r, "cell"), told(r, "rate"), r.seq_len or 0) for r in rows
    ):
        found = {
            told(r, "remedy"): r for r in those(rows, "time", cell=cell, rate=rate, seq_len=length)
        }
        if rate == RATE and length not in (64, 256, 1024):
            continue
        lines.append(
            [
                f"{cell}, rate {rate}",
                length,
                *(_end(found[r]) if r in found else "" for r in REMEDIES),
            ]
        )
    lines.sort(key=lambda line: (str(line[0]), int(line[1] or 0)))
    return table(
        "Held-out loss after training, nats a byte (a guess: 5.55)",
        ("cell", "length", *REMEDIES),
        lines,
    )


def _answer(rows: Sequence[Record], usual: Sequence[Record]) -> str:
    irnn = {(told(r, "remedy"), r.seq_len): r for r in those(usual, "time", cell="irnn")}
    lost = [n for (remedy, n), r in irnn.items() if remedy == "none" and _lost(r)]
    saved = [n for n in lost if not _lost(irnn["clipping", n])]
    assert lost and saved
    others = [r for r in usual if told(r, "cell") != "irnn"]
    assert not any(map(_lost, others))
    still = sorted(n or 0 for n in lost if n not in saved)
    pairs = [
        (r, one(usual, "time", cell=told(r, "cell"), seq_len=r.seq_len, remedy="clipping"))
        for r in those(usual, "time", remedy="none")
    ]
    price = statistics.median(fastest_s(clipped) / fastest_s(bare) for bare, clipped in pairs)
    longest = max(r.seq_len or 0 for r in usual)
    whole, cut = (
        one(usual, "time", cell="rnn", seq_len=longest, remedy=r) for r in ("none", "truncation")
    )
    memory = (cut.step_peak_bytes or 0) / (whole.step_peak_bytes or 1)
    ratio = max(r.grad_norm_ratio or 0.0 for r in others if r.seq_len == 256)
    cut_lost = [r for r in those(usual, "time", cell="irnn", remedy="truncation") if _lost(r)]
    assert cut_lost and 0 < ratio < 1e-30
    return f"""
        at a rate of {RATE} and without clipping the ReLU net diverges over {_words(lost)} steps of
        time; clipped, it trains over
        {_words(saved)}{f" and not over {_words(still)}" if still else ""}, at {price:.2f}x the time
        of a step (median over cells and lengths). The bounded cells (tanh, GRU, LSTM) stay finite,
        as their gradient vanishes instead (of the last loss, {ratio:.0e} or less reaches the first
        of 256 steps); cutting gradients does not stop the explosion, but at {longest} steps a
        training step needs {memory:.1%} of the memory.
    """


def _lost(row: Record) -> bool:
    return row.status == Status.DIVERGED


def _words(lengths: Sequence[int | None]) -> str:
    *first, last = [str(n) for n in sorted(n or 0 for n in lengths)]
    return f"{', '.join(first)} and {last}" if first else last
