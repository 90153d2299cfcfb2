"""A frame sorted into cases and sides, and what is known of each of these groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError
from traincost.judge import matching
from traincost.judge.intervals import Typical
from traincost.judge.lines import ROOFLINE, Metric
from traincost.judge.machines import NUMBER_FACTS, TEXT_FACTS, By, Sides, sides_of
from traincost.judge.matching import Groups, groups_of
from traincost.judge.roofline import (
    PEAK_COLUMNS,
    Limits,
    Measured,
    binding,
    bounds_s,
    measured_peaks,
)
from traincost.judge.values import COMMON, FIRST, TYPICAL, InFrame, Values
from traincost.machine.peaks import rate_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Integers = npt.NDArray[np.int64]

NO_ROW = "no row in any file; expected results to compare"
COLUMNS = tuple(
    dict.fromkeys(
        (
            *("run_id", "suite", "case_id", "status", "device", *TEXT_FACTS, *NUMBER_FACTS, "pair"),
            *PEAK_COLUMNS,
            *TYPICAL,
            *COMMON,
            *FIRST,
        )
    )
)
"""What a frame to compare must have, and `argument`: what named its file on the command line."""


@dataclass(frozen=True)
class Cases:
    """Rows sorted into cases and sides, and what was found out about them."""

    sides: Sides
    groups: Groups
    names: list[str]  # case ids by code
    peaks: Sequence[Measured]  # of every side
    values: Values
    base: str | None = None  # the side that the others are compared with, where asked for

    def typical(self, column: str) -> Typical:
        """Median and spread of a column, for every group."""
        return self.values.typical(column)

    def metric(self, metric: Metric) -> Typical:
        """The typical values of a metric, with the recorded spread between runs where it fits."""
        of = self._over_roofline if metric.name == ROOFLINE else self.typical(metric.name)
        return self.with_spread(of) if metric.follows_time else of

    def with_spread(self, of: Typical) -> Typical:
        """With the spread between runs that rows recorded, where a side has one run."""
        spread, n = (self.typical(c).median for c in ("run_spread_rel", "run_spread_n"))
        return of.with_known_spread(spread, n)

    def common(self, column: str) -> matching.Common:
        """The shared value of a column, for every group."""
        return self.values.common(column)

    def text(self, column: str) -> list[str | None]:
        """That value, for every group."""
        of = self.common(column)
        return [None if code < 0 else str(of.values[code]) for code in of.code.tolist()]

    def comparable(self, base: Integers, other: Integers) -> npt.NDArray[np.bool_]:
        """Whether two groups count and did the same work; for groups that are there."""
        import numpy as np

        fits = np.zeros(len(base), bool)
        there = np.flatnonzero((base >= 0) & (other >= 0))
        a, b = base[there], other[there]
        fits[there] = self.groups.measured[a] & self.groups.measured[b]
        for column in (*matching.WORK, *matching.WORK_NUMBERS):
            fits[there[list(matching.difference(self.common(column), a, b))]] = False
        return fits

    @cached_property
    def _over_roofline(self) -> Typical:
        of = self.typical("time_median_s")
        bound = bounds_s(
            self._rates,
            self.groups.side,
            self.typical("flops").median,
            self.typical("compulsory_bytes").median,
            self.peaks,
        )
        bound[[s == "machine" for s in self._suites]] = float("nan")  # the peak, over itself
        return Typical(of.median / bound, of.log_variance, of.freedom, of.runs)

    @cached_property
    def limits(self) -> Limits:
        """Which limit of its machine binds each group, and how near to it the group comes."""
        return binding(
            self._rates,
            self.groups.side,
            self.typical("flops").median,
            self.typical("compulsory_bytes").median,
            self.typical("time_median_s").median,
            self.peaks,
        )

    @cached_property
    def _rates(self) -> list[str | None]:
        both = zip(self.text("dtype"), self.text("matmul_precision"), strict=True)
        return [rate_name(dtype, precision) for dtype, precision in both]

    @cached_property
    def _suites(self) -> list[str | None]:
        return self.text("suite")

    def doubts(self, base: Integers, other: Integers, names: tuple[str, str]) -> list[str | None]:
        """What is to be said of the rows of two groups: `2 unstable (base)`."""
        found: list[str | None] = [None] * len(base)
        doubtful = self.groups.doubtful
        for i in (doubtful[base] | doubtful[other]).nonzero()[0].tolist():
            both = zip((base[i], other[i]), names, strict=True)
            said = [(self.groups.doubt(int(group)), name) for group, name in both]
            found[i] = "; ".join(f"{doubt} ({name})" for doubt, name in said if doubt) or None
        return found


def cases_of_frame(frame: pd.DataFrame, by: By = "auto", base: str | None = None) -> Cases:
    """Sort a frame with `COLUMNS` and `argument` into sides and cases."""
    if frame.empty:
        raise BadInputError(NO_ROW)
    sides = sides_of(frame, by)
    groups, of_row = groups_of(frame, sides.of_row)
    return Cases(
        sides=sides,
        groups=groups,
        names=[str(c) for c in frame["case_id"].cat.categories],
        peaks=measured_peaks(frame, sides.of_row, len(sides.sides)),
        values=InFrame(frame, of_row, len(groups)),
        base=base,
    )
