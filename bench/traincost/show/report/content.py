"""What all sections are made from, and what a section is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from traincost.data.record import Status
from traincost.judge.compare import Comparison
from traincost.judge.gate import GateReport
from traincost.show.report.html import Html, joined, tag
from traincost.show.report.marks import Key, Mark
from traincost.show.report.plot import Figure
from traincost.show.report.points import Points, short_case
from traincost.show.report.scale import decade

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MOST_ROWS = 1000
"""Rows of the table of all cases, which marks lead to."""

MOST_MARKS = 1500
"""Marks of one figure; of more, those of a small square become one."""

_SQUARES = (52, 26)
"""Across and up a figure."""


@dataclass(frozen=True)
class Section:
    """A part of the page: what it answers, and what it shows."""

    name: str
    title: str
    lead: str
    body: Html
    figures: tuple[Figure, ...] = ()
    head: Html | None = None  # above the figures

    def html(self) -> Html:
        """With its figures first."""
        return tag(
            "section",
            tag("h2", self.title),
            tag("p", self.lead, class_="lead"),
            self.head,
            tag("div", *(figure.html() for figure in self.figures), class_="figures")
            if self.figures
            else None,
            self.body,
            id=self.name,
        )


def nothing(name: str, title: str, lead: str, why: str) -> Section:
    """A section that has nothing to show says what would fill it."""
    return Section(name, title, lead, tag("p", why, class_="empty"))


@dataclass(frozen=True)
class Report:
    """Everything there is to show."""

    points: Points
    comparison: Comparison | None  # None with one side
    gate: GateReport | None
    why_no_gate: str
    notes: Sequence[str]

    def machine_keys(self, marks: Iterable[Mark] | None = None) -> list[Key]:
        """A legend of the machines that have marks, or of all that measured something."""
        sides = self.points.measured_sides if marks is None else sorted({m.style for m in marks})
        return [Key(self.points.names[i], i) for i in sides]

    def href(self, group: int) -> str | None:
        """The row of a case in the table of all cases, where it has one there."""
        return f"#case-{group}" if group < MOST_ROWS else None

    def label(self, group: int, *said: str) -> str:
        """What a mark says: case, machine, numbers, place; a line each."""
        points = self.points
        side = int(points.data.groups.side[group])
        status = str(points.table["status"].iloc[group])
        runs = int(points.table["runs"].iloc[group])
        doubt = "" if status == Status.OK else f" ({status})"
        of = f"median of {runs} rows, " if runs > 1 else ""
        machine = () if points.has_one_side() else (points.side_name(side),)
        lines = (short_case(points.cases[group]) + doubt, *machine, *said)
        return "\n".join((*lines, of + points.places(group)))

    def mark(self, group: int, x: float, y: float, *said: str, style: int | None = None) -> Mark:
        """A case in a figure."""
        return Mark(
            x,
            y,
            self.label(group, *said),
            int(self.points.data.groups.side[group]) if style is None else style,
            self.points.classes(group),
            self.href(group),
            hollow=bool(self.points.table["doubtful"].iloc[group]),
        )


def cloud(
    report: Report,
    groups: Sequence[int],
    x: Floats,  # (n_groups,) above 0 where placed
    y: Floats,
    say: Callable[[int], Sequence[str]],
) -> tuple[list[Mark], str]:
    """A mark a case, or, of more than `MOST_MARKS`, one a small square; and what is to be said."""
    if len(groups) <= MOST_MARKS:
        return [report.mark(g, float(x[g]), float(y[g]), *say(g)) for g in groups], ""
    squares: dict[tuple[int, int, str], list[int]] = {}
    logs = [[decade(v) for v in values[list(groups)].tolist()] for values in (x, y)]
    steps = [((max(v) - min(v)) or 1.0) / n for v, n in zip(logs, _SQUARES, strict=True)]
    for group, log_x, log_y in zip(groups, *logs, strict=True):
        place = (round(log_x / steps[0]), round(log_y / steps[1]), report.points.classes(group))
        squares.setdefault(place, []).append(group)
    found = sorted(squares.values(), key=lambda same: -len(same))
    kept = found[:MOST_MARKS]
    marks = [_together(report, same, x, y, say) for same in kept]
    left = len(found) - len(kept)
    more = f" {left:,} thin squares are left out." if left else ""
    return marks, (
        f"{len(groups):,} cases are too many marks: each stands for all cases of a machine near its"
        f" place, larger where there are more.{more}"
    )


def _together(
    report: Report,
    same: Sequence[int],
    x: Floats,
    y: Floats,
    say: Callable[[int], Sequence[str]],
) -> Mark:
    group = same[len(same) // 2]
    mark = report.mark(group, float(x[group]), float(y[group]), *say(group))
    if len(same) == 1:
        return mark
    label = f"{len(same):,} cases, one of them:\n{mark.label}"
    size = min(2.2, 1 + 0.3 * math.log10(len(same)))
    return replace(mark, label=label, size=size, hollow=False)


def caption(*parts: str) -> Html:
    """Sentences under a figure."""
    return joined((" ".join(filter(None, parts)),))
