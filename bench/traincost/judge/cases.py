"""A frame sorted into cases and sides, and what is known of each of these groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError
from traincost.judge import matching
from traincost.judge.intervals import Typical, typical
from traincost.judge.lines import METRICS, ROOFLINE, Metric
from traincost.judge.machines import NUMBER_FACTS, TEXT_FACTS, By, Sides, sides_of
from traincost.judge.matching import Groups, groups_of
from traincost.judge.roofline import Measured, bounds_s, measured_peaks
from traincost.machine.peaks import rate_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Integers = npt.NDArray[np.int64]

COLUMNS = tuple(
    dict.fromkeys(
        (
            *("run_id", "suite", "case_id", "status", "device", *TEXT_FACTS, *NUMBER_FACTS),
            *(*matching.WORK, *matching.WORK_NUMBERS),
            *("time_min_s", "samples_per_s", "tokens_per_s", "run_spread_rel", "run_spread_n"),
            *("flops", "traffic_bytes", "compulsory_bytes", "peak_flops_per_s", "peak_bytes_per_s"),
            *(m.name for m in METRICS if m.name != ROOFLINE),
            *(column for m in METRICS for column in m.same),
            *(m.error for m in METRICS if m.error),
        )
    )
)
"""What a frame to compare must have, and `argument`: what named its file on the command line."""


@dataclass(frozen=True)
class Cases:
    """A frame sorted into cases and sides, and what was found out about it once."""

    frame: pd.DataFrame
    sides: Sides
    groups: Groups
    base: str | None = None  # the side that the others are compared with, where asked for
    _typical: dict[str, Typical] = field(default_factory=dict[str, Typical])
    _common: dict[str, matching.Common] = field(default_factory=dict[str, matching.Common])

    def typical(self, column: str) -> Typical:
        """Median and spread of a column, for every group."""
        if column not in self._typical:
            values = self.frame[column].to_numpy(dtype=float)
            self._typical[column] = typical(values, self.groups.of_row, len(self.groups))
        return self._typical[column]

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
        if column not in self._common:
            self._common[column] = matching.common(self.frame, self.groups, column)
        return self._common[column]

    def text(self, column: str) -> list[str | None]:
        """That value, for every group."""
        of = self.common(column)
        return [None if code < 0 else str(of.values[code]) for code in of.code.tolist()]

    def values_of_all(self, column: str) -> list[str | None]:
        """A text column in the first row of every group, whether or not that row counts."""
        import numpy as np

        codes = self.frame[column].cat.codes.to_numpy()
        _, first = np.unique(self.groups.all_of_row, return_index=True)
        values = self.frame[column].cat.categories
        return [None if c < 0 else str(values[c]) for c in codes[first].tolist()]

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
    def names(self) -> list[str]:
        """Case ids by code."""
        return [str(c) for c in self.frame["case_id"].cat.categories]

    @cached_property
    def peaks(self) -> list[Measured]:
        """The measured peaks of every side."""
        return measured_peaks(self.frame, self.sides.of_row, len(self.sides.sides))

    @cached_property
    def _over_roofline(self) -> Typical:
        of = self.typical("time_median_s")
        both = zip(self.text("dtype"), self.text("matmul_precision"), strict=True)
        bound = bounds_s(
            [rate_name(dtype, precision) for dtype, precision in both],
            self.groups.side,
            self.typical("flops").median,
            self.typical("compulsory_bytes").median,
            self.peaks,
        )
        bound[[s == "machine" for s in self._suites]] = float("nan")  # the peak, over itself
        return Typical(of.median / bound, of.log_variance, of.freedom, of.runs)

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
        raise BadInputError("no row in any file; expected results to compare")
    sides = sides_of(frame, by)
    return Cases(frame, sides, groups_of(frame, sides.of_row), base)
