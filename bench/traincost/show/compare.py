"""What `traincost compare` shows: one tidy table for programs, a table a quantity for people.

Both hold the same rows. For people, amounts have units, cases of one test stand under its name, and
of a section with more rows than asked for those farthest from 1 are kept.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from traincost.judge.compare import Comparison
from traincost.judge.lines import COSTS, METRICS, SPEEDUP, Line, Metric
from traincost.judge.machines import Fact
from traincost.show.tables import WIDTH, Cell, Format, Row, left_alone, render
from traincost.show.units import amount

TITLE = "comparison"
COLUMNS = (
    *("section", "case", "metric", "base", "other", "base_value", "other_value"),
    *("ratio", "ratio_low", "ratio_high", "interval", "base_runs", "other_runs"),
    *("side", "impl", "baseline", "fact", "base_fact", "other_fact"),
    *("cases", "lowest", "highest", "note"),
)
LIMIT = 100
"""Rows of a section that people are shown, unless they ask for more."""

_METRICS: Mapping[str, Metric] = {m.name: m for m in (*METRICS, SPEEDUP, *COSTS)}
_LONGEST_HEADER = 16
_PLAIN_HEADERS = ("base", "other")
_GAP = 3
_SHARES = ("mfu",)
_UNITS = {"power_limit_w": "W", "sm_clock_mean_hz": "Hz"}


def shown(comparison: Comparison, fmt: Format, limit: int = LIMIT) -> str:
    """The text of a comparison; no limit where it is 0."""
    if fmt in ("csv", "json"):
        return render(TITLE, COLUMNS, tidy_rows(comparison), fmt)
    return "\n".join(_blocks(comparison, fmt, limit))


def tidy_rows(comparison: Comparison) -> list[Row]:
    """Every row under `COLUMNS`, values in SI units."""
    found: list[Mapping[str, Cell]] = [
        {"section": "sides", "side": side.name, "note": side.device}
        for side in comparison.sides.sides
    ]
    for facts, base, other in _facts(comparison):
        found += [
            {
                **{"section": "machines", "base": base, "other": other, "fact": fact.name},
                **{"base_fact": _plain(fact.base), "other_fact": _plain(fact.other)},
                "note": "differs" if fact.differs else "the same",
            }
            for fact in facts
        ]
    found += [
        {
            **{"section": "summary", "metric": s.metric, "base": s.base, "other": s.other},
            **{"ratio": s.geometric_mean, "cases": s.n_cases},
            **{"lowest": s.lowest, "highest": s.highest},
        }
        for s in comparison.summaries
    ]
    for section, lines in (
        ("comparison", comparison.lines),
        ("speedup", comparison.speedups),
        ("speedup across", comparison.speedups_across),
        ("cost", comparison.costs),
    ):
        found += [_tidy(section, line) for line in lines]
    found += [
        {
            **{"section": "not compared", "case": u.case_id, "metric": u.metric, "base": u.base},
            **{"other": u.other, "note": u.reason},
        }
        for u in comparison.unmatched
    ]
    found += [{"section": "notes", "note": note} for note in comparison.notes]
    return [[row.get(name) for name in COLUMNS] for row in found]


def _tidy(section: str, line: Line) -> dict[str, Cell]:
    return {
        **{"section": section, "case": line.case_id, "metric": line.metric, "base": line.base},
        **{"other": line.other, "base_value": line.base_value, "other_value": line.other_value},
        **{"ratio": line.ratio, "ratio_low": line.low, "ratio_high": line.high},
        **{"interval": line.interval, "base_runs": line.base_runs},
        **{"other_runs": line.other_runs or None, "side": line.side, "impl": line.impl},
        **{"baseline": line.baseline, "note": line.note},
    }


def _plain(value: str | float | None) -> str | None:
    return value if value is None or isinstance(value, str) else f"{value:.15g}"


def _facts(comparison: Comparison) -> Iterator[tuple[Sequence[Fact], str, str]]:
    for (base, other), facts in comparison.facts.items():
        yield facts, comparison.sides.sides[base].name, comparison.sides.sides[other].name


# for people


def _blocks(comparison: Comparison, fmt: Format, limit: int) -> Iterator[str]:
    for facts, base, other in _facts(comparison):
        yield _facts_block(facts, base, other, fmt)
    if comparison.summaries:
        yield _summary_block(comparison, fmt)
    for (metric, base, other), lines in _by(comparison.lines, "metric", "base", "other"):
        title = f"{_METRICS[metric].title}: {other} against {base}"
        yield _lines_block(title, lines, (base, other), "ratio", fmt, limit)
    for (side,), lines in _by(comparison.speedups, "side"):
        title = f"speedup on {side}: time of the baseline over time of the implementation"
        yield _lines_block(title, lines, ("baseline", "time"), "speedup", fmt, limit)
    for (base, other), lines in _by(comparison.speedups_across, "base", "other"):
        title = f"speedups across: {other} against {base}"
        yield _lines_block(title, lines, (base, other), "ratio", fmt, limit)
    for (metric, base, other), lines in _by(comparison.costs, "metric", "base", "other"):
        title = f"{_METRICS[metric].title}: {f'{other} against {base}' if other else base}"
        yield _lines_block(title, lines, (base, other or ""), "ratio", fmt, limit)
    if comparison.unmatched:
        rows = [(u.case_id, u.metric, u.reason) for u in comparison.unmatched]
        yield _block("not compared", ("case", "metric", "why"), rows, fmt, limit=limit)
    if comparison.notes:
        yield _block("notes", ("note",), [(note,) for note in comparison.notes], fmt)


def _by(lines: Sequence[Line], *names: str) -> Iterator[tuple[tuple[str, ...], list[Line]]]:
    found: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        found.setdefault(tuple(getattr(line, name) or "" for name in names), []).append(line)
    yield from found.items()


def _block(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    fmt: Format,
    right: Sequence[str] = (),
    limit: int = 0,
) -> str:
    """A table without its empty columns, and how many rows it does not show."""
    more = len(rows) - limit if limit and len(rows) > limit else 0
    rows = rows[:limit] if more else rows
    kept = [i for i in range(len(columns)) if any(row[i] not in (None, "") for row in rows)]
    cells = [[row[i] for i in kept] for row in rows]
    names = [columns[i] for i in kept]
    if fmt == "markdown":  # names were written by somebody else
        right = [left_alone(name) for name in right]
        names, title = [left_alone(name) for name in names], left_alone(title)
        cells = [[left_alone(c) if isinstance(c, str) and c else c for c in row] for row in cells]
    text = render(title, names, cells, fmt, right)
    said = f"{more:,} more; --limit 0 shows all\n"
    return text + (f"\n{said}" if more and fmt == "markdown" else said if more else "")


def _facts_block(facts: Sequence[Fact], base: str, other: str, fmt: Format) -> str:
    rows: list[Row] = [(f.name, _fact(f, f.base), _fact(f, f.other)) for f in facts if f.differs]
    same = ", ".join(f"{f.name} {_fact(f, f.base)}" for f in facts if not f.differs)
    title = f"machines: {other} against {base}"
    text = _block(title, ("what differs", *_headers(base, other)), rows, fmt) if rows else ""
    if same and fmt == "markdown":
        return text + f"\nThe same: {left_alone(same)}.\n"
    lines = textwrap.wrap(f"The same: {same}.", WIDTH) if same else []
    return text + "".join(f"{line}\n" for line in lines)


def _fact(fact: Fact, value: str | float | None) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    unit = _UNITS.get(fact.name)
    if fact.name.startswith("measured peak"):
        unit = "B/s" if fact.name.endswith("memory") else "FLOP/s"
    return amount(value, unit) if unit else f"{value:g}"


def _headers(base: str, other: str) -> tuple[str, str]:
    short = max(len(base), len(other)) <= _LONGEST_HEADER and base != other
    return (base, other) if short else _PLAIN_HEADERS


def _fits(columns: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether a table of these cells stays on one line a row."""
    cells = [columns, *rows]
    widths = [max(len(str(row[i] or "")) for row in cells) for i in range(len(columns))]
    used = [w for i, w in enumerate(widths) if any(row[i] is not None for row in rows)]
    return sum(used) + _GAP * len(used) <= WIDTH


