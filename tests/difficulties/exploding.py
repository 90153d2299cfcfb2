"""Exploding gradients: recurrent nets unrolled through time, and what clipping and cutting do."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from difficulties.drawing import Line, Point, Series, curves
from difficulties.part import Part, table
from difficulties.rows import fastest_s, is_timed, number, one, rows_of, those, told, values
from traincost.data.record import Record, Status
from traincost.show.report.plot import Axis

RATE = "0.1"
BOTH = "clipped-truncation"
REMEDIES = ("none", "clipping", "truncation", BOTH)
IN_TABLE, OF_RATIOS = (64, 256, 1024), 256
"""Lengths in the table, where there are others; the length that ratios are told of."""


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
    (size,) = {round((r.tokens_per_s or 0.0) * (r.time_median_s or 0.0)) for r in rows}
    return f"""
        byte-level models with one recurrent layer ({", ".join(values(rows, "cell"))}; irnn is a
        ReLU net started at the identity) over {lengths[0]} to {lengths[-1]} steps of time: alone,
        with the norm of all gradients clipped to 1, with gradients cut after 32 steps of time, and
        with both; {steps} steps of SGD with momentum on {size:,} bytes each, the same text at every
        length, in sequences of that length; one seed ([suite](../suites/test_gradients.py),
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
        ticks=(16, 32, 64, 128, 256, 512, 1024),
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
        if rate == RATE and length not in IN_TABLE:
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
    irnn = those(usual, "time", cell="irnn")
    lost = _lengths(r for r in those(irnn, "time", remedy="none") if _lost(r))
    others = [r for r in usual if told(r, "cell") != "irnn"]
    assert lost and not any(map(_lost, others))
    pairs = [
        (r, one(usual, "time", cell=told(r, "cell"), seq_len=r.seq_len, remedy="clipping"))
        for r in those(usual, "time", remedy="none")
    ]
    price = statistics.median(
        fastest_s(clipped) / fastest_s(bare)
        for bare, clipped in pairs
        if is_timed(clipped) and is_timed(bare)
    )
    longest = max(r.seq_len or 0 for r in usual)
    whole, cut = (
        one(usual, "time", cell="rnn", seq_len=longest, remedy=r) for r in ("none", "truncation")
    )
    memory = (cut.step_peak_bytes or 0) / (whole.step_peak_bytes or 1)
    start, end = _largest_ratios(rows)
    assert 0 < start < 1e-30
    cut_lost = _lengths(r for r in those(irnn, "time", remedy="truncation") if _lost(r))
    assert cut_lost
    return f"""
        at a rate of {RATE} and without clipping the ReLU net diverges over {_words(lost)} steps of
        time; clipped, it {_saved(irnn, "clipping", lost)}, at {price:.2f}x the time of a step
        (median over cells and lengths that survive). The bounded cells (tanh, GRU, LSTM) stay
        finite, as their gradient vanishes instead: of the last loss, {start:.0e} or less reaches
        the first of {OF_RATIOS} steps at the start, {end:.0e} or less after training at any of
        these rates. Cutting gradients alone does not stop the explosion (over {_words(cut_lost)}
        steps), but at {longest} steps a training step needs {memory:.1%} of the memory; cut and
        clipped, the ReLU net {_saved(irnn, BOTH, cut_lost)}.
    """


def _largest_ratios(rows: Sequence[Record]) -> tuple[float, float]:
    """Of the bounded cells whose gradient is whole: at the start, and after training."""
    bounded = [
        r
        for remedy in ("none", "clipping")
        for r in those(rows, "time", seq_len=OF_RATIOS, remedy=remedy)
        if told(r, "cell") != "irnn"
    ]
    start, end = (
        max(number(r, name) or 0.0 for r in bounded)
        for name in ("grad_norm_ratio", "trained_grad_norm_ratio")
    )
    return start, end


def _saved(irnn: Sequence[Record], remedy: str, lost: Sequence[int]) -> str:
    """Over which of these lengths it trains with a remedy, and over which not."""
    still = _lengths(r for r in those(irnn, "time", remedy=remedy) if _lost(r))
    saved = [n for n in lost if n not in still]
    if not saved:
        return f"diverges over {_words(still)}, too"
    over = "all of them" if saved == list(lost) else _words(saved)
    return f"trains over {over}{f' and not over {_words(still)}' if still else ''}"


def _lengths(rows: Iterable[Record]) -> list[int]:
    return sorted(r.seq_len or 0 for r in rows)


def _lost(row: Record) -> bool:
    return row.status == Status.DIVERGED


def _words(lengths: Sequence[int]) -> str:
    *first, last = [str(n) for n in lengths]
    return f"{', '.join(first)} and {last}" if first else last
