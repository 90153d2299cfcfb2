"""Cases of more rows than fit in memory: the same groups and values as of one frame.

    blocks of rows  ->  facts of the machines, kept; the rest of each row put aside by case
    each part       ->  all rows of some cases: their groups, typical and shared values

A median needs all runs of a case at once, so rows are parted by case and one part is held at a
time. What is kept is a few bytes a group, and of every row only the clocks that were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from traincost.data.errors import BadInputError
from traincost.data.frames import run_again
from traincost.data.plain import categorical
from traincost.data.record import column_type
from traincost.data.spill import MOST_PARTS, Spill
from traincost.data.vocabulary import Vocabulary
from traincost.judge.cases import COLUMNS, NO_ROW, Cases
from traincost.judge.intervals import Typical
from traincost.judge.machine_facts import MachineFacts
from traincost.judge.machines import By
from traincost.judge.matching import Common, Groups, groups_of
from traincost.judge.values import COMMON, FIRST, TYPICAL, InFrame

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Integers = npt.NDArray[np.int64]
    Columns = Mapping[str, npt.NDArray[Any]]

_ROWS_A_PART = 500_000
_NEEDED = dict.fromkeys(("status", "case_id", *COMMON, *FIRST, *TYPICAL))
_TEXTS = tuple(name for name in _NEEDED if column_type(name) is str)
_NUMBERS = tuple(name for name in _NEEDED if column_type(name) is not str)


class Stream:
    """Takes blocks of rows in order, then tells the cases; a context, for what it puts aside."""

    def __init__(self, rows_about: int) -> None:
        self._n_parts = min(MOST_PARTS, max(1, rows_about // _ROWS_A_PART))
        self._spill = Spill((*_TEXTS, "alike", "file", "line"), _NUMBERS, self._n_parts)
        self._vocabulary = {n: Vocabulary() for n in COLUMNS if column_type(n) is str}
        self._files: dict[str, int] = {}
        self._facts = MachineFacts(self._vocabulary)

    def __enter__(self) -> Stream:
        self._spill.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._spill.__exit__(*error)

    def add(self, block: pd.DataFrame, file: str, argument: str) -> None:
        """Rows with `COLUMNS` and `line`, and where they are from."""
        import numpy as np

        if block.empty:
            return
        codes = {name: known.codes(block[name]) for name, known in self._vocabulary.items()}
        alike = self._facts.add(block, codes, argument)
        number = self._files.setdefault(file, len(self._files))
        columns: dict[str, npt.NDArray[Any]] = {n: block[n].to_numpy() for n in _NUMBERS}
        columns |= {name: codes[name] for name in _TEXTS}
        columns |= {"alike": alike, "file": np.full(len(block), number)}
        columns["line"] = block["line"].to_numpy()
        self._spill.add(columns, codes["case_id"].astype(np.int64) % self._n_parts)

    def cases(self, by: By, base: str | None) -> Cases:
        """Of all blocks; BadInputError if a run of a case is there twice, or no row at all."""
        if not len(self._vocabulary["case_id"]):
            raise BadInputError(NO_ROW)
        sides, peaks = self._facts.sides_and_peaks(by)
        parts = list(self._parts(sides.of_row, len(sides.sides)))
        groups, values = _gathered(parts, {n: self._vocabulary[n].texts for n in _TEXTS})
        names = self._vocabulary["case_id"].texts
        return Cases(sides, groups, names, peaks, values, base)

    def _parts(self, side_of_alike: Integers, n_sides: int) -> Iterator[_Part]:
        import numpy as np

        again: list[tuple[int, int, int, int, int]] = []
        for rows in self._spill.parts():
            again += self._again(rows)
            side = side_of_alike[rows["alike"]]
            order = np.argsort(rows["case_id"].astype(np.int64) * n_sides + side, kind="stable")
            yield self._part({name: cells[order] for name, cells in rows.items()}, side[order])
        if again:
            at, line, run, case, before = min(again)
            files = list(self._files)
            runs, cases = (self._vocabulary[n].texts for n in ("run_id", "case_id"))
            raise run_again(runs[run], cases[case], files[at], line, files[before])

    def _again(self, rows: Columns) -> list[tuple[int, int, int, int, int]]:
        """The first row whose run and case were there before, if any."""
        import numpy as np

        run = self._facts.runs[rows["alike"]]
        key = run * len(self._vocabulary["case_id"]) + rows["case_id"]
        distinct, first, of_row = np.unique(key, return_index=True, return_inverse=True)
        if len(distinct) == len(key):
            return []
        i = int((first[of_row] != np.arange(len(key))).argmax())
        file, line, case = (int(rows[name][i]) for name in ("file", "line", "case_id"))
        return [(file, line, int(run[i]), case, int(rows["file"][first[of_row[i]]]))]

    def _part(self, rows: Columns, side: Integers) -> _Part:
        import pandas as pd

        numbers = {name: rows[name] for name in _NUMBERS}
        texts = {n: categorical(rows[n], self._vocabulary[n].texts) for n in _TEXTS}
        frame = pd.DataFrame({**numbers, **texts}, copy=False)
        groups, of_row = groups_of(frame, side)
        values = InFrame(frame, of_row, len(groups))
        return _Part(
            groups,
            {name: values.typical(name) for name in TYPICAL},
            {name: values.common(name) for name in COMMON},
            {name: values.first(name) for name in FIRST},
        )


@dataclass(frozen=True)
class _Part:
    """The groups of some cases, and what is known of them."""

    groups: Groups
    typical: Mapping[str, Typical]
    common: Mapping[str, Common]
    first: Mapping[str, Sequence[str | None]]


@dataclass(frozen=True)
class Gathered:
    """Of every group, from all parts."""

    _typical: Mapping[str, Typical]
    _common: Mapping[str, Common]
    _first: Mapping[str, list[str | None]]

    def typical(self, column: str) -> Typical:
        """Median and spread of a column."""
        return self._typical[column]

    def common(self, column: str) -> Common:
        """The shared value of a column."""
        return self._common[column]

    def first(self, column: str) -> list[str | None]:
        """A text column in the first row."""
        return self._first[column]


def _gathered(
    parts: Sequence[_Part], texts: Mapping[str, Sequence[str]]
) -> tuple[Groups, Gathered]:
    """Groups of all parts, sorted by case and side, and their values in that order."""
    import numpy as np

    groups = [part.groups for part in parts]
    case, side = (np.concatenate([getattr(g, n) for g in groups]) for n in ("case", "side"))
    order = np.lexsort((side, case))
    typical = {
        name: Typical(
            *(
                np.concatenate([getattr(part.typical[name], of) for part in parts])[order]
                for of in ("median", "log_variance", "freedom", "runs")
            )
        )
        for name in TYPICAL
    }
    common = {
        name: _common(name, [part.common[name] for part in parts], texts.get(name), order)
        for name in COMMON
    }
    flat = {name: [value for part in parts for value in part.first[name]] for name in FIRST}
    first = {name: [values[i] for i in order.tolist()] for name, values in flat.items()}
    whole = Groups(
        case=case[order],
        side=side[order],
        measured=np.concatenate([g.measured for g in groups])[order],
        status_counts=np.concatenate([g.status_counts for g in groups])[order],
    )
    return whole, Gathered(typical, common, first)


def _common(
    name: str, parts: Sequence[Common], texts: Sequence[str] | None, order: Integers
) -> Common:
    """Codes of one numbering: of texts they are already, of numbers each part has its own."""
    import numpy as np

    several = np.concatenate([part.several for part in parts])[order]
    codes = [part.code for part in parts]
    if texts is None:
        known: dict[str, int] = {}
        places = [
            np.array([*(known.setdefault(v, len(known)) for v in part.values), -1], np.int64)
            for part in parts
        ]
        codes = [place[code] for place, code in zip(places, codes, strict=True)]
        texts = list(known)
    return Common(name, np.concatenate(codes)[order], several, texts)
