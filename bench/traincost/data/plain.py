"""Fast reading of plain CSVs, by pyarrow's parser.

It never judges input. Whatever it cannot read exactly as `results.rows_of` would, it hands back as
None, and the file is then read cell by cell, which gives the rows or names the bad cell. A test
holds the two to each other over mutilated files. So does a machine without pyarrow.

Integers are read as text, of digits and signs only, and then converted: the parser alone would take
`0x10` and ` 7` for integers, and a parser of floats `1.6E+10`.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traincost.data.cells import read_cell
from traincost.data.ranges import ends_fault
from traincost.data.record import REQUIRED, SCHEMA, Status, column_type
from traincost.data.results import check_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Codes = tuple[npt.NDArray[np.int64], list[str]]  # (n_rows,) -1 is missing; texts by code

_BLOCK = 2**20 + 2**12
"""Bytes parsed at a time: more than the longest line, and in a core's cache."""

_MOST_INTEGER = 10**18 - 1
"""Of more digits the slow way says what is wrong."""


def read_plain(path: Path, content: bytes, wanted: Collection[str]) -> pd.DataFrame | None:
    """The `wanted` columns of a checked content whose header is in order; None if in doubt.

    Text as categories, numbers as float64 with NaN where the cell is empty. All numbers of the file
    are checked, wanted or not.
    """
    import numpy as np
    import pandas as pd

    first = content[: content.find(b"\n")]
    n_rows = content.count(b"\n") - 1
    if n_rows < 1 or b'"' in first or b"\r" in content:
        return None
    if not _quotes_are_regular(np.frombuffer(content, np.uint8)):
        return None
    header = first.decode().split(",")
    check_header(path, header)
    table = _parsed(content, header, wanted)
    if table is None or table.num_rows != n_rows:
        return None
    found: dict[str, Any] = {}
    texts: dict[str, Codes] = {}
    for name in table.column_names:
        kind = column_type(name)
        if kind in (int, float):
            numbers = (_floats if kind is float else _integers)(name, table[name])
            if numbers is None:
                return None
            found[name] = numbers
        if kind is str or name in REQUIRED:
            texts[name] = _codes(table[name])
        if kind is str:
            found[name] = _unquieted(*texts[name])
    if any(cells is None for cells in found.values()) or not _is_in_order(texts):
        return None
    columns = {name: found[name] if name in found else missing(name, n_rows) for name in wanted}
    return pd.DataFrame(columns, index=range(n_rows), copy=False)


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


def _parsed(content: bytes, header: list[str], wanted: Collection[str]) -> Any | None:
    """A table of the columns that are wanted, required or numbers; None if the parser balks."""
    try:
        arrow, csv = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.csv")
    except ImportError:
        return None
    kinds = {name: column_type(name) for name in header}
    read = [n for n, k in kinds.items() if n in wanted or n in REQUIRED or k in (int, float)]
    text = arrow.dictionary(arrow.int32(), arrow.string())
    types = {float: arrow.float64(), int: arrow.string(), str: text}
    try:
        table = csv.read_csv(
            arrow.BufferReader(content),
            read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                include_columns=read,
                column_types={n: types[kinds[n] or str] for n in read},
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,  # it has been
            ),
        )
    except arrow.ArrowException:  # a short or long line, a cell that is no number
        return None
    return table.unify_dictionaries().combine_chunks()


def _floats(name: str, cells: Any) -> Floats | None:
    """A column of floats; None if one is not finite, or out of its range."""
    import numpy as np

    values: Floats = cells.to_numpy()
    missing = np.isnan(values)
    if np.count_nonzero(missing) != cells.null_count:  # somebody wrote NaN
        return None
    known = values[~missing] if cells.null_count else values
    if not known.size:
        return values
    lowest, highest = float(known.min()), float(known.max())
    if ends_fault(name, lowest, highest) or not (abs(lowest) < np.inf and abs(highest) < np.inf):
        return None
    return values


def _codes(cells: Any) -> Codes:
    """A column of text as codes in order of appearance, and the texts."""
    column = cells.chunk(0)
    if not hasattr(column, "dictionary"):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, column.dictionary.to_pylist()


def _integers(name: str, cells: Any) -> Floats | None:
    """A column of integers as floats; None if one has more than digits and a sign, or no room."""
    import numpy as np

    arrow, compute = (importlib.import_module(m) for m in ("pyarrow", "pyarrow.compute"))
    column = cells.chunk(0)
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    _, ends, text = column.buffers()
    at = np.frombuffer(ends, np.int32)[column.offset :]
    written = np.frombuffer(text, np.uint8)[at[0] : at[len(column)]]
    if not ((written >= ord("0")) & (written <= ord("9")) | (written == ord("-"))).all():
        return None
    try:
        whole = compute.cast(column, arrow.int64())
    except arrow.ArrowInvalid:
        return None
    lowest, highest = (compute.min_max(whole)[end].as_py() for end in ("min", "max"))
    if max(-lowest, highest) > _MOST_INTEGER or ends_fault(name, float(lowest), float(highest)):
        return None
    values: Floats = whole.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return values


def _unquieted(codes: npt.NDArray[np.int64], texts: list[str]) -> pd.Categorical | None:
    """Text without the apostrophe that keeps a spreadsheet quiet; None if two become one."""
    if "\n'" in "\n".join(["", *texts]):  # at the start of a text, or of a line inside one
        texts = [str(read_cell(text, str)) for text in texts]
        if len(set(texts)) < len(texts):
            return None
    return categorical(codes, texts)


def _is_in_order(texts: Mapping[str, Codes]) -> bool:
    """Required cells filled, known schema and statuses, no case twice."""
    import numpy as np

    if any((texts[name][0] < 0).any() for name in REQUIRED):
        return False
    known: dict[str, set[str]] = {"schema": {str(SCHEMA)}, "status": {str(s) for s in Status}}
    if any(set(texts[n][1]) - values for n, values in known.items()):
        return False
    (run, _), (case, cases) = texts["run_id"], texts["case_id"]
    return len(np.unique(run.astype(np.int64) * len(cases) + case)) == len(case)


def categorical(codes: npt.NDArray[Any], values: Iterable[object]) -> pd.Categorical:
    """Codes (-1 is missing) and their texts, as dtype object, so that any two can be united."""
    import pandas as pd

    texts: Any = pd.Index(list(values), dtype=object)
    found: pd.Categorical = pd.Categorical.from_codes(codes, texts)
    return found


def missing(name: str, n_rows: int) -> Any:
    """A column that a file lacks."""
    import numpy as np

    if column_type(name) in (int, float):
        return np.full(n_rows, np.nan)
    return categorical(np.full(n_rows, -1), ())
