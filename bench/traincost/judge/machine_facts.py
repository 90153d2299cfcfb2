"""What is to be known of the machines, taken from blocks of rows as they pass.

Rows that are alike in all texts that tell sides apart or describe them (run, machine, commit, host,
driver, …) get one number. There are about as many as runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from traincost.data.plain import categorical
from traincost.data.record import column_type
from traincost.data.vocabulary import Vocabulary
from traincost.judge.machines import NUMBER_FACTS, TEXT_FACTS, By, Medians, Sides, sides_of
from traincost.judge.roofline import (
    OWN_PEAK_COLUMNS,
    PEAK_COLUMNS,
    Measured,
    machine_rows,
    own_peak_rows,
    peaks_of,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Integers = npt.NDArray[np.int64]
    Codes = Mapping[str, npt.NDArray[np.int32]]

_ALIKE = tuple(dict.fromkeys(("device", "run_id", *TEXT_FACTS)))


class MachineFacts:
    """Distinct rows of facts; clocks and limits; the rows that tell peaks."""

    def __init__(self, vocabulary: Mapping[str, Vocabulary]) -> None:
        self._vocabulary = vocabulary
        self._arguments: dict[str, int] = {}
        self._alike: dict[tuple[int, ...], int] = {}  # codes of _ALIKE, argument, paired
        self._numbers: dict[str, list[tuple[Any, Any, Any]]] = {n: [] for n in NUMBER_FACTS}
        self._reached: list[pd.DataFrame] = []
        self._own: list[pd.DataFrame] = []

    @property
    def runs(self) -> Integers:
        """The code of the `run_id` of each distinct row."""
        import numpy as np

        return np.array([key[_ALIKE.index("run_id")] for key in self._alike], np.int64)

    def add(self, block: pd.DataFrame, codes: Codes, argument: str) -> Integers:
        """Rows with their codes; the number of the distinct row that each is alike."""
        import numpy as np

        paired = block["pair"].notna().to_numpy()
        first, of_row = _distinct([*(codes[name] for name in _ALIKE), paired.astype(np.int32)])
        number = self._arguments.setdefault(argument, len(self._arguments))
        places: list[int] = []
        for row in first.tolist():
            key = (*(int(codes[name][row]) for name in _ALIKE), number, int(paired[row]))
            places.append(self._alike.setdefault(key, len(self._alike)))
        alike: Integers = np.array(places, np.int64)[of_row]
        for name in NUMBER_FACTS:
            self._add_number(name, block[name].to_numpy(dtype=float), alike)
        self._add_peaks(block, alike)
        return alike

    def _add_number(self, name: str, values: npt.NDArray[np.float64], alike: Integers) -> None:
        """Values with how often they stand there; a column of one value, as most are, once."""
        import numpy as np

        known = ~np.isnan(values)
        values, alike = values[known], alike[known]
        if values.size and (values == values[0]).all():
            rows, counts = np.unique(alike, return_counts=True)
            self._numbers[name].append((rows, np.full(len(rows), values[0]), counts))
        elif values.size:
            self._numbers[name].append((alike.astype(np.int32), values, None))

    def _add_peaks(self, block: pd.DataFrame, alike: Integers) -> None:
        chosen, own = machine_rows(block), own_peak_rows(block)
        if chosen.any():
            self._reached.append(_plain(block.loc[chosen, list(PEAK_COLUMNS)], alike[chosen]))
        if own.any():
            self._own.append(_plain(block.loc[own, list(OWN_PEAK_COLUMNS)], alike[own]))

    def sides_and_peaks(self, by: By) -> tuple[Sides, list[Measured]]:
        """The side of every distinct row, and the measured peaks of every side."""
        import numpy as np
        import pandas as pd

        keys = np.array(list(self._alike), np.int64).T
        found: dict[str, Any] = {
            name: categorical(keys[i], self._vocabulary[name].texts)
            for i, name in enumerate(_ALIKE)
        }
        nothing = np.full(keys.shape[1], -1)
        found["impl"] = categorical(nothing, self._vocabulary["impl"].texts)
        found["argument"] = categorical(keys[-2], list(self._arguments))
        found["pair"] = np.where(keys[-1] > 0, 1.0, np.nan)
        sides = sides_of(pd.DataFrame(found), by, self._medians)
        reached, own = (_together(rows) for rows in (self._reached, self._own))
        of = [sides.of_row[rows["alike"].to_numpy()] for rows in (reached, own)]
        return sides, peaks_of(reached, of[0], own, of[1], len(sides.sides))

    def _medians(self, sides: Sides) -> list[Medians]:
        import numpy as np

        found: list[dict[str, float]] = [{} for _ in sides.sides]
        for name, pieces in self._numbers.items():
            for i, known in enumerate(found):
                values: list[Any] = []
                for rows, numbers, counts in pieces:
                    here = sides.of_row[rows] == i
                    times = 1 if counts is None else counts[here]
                    values.append(np.repeat(numbers[here], times))
                together = np.concatenate([np.zeros(0), *values])
                if together.size:
                    known[name] = float(np.median(together))
        return list(found)


def _distinct(columns: list[npt.NDArray[np.int32]]) -> tuple[Integers, Integers]:
    """The first row of each distinct one, in order of appearance, and which of them each row is."""
    import numpy as np
    import pandas as pd

    key: Integers = np.zeros(len(columns[0]), np.int64)
    for codes in columns:
        if (codes != codes[0]).any():
            joined = key * (int(codes.max()) + 2) + codes + 1
            key = pd.factorize(joined)[0].astype(np.int64)
    return np.unique(key, return_index=True)[1].astype(np.int64), key


def _plain(rows: pd.DataFrame, alike: Integers) -> pd.DataFrame:
    """Texts as such, so that blocks can be put on top of each other; no row twice."""
    texts = {name: object for name in rows if column_type(str(name)) is str}
    return rows.astype(texts).assign(alike=alike).drop_duplicates()


def _together(pieces: list[pd.DataFrame]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    if not pieces:
        columns = {name: np.zeros(0) for name in PEAK_COLUMNS}
        return pd.DataFrame({**columns, "alike": np.zeros(0, np.int64)}).astype({"case_id": object})
    return pd.concat(pieces, ignore_index=True)
