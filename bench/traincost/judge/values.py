"""What is known of every group: a typical value of each number, the shared one of what must agree.

All that a comparison needs of rows is here, so that the rows themselves can be in one frame, or
have been read in parts and let go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from traincost.judge import matching
from traincost.judge.intervals import Typical, typical
from traincost.judge.lines import METRICS, ROOFLINE
from traincost.judge.matching import GroupOfRow

if TYPE_CHECKING:
    import pandas as pd

TYPICAL = tuple(
    dict.fromkeys(
        (
            *("samples_per_s", "tokens_per_s", "run_spread_rel", "run_spread_n"),
            *("flops", "compulsory_bytes"),
            *(m.name for m in METRICS if m.name != ROOFLINE),
            *(m.error for m in METRICS if m.error),
        )
    )
)
"""Columns whose typical value is asked for."""

COMMON = tuple(
    dict.fromkeys(
        (
            *("suite", *matching.WORK, *matching.WORK_NUMBERS),
            *(column for m in METRICS for column in m.same),
        )
    )
)
"""Columns whose shared value is asked for."""

FIRST = ("impl",)
"""Columns whose value in the first row is asked for, whether or not that row counts."""


class Values(Protocol):
    """Of every group."""

    def typical(self, column: str) -> Typical:
        """Median and spread of one of `TYPICAL`."""
        ...

    def common(self, column: str) -> matching.Common:
        """The shared value of one of `COMMON`."""
        ...

    def first(self, column: str) -> list[str | None]:
        """The value of one of `FIRST` in the first row."""
        ...


@dataclass(frozen=True)
class InFrame:
    """Found in a frame when it is asked for, once."""

    frame: pd.DataFrame
    of_row: GroupOfRow
    n_groups: int
    _typical: dict[str, Typical] = field(default_factory=dict[str, Typical])
    _common: dict[str, matching.Common] = field(default_factory=dict[str, matching.Common])

    def typical(self, column: str) -> Typical:
        """Median and spread of a column."""
        if column not in self._typical:
            values = self.frame[column].to_numpy(dtype=float)
            self._typical[column] = typical(values, self.of_row.counting, self.n_groups)
        return self._typical[column]

    def common(self, column: str) -> matching.Common:
        """The shared value of a column."""
        if column not in self._common:
            rows = self.of_row.counting
            self._common[column] = matching.common(self.frame, rows, self.n_groups, column)
        return self._common[column]

    def first(self, column: str) -> list[str | None]:
        """A text column in the first row."""
        import numpy as np

        codes = self.frame[column].cat.codes.to_numpy()
        _, first = np.unique(self.of_row.all, return_index=True)
        values = self.frame[column].cat.categories
        return [None if c < 0 else str(values[c]) for c in codes[first].tolist()]
