"""Ratios as a small chart in the terminal, a line a case: where it lies, and its interval.

    time per step: H100 80GB HBM3 against A100-SXM4-80GB
    all: step
    batch 4                           ├─●─┤      │            0.800x
                                     0.7        1            1.5

The scale is logarithmic, so that half and twice are as far from 1. Where the terminal knows no such
signs they are `|-o-|`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from traincost.judge.compare import Comparison
from traincost.judge.lines import COSTS, METRICS, SPEEDUP, Line
from traincost.show.report.points import short_cases
from traincost.show.tables import WIDTH

SIGNS, PLAIN_SIGNS = "├─┤●│", "|-|o|"
_LABEL, _VALUE = 46, 9
_LEAST_RATIO = 1.1
"""The ends of the scale are at least so far from 1."""

_TITLES = {m.name: m.title for m in (*METRICS, SPEEDUP, *COSTS)}


def charts(comparison: Comparison, limit: int, encoding: str | None, width: int = WIDTH) -> str:
    """A chart a quantity and pair of sides, and one of the speedups of each side."""
    signs = SIGNS if _can_write(SIGNS, encoding) else PLAIN_SIGNS
    groups: dict[str, list[Line]] = {}
    for line in comparison.lines:
        title = f"{_TITLES[line.metric]}: {line.other} against {line.base}"
        groups.setdefault(title, []).append(line)
    for line in comparison.speedups:
        groups.setdefault(f"speedup on {line.side}", []).append(line)
    parts = ("\n".join(_chart(title, g, limit, signs, width)) for title, g in groups.items())
    return "".join(f"\n{part}\n" for part in parts if part)


def _can_write(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _chart(title: str, lines: Sequence[Line], limit: int, signs: str, width: int) -> Iterator[str]:
    """The lines of one chart; nothing where no ratio differs from 1."""
    known = [line for line in lines if line.ratio is not None]
    if not any(line.ratio != 1 for line in known):
        return
    if limit and len(known) > limit:
        far = sorted(known, key=lambda line: -abs(math.log(line.ratio or 1)))[:limit]
        kept = set(map(id, far))
        known = [line for line in known if id(line) in kept]
    room = width - _LABEL - _VALUE - 2
    reach = max(abs(math.log(v)) for line in known for v in _ends(line))
    reach = max(reach, math.log(_LEAST_RATIO)) * 1.02
    names, shared = short_cases([line.case_id for line in known])
    yield title
    between = " · " if signs == SIGNS else ", "
    if shared:
        yield f"all: {shared.replace(' · ', between)}"
    for line in known:
        name = names[line.case_id]
        label = (f"{line.impl} · {name}" if line.impl else name).replace(" · ", between)
        strip = _strip(line, reach, room, signs)
        yield f"{_fitted(label):<{_LABEL}} {strip} {line.ratio:>{_VALUE - 1}.3g}x"
    low, high = f"{math.exp(-reach):.2g}x", f"{math.exp(reach):.2g}x"
    yield f"{'':<{_LABEL}} {low:<{room // 2}}1{high:>{room - room // 2 - 1}}"


def _ends(line: Line) -> list[float]:
    ends = (line.ratio, line.low, line.high)
    return [v for v in ends if v is not None and 0 < v < math.inf]


def _strip(line: Line, reach: float, room: int, signs: str) -> str:
    left, dash, right, dot, middle = list(signs)
    cells = [" "] * room

    def at(value: float) -> int:
        share = (math.log(value) / reach + 1) / 2
        return min(room - 1, max(0, round(share * (room - 1))))

    cells[room // 2] = middle
    if line.low and line.high and line.high < math.inf:
        low, high = at(line.low), at(line.high)
        cells[low : high + 1] = [left, *dash * (high - low - 1), right][: high - low + 1]
    cells[at(line.ratio or 1)] = dot
    return "".join(cells)


def _fitted(label: str) -> str:
    """Both ends of a name tell cases apart."""
    label = " ".join("".join(c if c.isprintable() else " " for c in label).split())
    return label if len(label) <= _LABEL else f"{label[: _LABEL // 2]}..{label[2 - _LABEL // 2 :]}"