def _summary_block(comparison: Comparison, fmt: Format) -> str:
    columns = ("quantity", "other", "base", "cases", "geometric mean", "lowest", "highest")
    rows = [
        (
            *(_METRICS[s.metric].title, s.other, s.base, s.n_cases),
            *(_times(s.geometric_mean), _times(s.lowest), _times(s.highest)),
        )
        for s in comparison.summaries
    ]
    title = "ratios, other / base, over all cases that both have"
    return _block(title, columns, rows, fmt, right=columns[3:])


def _lines_block(
    title: str, lines: Sequence[Line], names: tuple[str, str], ratio: str, fmt: Format, limit: int
) -> str:
    """One quantity of two sides; where there are too many lines, those farthest from 1."""
    more = len(lines) - limit if limit and len(lines) > limit else 0
    if more:
        far = sorted(lines, key=lambda line: -abs(math.log(line.ratio or 1)))[:limit]
        kept = set(map(id, far))
        lines = [line for line in lines if id(line) in kept]
    rows = [row for _, group in groupby(lines, _test) for row in _grouped(list(group))]
    for pair in (_headers(*names), _PLAIN_HEADERS):
        columns = ("case", "implementation", *pair, ratio, "95% interval", "runs", "note")
        if _fits(columns, rows):
            break
    text = _block(title, columns, rows, fmt, right=(*pair, ratio, "95% interval", "runs"))
    said = f"{more:,} more, nearer to 1; --limit 0 shows all, --format csv too\n"
    return text + (f"\n{said}" if more and fmt == "markdown" else said if more else "")


