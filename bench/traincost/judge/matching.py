"""Which rows are one case on one side, and whether two sides did the same work.

Rows of a case and a side are its runs. Where some of them are `ok` only these count; where none is,
`unstable`, `throttled` and `diverged` ones do, and it is said. A case with an `invalid` row on a
side has no numbers there, whatever its other runs say: a wrong answer has no speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from traincost.data.record import Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Integers = npt.NDArray[np.int64]
    Booleans = npt.NDArray[np.bool_]

DOUBTFUL = (Status.UNSTABLE, Status.THROTTLED, Status.DIVERGED)
FAILED = (Status.INVALID, Status.ERROR, Status.OOM, Status.UNAVAILABLE)
WORK = ("workload", "model", "impl", "phase", "dtype", "matmul_precision")
WORK_NUMBERS = ("n_params", "batch_size", "seq_len", "dataset_samples", "world_size")
_UNKNOWN = -1


@dataclass(frozen=True)
class Groups:
    """One group a case and side."""

    case: Integers  # (n_groups,) sorted by case, then side
    side: Integers  # (n_groups,)
    measured: Booleans  # (n_groups,) groups with a row that counts
    status_counts: Integers  # (n_groups, n_statuses) rows of each status, as `Status` has them

    def __len__(self) -> int:
        return len(self.case)

    def find(self, case: Integers, side: int) -> Integers:
        """The group of each case on a side; below 0 where there is none."""
        import numpy as np

        here = np.flatnonzero(self.side == side)
        if not here.size:
            return np.full(len(case), _UNKNOWN)
        at = np.minimum(np.searchsorted(self.case[here], case), here.size - 1)
        return np.where(self.case[here][at] == case, here[at], _UNKNOWN)

    @cached_property
    def doubtful(self) -> Booleans:
        """Groups with a row that is not ok."""
        ok = self.status_counts[:, list(Status).index(Status.OK)]
        found: Booleans = self.status_counts.sum(axis=1) > ok
        return found

    def count(self, group: int, statuses: Iterable[str]) -> dict[str, int]:
        """How many rows of which of the statuses a group has."""
        order = list(Status)
        counts = {str(s): int(self.status_counts[group, order.index(Status(s))]) for s in statuses}
        return {s: n for s, n in counts.items() if n}

    def doubt(self, group: int) -> str | None:
        """What is to be said of a group that counts: `2 unstable`, `1 unstable left out`."""
        ok = bool(self.status_counts[group, list(Status).index(Status.OK)])
        counts = self.count(group, (*DOUBTFUL, *FAILED) if ok else DOUBTFUL)
        if not counts:
            return None
        text = ", ".join(f"{n} {status}" for status, n in counts.items())
        return f"{text} left out" if ok else text


@dataclass(frozen=True)
class GroupOfRow:
    """The group of every row of a frame."""

    counting: Integers  # (n_rows,) below 0 for rows that do not count
    all: Integers  # (n_rows,)


def groups_of(frame: pd.DataFrame, side: Integers) -> tuple[Groups, GroupOfRow]:
    """Group the rows of a frame by `case_id` (in order of appearance) and side."""
    import numpy as np

    case = frame["case_id"].cat.codes.to_numpy().astype(np.int64)
    key = case * (int(side.max(initial=0)) + 1) + side
    distinct, of_row = np.unique(key, return_inverse=True)
    n_sides = int(side.max(initial=0)) + 1
    order = list(Status)
    known = np.array([order.index(Status(c)) for c in frame["status"].cat.categories], np.int64)
    status = known[frame["status"].cat.codes.to_numpy()]
    counts = np.bincount(of_row * len(order) + status, minlength=len(distinct) * len(order))
    counts = counts.reshape(len(distinct), len(order)).astype(np.int64)
    has_ok = counts[:, order.index(Status.OK)] > 0
    wrong = counts[:, order.index(Status.INVALID)] > 0
    doubtful = np.isin(status, [order.index(s) for s in DOUBTFUL])
    counts_row = (status == order.index(Status.OK)) | (doubtful & ~has_ok[of_row])
    counting = np.where(counts_row & ~wrong[of_row], of_row, _UNKNOWN)
    groups = Groups(
        case=distinct // n_sides,
        side=distinct % n_sides,
        measured=np.bincount(counting[counting >= 0], minlength=len(distinct)) > 0,
        status_counts=counts,
    )
    return groups, GroupOfRow(counting, of_row.astype(np.int64))


@dataclass(frozen=True)
class Common:
    """The one value of a column that all rows of a group share."""

    column: str
    code: Integers  # (n_groups,) of the value; below 0 where unknown
    several: Booleans  # (n_groups,) the rows of a group disagree
    values: Sequence[str]  # by code


def common(frame: pd.DataFrame, of_row: Integers, n_groups: int, column: str) -> Common:
    """Compare a column within each group, rows that count only; an unknown value fits any."""
    import numpy as np
    import pandas as pd

    cells = frame[column]
    if isinstance(cells.dtype, pd.CategoricalDtype):
        codes = cells.cat.codes.to_numpy().astype(np.int64)
        values = list(map(str, cells.cat.categories))
    else:
        found, distinct = pd.factorize(cells.to_numpy())
        codes, values = found.astype(np.int64), [f"{v:.17g}" for v in distinct]
    kept = (of_row >= 0) & (codes >= 0)
    if len(values) <= 1:
        code = np.full(n_groups, _UNKNOWN)
        code[of_row[kept]] = 0
        return Common(column, code, np.zeros(n_groups, bool), values)
    order = np.argsort(of_row[kept], kind="stable")
    group, codes = of_row[kept][order], codes[kept][order]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    lowest, highest = np.full(n_groups, _UNKNOWN), np.full(n_groups, _UNKNOWN)
    if starts.size:
        lowest[group[starts]] = np.minimum.reduceat(codes, starts)
        highest[group[starts]] = np.maximum.reduceat(codes, starts)
    return Common(column, lowest, lowest != highest, values)


def difference(of: Common, base: Integers, other: Integers) -> dict[int, str]:
    """Position in the two lists of groups -> how a column differs there."""
    import numpy as np

    unequal = (of.code[base] != of.code[other]) & (of.code[base] >= 0) & (of.code[other] >= 0)
    several = of.several[base] | of.several[other]
    found: dict[int, str] = {}
    for i in np.flatnonzero(unequal | several).tolist():
        if several[i]:
            found[i] = f"several values of {of.column} among the runs of a side"
        else:
            a, b = (of.values[int(of.code[groups[i]])] for groups in (base, other))
            found[i] = (
                "the workload changed" if of.column == "workload" else f"{of.column} {a}, {b}"
            )
    return found
