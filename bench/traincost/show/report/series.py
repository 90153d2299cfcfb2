"""Cases that differ in one axis only, in its order: what a curve is drawn through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traincost.data.case import family_of
from traincost.show.report.points import Points, axes_of, test_of

MOST_CASES = 50_000
"""Cases whose names are taken apart; the first ones."""

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FEWEST, MOST = 3, 48
"""Points of a curve; of more, some are taken at equal steps of the logarithm."""


@dataclass(frozen=True)
class Series:
    """A curve: one machine, one kind of case."""

    name: str
    test: str
    side: int
    groups: Sequence[int]  # sorted by x
    x: Sequence[float]
    y: Sequence[float]
    n_measured: int  # points there were


def series_of(points: Points, axis: str, value: str) -> list[Series]:
    """Curves of a number over an axis, those with most points first; `axis` is a number column.

    Models that differ in size only are one curve over `n_params`.
    """
    import numpy as np

    x, y = points.of(axis), points.of(value)
    known = np.flatnonzero((x > 0) & (y > 0))
    found: dict[tuple[int, str, str], list[int]] = {}
    for group in known[:MOST_CASES].tolist():
        case = points.cases[group]
        key = (int(points.data.groups.side[group]), test_of(case), _rest(case, axis))
        found.setdefault(key, []).append(group)
    series: list[Series] = []
    for (side, test, name), groups in found.items():
        every = sorted(groups, key=lambda g: float(x[g]))
        ordered = _some(every, x)
        if len({float(x[g]) for g in ordered}) < FEWEST:
            continue
        series.append(
            Series(
                *(name, test, side, ordered),
                [float(x[g]) for g in ordered],
                [float(y[g]) for g in ordered],
                len(every),
            )
        )
    return sorted(series, key=lambda s: -len(s.groups))


def _some(groups: Sequence[int], x: Floats) -> Sequence[int]:
    """All of them, or `MOST` from end to end."""
    import numpy as np

    if len(groups) <= MOST:
        return groups
    logs = np.log([x[g] for g in groups])
    at = np.searchsorted(logs, np.linspace(logs[0], logs[-1], MOST))
    return [groups[i] for i in np.unique(np.minimum(at, len(groups) - 1)).tolist()]


def _rest(case_id: str, axis: str) -> str:
    """The case without an axis, for people: `train_step · gpt · batch 4`."""
    axes = axes_of(case_id)
    axes.pop(axis, None)
    if axis == "n_params" and "model" in axes:
        axes["model"] = family_of(axes["model"])
    words = [
        value if name in ("model", "phase", "dtype", "device", "impl") else f"{name} {value}"
        for name, value in axes.items()
    ]
    return " · ".join([test_of(case_id).rpartition("/")[2], *words]).replace("batch_size", "batch")
