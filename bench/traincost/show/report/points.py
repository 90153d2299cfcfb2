"""One row a case and side, and where in which file each of its numbers stands.

Numbers are medians over the runs that count (`judge.matching`), text is that of the first row. A
place is written `F3:17`: line 17 of the third file, which the page lists.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from traincost.data.record import AXIS_PREFIX, METRIC_PREFIX, Status
from traincost.judge.cases import COLUMNS, Cases, cases_of_frame
from traincost.judge.machines import By
from traincost.judge.matching import GroupOfRow, groups_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

MORE = (
    *("started_at", "notes", "arch", "time_first_step_s", "flops_per_s", "hfu"),
    *("live_before_bytes", "host_peak_bytes", "loss_last", "loss_heldout", "accuracy_heldout"),
    *("grad_norm_ratio", "steps_to_target", "time_to_target_s", "energy_to_target_j", "seed"),
    *("registers", "spill_bytes", "bytes_per_element", "least_bytes_per_element"),
)
"""What the page shows beyond what a comparison needs."""

READ = tuple(dict.fromkeys((*COLUMNS, *MORE)))
TEXTS = ("suite", "device", "dtype", "matmul_precision", "model", "impl", "phase", "arch")
NUMBERS = (
    *("time_median_s", "samples_per_s", "tokens_per_s", "flops", "compulsory_bytes", "mfu"),
    *("step_peak_bytes", "device_peak_bytes", "gpu_energy_j", "cpu_energy_j"),
    *("n_params", "batch_size", "seq_len", "dataset_samples"),
    *(c for c in MORE if c not in ("started_at", "notes", "arch")),
)
MOST_PLACES = 3
FACETS = ("suite", "device", "dtype", "machine")
_AXIS = re.compile(r"([^=,\[\]]+)=([^,\]]*)")
_PLAIN = ("", "model", "impl", "dtype", "device", "phase", "kernel", "optimizer", "problem")


def own_columns(names: Sequence[str]) -> list[str]:
    """A suite's own axes and metrics among the names of columns."""
    return [n for n in names if n.startswith((AXIS_PREFIX, METRIC_PREFIX))]


def axes_of(case_id: str) -> dict[str, str]:
    """`suite/test[a=1,b=2]` -> {a: 1, b: 2}."""
    return dict(_AXIS.findall(case_id.partition("[")[2]))


def test_of(case_id: str) -> str:
    """`suite/test[a=1]` -> `suite/test`."""
    return case_id.partition("[")[0]


def short_case(case_id: str, without: Sequence[str] = ()) -> str:
    """`batch/train_step[batch_size=4,model=gpt-1M]` -> `train_step · gpt-1M · batch 4`."""
    axes = [axis for axis in _ordered(axes_of(case_id)) if axis[0] not in without]
    return " · ".join([test_of(case_id).rpartition("/")[2], *(_word(*axis) for axis in axes)])


def short_cases(case_ids: Sequence[str]) -> tuple[dict[str, str], str]:
    """The same of several cases, without what they share, and that: for rows of one figure."""
    parts = {
        case: [("", test_of(case).rpartition("/")[2]), *_ordered(axes_of(case))]
        for case in case_ids
    }
    distinct = set(case_ids)
    if len(distinct) < 2:
        return {case: short_case(case) for case in case_ids}, ""
    shared = set.intersection(*(set(words) for words in parts.values()))
    names = {
        case: " · ".join(_word(*w) for w in words if w not in shared) or short_case(case)
        for case, words in parts.items()
    }
    common = [w for w in parts[case_ids[0]] if w in shared]
    return names, " · ".join(_word(*w) for w in common)