def _test(line: Line) -> str:
    return line.case_id.partition("[")[0]


def _grouped(lines: Sequence[Line]) -> Iterator[Row]:
    """The cases of one test under a heading with the axes that they share; one case alone."""
    if len({line.case_id for line in lines}) == 1:
        for line in lines:
            yield _person(line, line.case_id)
        return
    axes = [_axes(line) for line in lines]
    shared = [axis for axis in axes[0] if all(axis in a for a in axes)]
    yield (" ".join([_test(lines[0]), *shared]), *[None] * 7)
    for line, own in zip(lines, axes, strict=True):
        yield _person(line, "· " + (" ".join(a for a in own if a not in shared) or "·"))


def _axes(line: Line) -> list[str]:
    inside = line.case_id.partition("[")[2].removesuffix("]")
    return inside.split(",") if inside else []


def _person(line: Line, case: str) -> Row:
    within = line.side is not None
    value = METRICS[0] if within else _METRICS[line.metric]
    runs = f"{line.base_runs}, {line.other_runs}" if line.other_runs else str(line.base_runs)
    return (
        case,
        f"{line.impl} over {line.baseline}" if line.impl else None,
        _value(value, line.base_value),
        _value(value, line.other_value),
        _times(line.ratio),
        _interval(line),
        runs,
        line.note,
    )


def _value(metric: Metric, value: float | None) -> str | None:
    if value is None:
        return None
    if metric.name in _SHARES:
        return f"{value:.1%}"
    if metric is SPEEDUP:
        return _times(value)
    return amount(value, metric.unit) if metric.unit else f"{value:.4g}"


def _interval(line: Line) -> str | None:
    if line.ratio is None:
        return None
    if line.low is None or line.high is None:
        return line.interval
    return f"{_digits(line.low)} to {_digits(line.high)}"


def _times(ratio: float | None) -> str | None:
    return None if ratio is None else f"{_digits(ratio)}x"


def _digits(ratio: float) -> str:
    if math.isinf(ratio):
        return "unbounded"
    return f"{ratio:.3f}" if 0.1 <= ratio < 10 else f"{ratio:.3g}"
