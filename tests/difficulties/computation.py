"""Sheer computation: what each way of making a step cheaper saves, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from difficulties.drawing import Dots, Point, dot_rows
from difficulties.machine import noise
from difficulties.part import Part, table, times
from difficulties.rows import fastest_s, one, rows_of
from traincost.data.record import Record, Status
from traincost.show.report.plot import Axis
from traincost.show.units import amount

MODEL, IMAGES, FP32, BF16 = "gpt-1M", "convnet-100k", "fp32", "autocast-bf16"


def part() -> Part:
    """Of the suite `efficiency`."""
    ways, plain = _of(MODEL)
    return Part(
        "computation",
        _measured(rows_of("efficiency"), ways),
        _picture(ways, plain),
        f"Time and memory of a step of {MODEL} in each way, over the eager one",
        f"{_table(ways, plain)}\n{_table(*_of(IMAGES))}",
        _answer(ways, plain),
    )


def _of(model: str) -> tuple[list[Record], Record]:
    """The ways of a model that ran, and the eager one in fp32."""
    rows = [r for r in rows_of("efficiency") if r.model == model]
    ways = [r for r in rows if r.status not in (Status.UNAVAILABLE, Status.ERROR)]
    return ways, one(ways, "train_step", impl="eager", dtype=FP32)


def _name(row: Record) -> str:
    precision = (row.dtype or "").removeprefix("autocast-")
    return str(row.impl) if row.dtype == FP32 else f"{row.impl}, {precision}"


def _measured(rows: Sequence[Record], ways: Sequence[Record]) -> str:
    statuses = [s for s in Status if s in {r.status for r in rows} and s == Status.INVALID]
    wrong = ", ".join(r.case_id for r in rows if r.status in statuses)
    return f"""
        the same training step of {MODEL} in {len(ways)} ways, each alone and as the usual stack
        ([suite](../suites/test_efficiency.py), {len(rows)} rows with those of smaller models), and
        {IMAGES} with its images' channels last; the losses of 20 steps are held to those of the
        eager step, and a way that is off is `invalid` ({wrong or "none is"}). These are rows of a
        CPU: what tensor cores, CUDA graphs and flash attention save has to be measured on a GPU.
    """


def _ratios(row: Record, plain: Record) -> tuple[float, float, float]:
    """Time, memory above what lives, FLOPs; over the eager step."""
    return (
        fastest_s(row) / fastest_s(plain),
        (row.step_peak_bytes or 0) / (plain.step_peak_bytes or 1),
        (row.flops or 0) / (plain.flops or 1),
    )


def _picture(ways: Sequence[Record], plain: Record) -> str:
    lines: list[Dots] = []
    for row in ways:
        if row is plain:
            continue
        time, memory, _ = _ratios(row, plain)
        dots = [(0, Point(time, 0)), (1, Point(memory, 0))] if memory else [(0, Point(time, 0))]
        lines.append(Dots(_name(row), dots))
    return dot_rows(
        f"A step of {MODEL} over the eager one: left of the line is less",
        Axis("ratio to eager, fp32", log=False, plain=True),
        lines,
        ["time of a step", "memory of a step"],
        rule=1.0,
    )


def _table(ways: Sequence[Record], plain: Record) -> str:
    lines: list[list[str]] = []
    for row in ways:
        time, memory, flops = _ratios(row, plain)
        gap = row.metrics.get("loss_gap_rel")
        lines.append(
            [
                _name(row),
                times(time),
                times(memory) if row.step_peak_bytes else "",
                f"{flops:.3g}x" if row.flops else "",
                amount(row.time_first_step_s, "s"),
                "" if gap is None else f"{gap:.0e}" if gap else "0",
                row.status,
            ]
        )
    heads = ("way", "time", "memory", "FLOPs", "first step", "loss gap", "status")
    return table(
        f"A step of {plain.model}, over the eager one in fp32; bf16 is autocast", heads, lines
    )


def _answer(ways: Sequence[Record], plain: Record) -> str:
    time, memory, flops = _ratios(one(ways, "train_step", impl="checkpoint"), plain)
    assert memory < 1 < flops
    compiled = one(ways, "train_step", impl="compile", dtype=FP32)
    fused = one(ways, "train_step", impl="fused-adamw", dtype=FP32)
    bf16, stack = (one(ways, "train_step", impl=i, dtype=BF16) for i in ("eager", "stack"))
    images, eager = _of(IMAGES)
    last = one(images, "train_step", impl="channels-last", dtype=FP32)
    seconds = amount(compiled.time_first_step_s, "s")
    ratios = {
        f"torch.compile ({{}}, after {seconds} of compiling)": _ratios(compiled, plain)[0],
        "fused AdamW ({})": _ratios(fused, plain)[0],
        f"bf16 autocast ({{}}, with {times(_ratios(bf16, plain)[1])} the memory)": (
            _ratios(bf16, plain)[0]
        ),
        "the usual stack ({})": _ratios(stack, plain)[0],
        f"channels last on {IMAGES} ({{}})": _ratios(last, eager)[0],
    }
    return f"""
        checkpointing buys memory ({times(memory)}) with arithmetic: each layer runs again,
        {flops:.3g}x the FLOPs and {times(time)} the time. {_sorted(ratios, noise())}
    """


def _sorted(ratios: Mapping[str, float], within: float) -> str:
    """What saves time, what loses some, and what changes less than rows of the same work differ."""
    kinds: dict[str, list[str]] = {
        "these save time": [],
        "these lose time": [],
        f"these change it by less than rows of the same work may differ ({within:.0%})": [],
    }
    saving, loss, neither = kinds
    for way, ratio in ratios.items():
        kind = saving if ratio * (1 + within) < 1 else loss if ratio > 1 + within else neither
        kinds[kind].append(way.format(f"{ratio:.2f}x"))
    told = [f"{kind}: {', '.join(ways)}" for kind, ways in kinds.items() if ways]
    return f"On this CPU {'; '.join(told)}."