def _ordered(axes: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(axes.items(), key=lambda axis: axis[0] not in ("model", "kernel", "optimizer"))


def _word(name: str, value: str) -> str:
    if name in _PLAIN:
        return value
    return f"{name.replace('_size', '').replace('_', ' ')} {value}"


@dataclass(frozen=True)
class Points:
    """The table of cases, and what finds the rows behind each."""

    data: Cases
    frame: pd.DataFrame  # (n_rows,) as it was read
    of_row: GroupOfRow
    table: pd.DataFrame  # (n_groups,) `TEXTS`, `NUMBERS`, own columns, case_id, side, status, runs
    files: Sequence[str]
    facet_values: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @cached_property
    def _rows(self) -> tuple[Integers, Integers]:
        """Row positions sorted by group, and where each group starts among them."""
        import numpy as np

        of_row = self.of_row.all
        order = np.argsort(of_row, kind="stable")
        return order, np.searchsorted(of_row[order], np.arange(len(self.table) + 1))

    def places(self, group: int) -> str:
        """`F1:2, F2:2`: file and line of every row of a group, or of the first few."""
        order, starts = self._rows
        rows = order[starts[group] : starts[group + 1]]
        codes = self.frame["file"].cat.codes.to_numpy()
        lines = self.frame["line"].to_numpy()
        text = ", ".join(f"F{codes[row] + 1}:{lines[row]}" for row in rows[:MOST_PLACES].tolist())
        more = len(rows) - MOST_PLACES
        return text if more <= 0 else f"{text}, and {more:,} more"

    def notes(self, group: int) -> str:
        """The notes of a group's first row."""
        order, starts = self._rows
        cell = self.frame["notes"].iloc[int(order[starts[group]])]
        return cell if isinstance(cell, str) else ""

    def classes(self, group: int) -> str:
        """The classes by which filters hide what belongs to a case."""
        row = self._codes[group]
        return " ".join(f"{letter}{code}" for letter, code in zip("abcd", row, strict=True))

    @cached_property
    def _codes(self) -> list[list[int]]:
        import numpy as np

        columns = [self.table[f].cat.codes.to_numpy() for f in FACETS[:3]]
        both = np.stack([*columns, self.table["side"].to_numpy()], axis=1)
        codes: list[list[int]] = both.tolist()
        return codes

    def of(self, name: str) -> Floats:
        """A number of every group, NaN where it is not known."""
        import numpy as np

        if name not in self.table:
            return np.full(len(self.table), np.nan)
        return self.table[name].to_numpy(dtype=float)

    @cached_property
    def cases(self) -> list[str]:
        """The case id of every group."""
        return [self.data.names[c] for c in self.data.groups.case.tolist()]

    def side_name(self, side: int) -> str:
        """What a side is called."""
        return self.names[side]

    @cached_property
    def names(self) -> list[str]:
        """Of all sides; with the device where the CPU and the GPU of a box are two sides."""
        sides = self.data.sides.sides
        same = Counter(side.name for side in sides)
        return [
            side.name if same[side.name] == 1 else f"{side.name} · {side.device or 'no device'}"
            for side in sides
        ]

    @cached_property
    def measured_sides(self) -> list[int]:
        """Sides with a case that was measured."""
        groups = self.data.groups
        return sorted(set(groups.side[groups.measured].tolist()))

    def has_one_side(self) -> bool:
        """Whether there is nothing to tell apart among what was measured."""
        return len(self.measured_sides) < 2


def points_of(frame: pd.DataFrame, by: By, base: str | None) -> Points:
    """Sort what was read into one row a case and side."""
    import numpy as np
    import pandas as pd

    data = cases_of_frame(frame, by, base)
    of_row = groups_of(frame, data.sides.of_row)[1]
    groups = data.groups
    _, first = np.unique(of_row.all, return_index=True)
    columns: dict[str, Any] = {}
    own = own_columns(list(map(str, frame.columns)))
    for name in (*TEXTS, *(n for n in own if n.startswith(AXIS_PREFIX))):
        columns[name] = frame[name].cat.codes.to_numpy()[first]
        columns[name] = pd.Categorical.from_codes(
            columns[name], categories=frame[name].cat.categories
        ).remove_unused_categories()
    for name in (*NUMBERS, *(n for n in own if n.startswith(METRIC_PREFIX))):
        columns[name] = data.typical(name).median
    counts = groups.status_counts
    statuses = np.array([str(s) for s in Status], dtype=object)
    ok = counts[:, list(Status).index(Status.OK)] > 0
    other = counts.copy()
    other[:, list(Status).index(Status.OK)] = 0
    columns["status"] = np.where(ok & groups.measured, str(Status.OK), statuses[other.argmax(1)])
    columns["side"] = groups.side
    columns["runs"] = counts.sum(axis=1)
    columns["doubtful"] = columns["status"] != str(Status.OK)
    table = pd.DataFrame(columns, copy=False)
    files = [str(f) for f in frame["file"].cat.categories]
    values = {f: [str(v) for v in table[f].cat.categories] for f in FACETS[:3]}
    points = Points(data, frame, of_row, table, files, values)
    values["machine"] = points.names
    return points
