"""Records as the cases of a comparison, and the lines of one."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from two_machines import Box, again, results

from traincost.data.frames import frame_of_rows, one_frame
from traincost.data.record import Record
from traincost.data.results import to_row
from traincost.judge.cases import COLUMNS, Cases, cases_of_frame
from traincost.judge.compare import Comparison
from traincost.judge.lines import Line


def frame_of(*sides: Iterable[Record]) -> pd.DataFrame:
    """A frame with an argument of the command line a side."""
    rows = [[(n + 2, to_row(r)) for n, r in enumerate(records)] for records in sides]
    names = [f"side{i}" for i in range(len(rows))]
    return one_frame([(frame_of_rows(r, COLUMNS), n, n) for r, n in zip(rows, names, strict=True)])


def cases(*sides: Iterable[Record], **options: Any) -> Cases:
    return cases_of_frame(frame_of(*sides), **options)


def runs(box: Box, n: int) -> list[Record]:
    return [record for run in range(n) for record in again(results(box), run)]


def lines(found: Comparison, metric: str) -> list[Line]:
    return [line for line in found.lines if line.metric == metric]
