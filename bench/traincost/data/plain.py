"""Fast reading of plain CSVs, by the C parser of pandas.

It never judges input. Whatever it cannot read exactly as `results.rows_of` would, it hands back as
None, and the file is then read cell by cell, which gives the rows or names the bad cell. A test
holds the two to each other over mutilated files.

That no row is short or long is seen by a mark put behind each line: it must arrive in the column
behind the last one, in every row. Integers are read as text and converted once per distinct value,
because a parser of floats would take `1.6E+10` for one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traincost.data.cells import read_cell
from traincost.data.ranges import range_fault
from traincost.data.record import REQUIRED, SCHEMA, Status, column_type
from traincost.data.results import check_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

_MARK = "\x1f"
_INTEGERS = re.compile(r"(?:-?[0-9]{1,18}\n)*")
_TRUTH = (b"rue", b"RUE", b"alse", b"ALSE")
_STRANGE = (b"\r", _MARK.encode())


def read_plain(path: Path, content: bytes, wanted: Collection[str]) -> pd.DataFrame | None:
    """The `wanted` columns of a checked content whose header is in order; None if in doubt.

    Text as categories, numbers as float64 with NaN where the cell is empty. All numbers of the file
    are checked, wanted or not.
    """
    import numpy as np

    first = content[: content.find(b"\n")]
    n_rows = content.count(b"\n") - 1
    if n_rows < 1 or b'"' in first or any(s in content for s in _STRANGE):
        return None
    if not _quotes_are_regular(np.frombuffer(content, np.uint8)):
        return None
    header = first.decode().split(",")
    check_header(path, header)
    columns = _parsed(content, header, wanted)
    if columns is None or len(columns) != n_rows or not _is_in_order(columns):
        return None
    integers = {n: _integers(n, columns[n]) for n in map(str, columns) if column_type(n) is int}
    if any(numbers is None for numbers in integers.values()):
        return None
    return _converted(columns, integers, wanted)


def _quotes_are_regular(
    content: npt.NDArray[np.uint8],  # (n_bytes,)
) -> bool:
    """Whether quotes only open, close, or stand doubled inside: then all parsers agree.

    Runs of quotes: an odd one opens a cell (after a comma or line end) or closes it (before one),
    in turns; an even one is a doubled quote inside, or an empty cell. More is left to the slow way.
    """
    import numpy as np

    at = np.flatnonzero(content == ord('"'))
    if not at.size:
        return True
    starts = at[np.concatenate(([True], np.diff(at) > 1))]
    ends = at[np.concatenate((np.diff(at) > 1, [True]))]
    opens = (starts == 0) | _is_delimiter(content[starts - 1])
    closes = _is_delimiter(content[np.minimum(ends + 1, content.size - 1)])
    odd = (ends - starts) % 2 == 0
    in_turn = opens[odd]
    return bool(
        ((opens != closes) == odd).all()
        and in_turn.size % 2 == 0
        and in_turn[::2].all()
        and not in_turn[1::2].any()
    )


def _is_delimiter(content: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    delimiters: npt.NDArray[np.bool_] = (content == ord(",")) | (content == ord("\n"))
    return delimiters


def _parsed(content: bytes, header: list[str], wanted: Collection[str]) -> pd.DataFrame | None:
    """What pandas makes of the columns that are wanted, required or numbers; None if it balks."""
    import pandas as pd

    kinds = {name: column_type(name) for name in header}
    read = [n for n, k in kinds.items() if n in wanted or n in REQUIRED or k in (int, float)]
    # Text, not "category": that would make the number 7 of a commit named 007.
    dtypes: dict[Any, Any] = {n: "float64" if kinds[n] is float else object for n in read}
    try:
        columns = pd.read_csv(
            io.BytesIO(content.replace(b"\n", f",{_MARK}\n".encode())),
            header=None,
            skiprows=1,
            names=[*header, _MARK],
            usecols=[*read, _MARK],
            index_col=False,
            dtype={**dtypes, _MARK: object},
            na_values=[""],
            keep_default_na=False,
            skip_blank_lines=False,
            low_memory=False,
            encoding="utf-8",
        )
    except (ValueError, OverflowError):  # a ParserError is a ValueError
        return None
    if not (columns.pop(_MARK) == _MARK).all():
        return None
    if _may_hold_truth_values(columns) and any(word in content for word in _TRUTH):
        return None
    return pd.DataFrame(
        {n: columns[n] if kinds[n] is float else _categories(columns[n]) for n in read},
        copy=False,
    )


def _categories(cells: pd.Series[Any]) -> pd.Categorical:
    """Most columns hold one value throughout a file, or none, which is seen faster than sorted."""
    import numpy as np
    import pandas as pd

    values = cells.to_numpy()
    if isinstance(values[0], str) and (values == values[0]).all():
        return categorical(np.zeros(len(values), np.int8), values[:1])
    if not isinstance(values[0], str) and cells.isna().all():
        return categorical(np.full(len(values), -1, np.int8), ())
    return categorical(*pd.factorize(values))


def categorical(codes: npt.NDArray[Any], values: Iterable[object]) -> pd.Categorical:
    """Codes (-1 is missing) and their texts, as dtype object, so that any two can be united."""
    import pandas as pd

    texts: Any = pd.Index(list(values), dtype=object)
    found: pd.Categorical = pd.Categorical.from_codes(codes, texts)
    return found


def _may_hold_truth_values(columns: pd.DataFrame) -> bool:
    """Pandas takes a column of nothing but TRUE and FALSE for 1.0 and 0.0."""
    floats = [columns[n] for n in columns if column_type(str(n)) is float]
    ends = (0.0, 1.0)
    return any(c.min() in ends and c.max() in ends and c.dropna().isin(ends).all() for c in floats)


def _is_in_order(columns: pd.DataFrame) -> bool:
    """Required cells filled, known schema and statuses, finite numbers in range, no case twice."""
    if any(columns[name].isna().any() for name in REQUIRED):
        return False
    known: dict[str, set[str]] = {"schema": {str(SCHEMA)}, "status": {str(s) for s in Status}}
    if any(set(columns[n].cat.categories) - values for n, values in known.items()):
        return False
    for name in columns:
        kind = column_type(str(name))
        if kind is float and not _floats_are_in_range(str(name), columns[name]):
            return False
    return not columns.duplicated(["run_id", "case_id"]).any()


def _floats_are_in_range(name: str, values: pd.Series[Any]) -> bool:
    import numpy as np

    found = values.to_numpy(dtype=float, na_value=np.nan)
    found = found[~np.isnan(found)]
    if not found.size:
        return True
    lowest, highest = float(found.min()), float(found.max())
    return range_fault(name, lowest) is None and abs(lowest) < np.inf and abs(highest) < np.inf


def _integers(name: str, cells: pd.Series[Any]) -> npt.NDArray[np.float64] | None:
    """The number that each distinct cell is; None if one is none, or out of its range."""
    import numpy as np

    texts = cells.cat.categories
    if not _INTEGERS.fullmatch("\n".join([*texts, ""])):
        return None
    numbers = np.array(list(map(int, texts)), dtype=float)
    return None if numbers.size and range_fault(name, float(numbers.min())) else numbers


def _converted(
    columns: pd.DataFrame,
    integers: Mapping[str, npt.NDArray[np.float64] | None],
    wanted: Collection[str],
) -> pd.DataFrame | None:
    """Integers as floats, text without the apostrophe that keeps a spreadsheet quiet."""
    import numpy as np
    import pandas as pd

    found: dict[str, Any] = {}
    for name in wanted:
        if name not in columns:
            continue
        cells = columns[name]
        numbers = integers.get(name)
        if column_type(name) is float:
            found[name] = cells
        elif numbers is not None:
            found[name] = np.append(numbers, np.nan)[cells.cat.codes.to_numpy()]  # code -1 is NaN
        elif any(text[0] == "'" for text in cells.cat.categories):
            texts = [read_cell(text, str) for text in cells.cat.categories]
            if len(set(texts)) < len(texts):
                return None
            found[name] = categorical(cells.cat.codes.to_numpy(), texts)
        else:
            found[name] = cells
    return with_all(pd.DataFrame(found, index=columns.index, copy=False), wanted)


def with_all(columns: pd.DataFrame, wanted: Iterable[str]) -> pd.DataFrame:
    """The `wanted` columns in their order; those that the file lacks are missing throughout."""
    import numpy as np

    n = len(columns)
    for name in wanted:
        if name not in columns:
            text = column_type(name) not in (int, float)
            columns[name] = categorical(np.full(n, -1), ()) if text else np.full(n, np.nan)
    return columns[list(wanted)]
