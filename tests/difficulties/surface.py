"""Hard optimization: steps to the target on a ravine, a saddle and real data, by optimizer."""

from __future__ import annotations

from collections.abc import Sequence

from difficulties.drawing import Dots, Point, dot_rows
from difficulties.part import Part, table, times
from difficulties.rows import Spread, fastest_s, one, rows_of, spread, those, values
from traincost.data.record import Record
from traincost.show.report.plot import Axis

PROBLEMS = ("quadratic", "saddle", "digits", "text")
ORDER = (
    *("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw-single"),
    *("adamw-foreach", "adamw-fused", "adafactor", "muon", "lbfgs"),
)
SHOWN = ("quadratic", "saddle")
STEP_MODEL = "gpt-1M"
NAMES = {"quadratic": "ravine", "saddle": "saddle"}


def part() -> Part:
    """Of the suite `optimizers`."""
    rows = rows_of("optimizers")
    return Part(
        "surface",
        _measured(rows),
        _picture(rows),
        "Steps to the target on a ravine and on a saddle, by optimizer",
        _table(rows),
        _answer(rows),
    )


def _steps(rows: Sequence[Record], problem: str, optimizer: str) -> Spread | None:
    return spread(those(rows, "to_target", problem=problem, optimizer=optimizer), "steps_to_target")


def _optimizers(rows: Sequence[Record]) -> list[str]:
    return values(those(rows, "to_target"), "optimizer", ORDER)


def _measured(rows: Sequence[Record]) -> str:
    trained = those(rows, "to_target")
    seeds = len(values(trained, "seed"))
    return f"""
        {len(_optimizers(rows))} optimizers on a ravine (a rotated quadratic of condition 1000), a
        saddle (a deep linear net that starts on the plateau around zero), digits and bytes, {seeds}
        seeds each, every one at the rate that the same search of ten trials found for it on another
        seed, all else at torch's defaults ([suite](../suites/test_optimizers.py), {len(trained)}
        rows). Steps are counted in tens. The problems are small: which optimizer wins on them says
        little of a large model.
    """


def _picture(rows: Sequence[Record]) -> str:
    lines: list[Dots] = []
    for optimizer in _optimizers(rows):
        dots: list[tuple[int, Point]] = []
        for style, problem in enumerate(SHOWN):
            found = _steps(rows, problem, optimizer)
            if found is not None:
                point = Point(found.median, 0, found.low, found.high, found.n < found.of)
                dots.append((style, point))
        missed = [NAMES[p] for p in SHOWN if _steps(rows, p, optimizer) is None]
        lines.append(Dots(optimizer, dots, f"{', '.join(missed)}: missed" if missed else ""))
    return dot_rows(
        "Steps to the target: median and range of the seeds; hollow: some seeds missed it",
        Axis("steps", plain=True),
        lines,
        [NAMES[p] for p in SHOWN],
    )


def _table(rows: Sequence[Record]) -> str:
    lines: list[list[str]] = []
    for optimizer in _optimizers(rows):
        cells = [_cell(rows, problem, optimizer) for problem in PROBLEMS]
        step = one(rows, "optimizer_step", model=STEP_MODEL, optimizer=optimizer)
        states = step.metrics["optimizer_state_bytes"] / (4 * (step.n_params or 1))
        price = times(_price(rows, optimizer))
        lines.append([optimizer, *cells, f"{states:.2g}", price])
    heads = ("optimizer", *(NAMES.get(p, p) for p in PROBLEMS), "numbers kept", "step")
    return table(
        "Steps to the target, median (range over seeds); numbers kept a parameter and time of the "
        f"optimizer's own step, over SGD's, on the parameters of {STEP_MODEL}",
        heads,
        lines,
    )


def _cell(rows: Sequence[Record], problem: str, optimizer: str) -> str:
    if not those(rows, "to_target", problem=problem, optimizer=optimizer):
        return ""
    found = _steps(rows, problem, optimizer)
    return "missed" if found is None else found.text()


def _answer(rows: Sequence[Record]) -> str:
    momentum = _steps(rows, "quadratic", "momentum")
    sgd = _steps(rows, "quadratic", "sgd")
    assert momentum is not None and momentum.n == momentum.of
    assert sgd is None or sgd.low > momentum.high
    plain = "SGD missed it in 1000" if sgd is None else f"SGD {sgd.text()}"
    fewest = {
        p: min(
            ((s.median, o) for o in _optimizers(rows) if (s := _steps(rows, p, o)) and s.n == s.of),
        )
        for p in PROBLEMS
    }
    by_winner: dict[str, list[str]] = {}
    for p, (steps, o) in fewest.items():
        by_winner.setdefault(o, []).append(f"{_the(p)} ({steps:,.0f})")
    assert len(by_winner) > 1
    winners = ", ".join(
        f"{o} on {' and '.join(on)}, a step of it {times(_price(rows, o))} SGD's"
        for o, on in by_winner.items()
    )
    saddle = [_steps(rows, "saddle", o) for o in ("sgd", "momentum", "adam")]
    slow, faster, fastest = (s for s in saddle if s is not None)
    assert slow.low > faster.high and faster.low > fastest.high
    return f"""
        down the ravine momentum takes {momentum.text()} steps, {plain}, for the price of one number
        kept a parameter; off the saddle SGD takes {slow.text()}, momentum {faster.text()}, Adam
        {fastest.text()}. No optimizer wins everywhere: fewest steps take {winners}; where ranges
        overlap the seeds do not tell two apart.
    """


def _price(rows: Sequence[Record], optimizer: str) -> float:
    """Time of the optimizer's own step over SGD's."""
    mine, plain = (
        one(rows, "optimizer_step", model=STEP_MODEL, optimizer=o) for o in (optimizer, "sgd")
    )
    return fastest_s(mine) / fastest_s(plain)


def _the(problem: str) -> str:
    return f"the {NAMES[problem]}" if problem in NAMES else problem
