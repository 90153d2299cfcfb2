"""Many result files as one lean frame: the columns asked for, fast, and strict all the same.

Text columns are categories and numbers float64. Files are read by several threads where that pays;
the answer does not depend on how many there are.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traincost.data.errors import BadInputError
from traincost.data.plain import categorical, read_plain
from traincost.data.record import column_type
from traincost.data.results import Row, rows_of
from traincost.data.text import checked_csv
from traincost.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pandas as pd

_WORTH_PARSING = 2**16
"""Bytes of a file; below, its rows one by one are faster than some hundred calls of pandas."""

_WORTH_THREADS = 32 * 2**20
"""Bytes of all files; below, one thread has read them before a second has started."""


def read_columns(paths: Sequence[Path], wanted: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The `wanted` columns of each file, and `line`, the line of the row; in the order of `paths`.

    Threads read ahead, as the parser needs no Python while it works, by a few files and not by all
    of them: what is read and not yet taken is bounded.
    """
    read = partial(_read, wanted=tuple(wanted))
    threads = min(len(paths), len(os.sched_getaffinity(0)))
    size = sum(path.stat().st_size for path in paths if path.is_file())
    if threads < 2 or size < _WORTH_THREADS:
        yield from map(read, paths)
        return
    with ThreadPoolExecutor(threads) as pool:
        rest = iter(paths)
        ahead = deque(pool.submit(read, path) for path in islice(rest, 2 * threads))
        try:
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(pool.submit(read, path) for path in islice(rest, 1))
        finally:
            pool.shutdown(cancel_futures=True)  # an error ends it before the last file


def _read(path: Path, wanted: Sequence[str]) -> pd.DataFrame:
    content = checked_csv(path)
    frame = read_plain(path, content, wanted) if len(content) > _WORTH_PARSING else None
    if frame is not None:
        frame["line"] = range(2, len(frame) + 2)
        return frame
    return frame_of_rows(list(rows_of(path, content)), wanted)


def frame_of_rows(rows: Iterable[tuple[int, Row]], wanted: Sequence[str]) -> pd.DataFrame:
    """Typed rows with their lines, as such a frame."""
    import numpy as np
    import pandas as pd

    lines, values = [line for line, _ in rows], [row for _, row in rows]
    found: dict[str, Any] = {}
    for name in wanted:
        cells = [row.get(name) for row in values]
        number = column_type(name) in (int, float)
        found[name] = np.array(cells, dtype=float) if number else _texts(cells)  # None is NaN
    frame = pd.DataFrame(found, index=range(len(values)))
    frame["line"] = lines
    return frame


def _texts(cells: Sequence[object]) -> pd.Categorical:
    import numpy as np
    import pandas as pd

    codes, values = pd.factorize(np.array([*cells, None], dtype=object)[:-1])
    return categorical(codes, values)


def one_frame(blocks: Sequence[tuple[pd.DataFrame, str, str]]) -> pd.DataFrame:
    """Frames on top of each other, with `file` and `argument`, what each came under.

    A run of one case in two files would count twice, so it is refused.
    """
    import numpy as np
    import pandas as pd

    if not blocks:
        return pd.DataFrame()
    frames = [frame for frame, *_ in blocks]
    columns: dict[str, Any] = {}
    for name in frames[0].columns:
        parts = [frame[name] for frame in frames]
        text = isinstance(parts[0].dtype, pd.CategoricalDtype)
        columns[name] = (
            _united(parts) if text else np.concatenate([part.to_numpy() for part in parts])
        )
    for i, name in enumerate(("file", "argument")):
        names = [(file, argument)[i] for _, file, argument in blocks]
        codes, distinct = pd.factorize(np.array(names, dtype=object))
        rows = np.repeat(codes, [len(frame) for frame in frames])
        columns[name] = categorical(rows, distinct)
    frame = pd.DataFrame(columns, copy=False)
    again = frame.duplicated(["run_id", "case_id"])
    if again.any():
        row = frame[again].iloc[0]
        same = (frame.run_id == row.run_id) & (frame.case_id == row.case_id)
        before = frame[same].iloc[0].file
        raise run_again(row.run_id, row.case_id, row.file, row.line, before)
    return frame


def _united(parts: Sequence[pd.Series[Any]]) -> pd.Categorical:
    """On top of each other, texts in order of appearance."""
    import numpy as np

    known = Vocabulary()
    codes = [known.codes(part) for part in parts]
    return categorical(np.concatenate(codes), known.texts)


def run_again(run: str, case: str, at: str, line: int, before: str) -> BadInputError:
    """A run of one case that stands at `at` and in the file `before`."""
    place = "row" if at.endswith(".parquet") else "line"
    return BadInputError(
        f"{at}, {place} {line}, column run_id: {run!r} of {case} is also in {before}; "
        "expected each run once"
    )
