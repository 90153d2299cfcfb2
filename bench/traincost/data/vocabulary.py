"""Texts of a column that comes in pieces, numbered in order of appearance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class Vocabulary:
    """One numbering for all pieces; pieces often hold the same texts as the one before."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._last: list[str] | None = None
        self._places: Any = None

    @property
    def texts(self) -> list[str]:
        """By code."""
        return list(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def codes(self, cells: pd.Series[Any]) -> npt.NDArray[np.int32]:
        """Of a categorical piece; below 0 where missing."""
        import numpy as np

        texts = list(cells.cat.categories)
        if texts != self._last:
            self._last = texts
            places = (self._known.setdefault(text, len(self._known)) for text in texts)
            self._places = np.array([*places, -1], np.int32)
        found: npt.NDArray[np.int32] = self._places[cells.cat.codes.to_numpy()]
        return found  # code -1 is the last place, -1
