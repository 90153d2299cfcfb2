"""Result rows in Parquet files, a batch at a time, as strictly as CSVs are read.

The columns are those of the result CSV, under the same names and in the same units: text as text,
integers as integers (or as floats without a fraction, which pandas makes of them), numbers as
numbers; a missing value is null. Columns that nobody asked for are not read.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traincost.data.cells import EXPECTED, LARGEST_INTEGER
from traincost.data.errors import BadInputError
from traincost.data.plain import categorical, missing
from traincost.data.ranges import ends_fault
from traincost.data.record import REQUIRED, SCHEMA, Status, column_type
from traincost.data.results import check_header
from traincost.data.text import LONGEST_LINE, MOST_COLUMNS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

MAGIC = b"PAR1"
_BATCH_ROWS = 2**17


def is_parquet(path: Path) -> bool:
    """By its first bytes, or else its name."""
    if path.suffix == ".parquet":
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def rows_in(path: Path) -> int:
    """As the file's footer has it."""
    return int(_opened(path, ()).metadata.num_rows)


def columns_in(path: Path) -> list[str]:
    """The names of its columns."""
    return [str(name) for name in _opened(path, ()).schema_arrow.names]


def read_parquet(path: Path, wanted: Iterable[str]) -> Iterator[pd.DataFrame]:
    """The `wanted` columns, and `line`, the number of the row; a frame a batch of rows."""
    import numpy as np
    import pandas as pd

    schema = _opened(path, ()).schema_arrow
    names = list(schema.names)
    if len(names) > MOST_COLUMNS:
        raise BadInputError(f"{path}: {len(names):,} columns; expected at most {MOST_COLUMNS:,}")
    check_header(path, names, "schema")
    read = [n for n in dict.fromkeys([*REQUIRED, *wanted]) if n in names]
    _check_types(path, schema, read)
    file = _opened(path, [n for n in read if column_type(n) is str])
    first = 1
    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=read):
            n_rows = batch.num_rows
            found = {n: _Column(path, n, first).read(batch.column(n)) for n in read}
            whole = {n: found[n] if n in found else missing(n, n_rows) for n in wanted}
            frame = pd.DataFrame(whole, index=range(n_rows), copy=False)
            frame["line"] = np.arange(first, first + n_rows)
            first += n_rows
            yield frame
    except (OSError, _arrow().ArrowException, UnicodeDecodeError) as e:
        raise _unreadable(path, e) from e


def _arrow() -> Any:
    return importlib.import_module("pyarrow")


def _opened(path: Path, texts: Iterable[str]) -> Any:
    try:
        arrow, parquet = _arrow(), importlib.import_module("pyarrow.parquet")
    except ImportError as e:
        raise BadInputError(
            f"{path}: a Parquet file, and no pyarrow to read it with; pip install pyarrow"
        ) from e
    try:
        return parquet.ParquetFile(path, read_dictionary=list(texts))
    except (OSError, arrow.ArrowException, UnicodeDecodeError) as e:
        raise _unreadable(path, e) from e


def _unreadable(path: Path, error: Exception) -> BadInputError:
    said = " ".join(str(error).split())[:200]
    return BadInputError(f"{path}: {said}; expected a whole Parquet file of result rows")


def _check_types(path: Path, schema: Any, read: Iterable[str]) -> None:
    """A column of nothing but nulls may have no type."""
    types = _arrow().types
    for name in read:
        found, kind = schema.field(name).type, column_type(name) or str
        value = found.value_type if types.is_dictionary(found) else found
        text = types.is_string(value) or types.is_large_string(value)
        number = types.is_integer(found) or types.is_floating(found)
        if not (types.is_null(found) or (text if kind is str else number)):
            raise BadInputError(
                f"{path}, schema, column {name}: {found}; expected {EXPECTED[kind]}"
            )


@dataclass(frozen=True)
class _Column:
    """One column of a batch; errors name its rows, the first of which is `first`."""

    path: Path
    name: str
    first: int

    def read(self, cells: Any) -> Any:
        """Text as categories, numbers as floats with NaN where missing."""
        if self.name in REQUIRED and cells.null_count:
            at = cells.is_null().to_numpy(zero_copy_only=False).argmax()
            raise self._fault(int(at), "empty; expected a value")
        kind = column_type(self.name)
        return self._numbers(cells, kind) if kind in (int, float) else self._texts(cells)

    def _fault(self, at: int, said: str) -> BadInputError:
        return BadInputError(f"{self.path}, row {self.first + at}, column {self.name}: {said}")

    def _numbers(self, cells: Any, kind: type | None) -> Floats:
        import numpy as np

        floats = cells.cast(_arrow().float64(), safe=False)
        values: Floats = floats.to_numpy(zero_copy_only=False)
        valid = floats.is_valid().to_numpy(zero_copy_only=False)
        bad = valid & ~np.isfinite(values)
        if kind is int:
            with np.errstate(invalid="ignore"):
                bad |= valid & ((values != np.floor(values)) | (abs(values) > LARGEST_INTEGER))
        if bad.any():
            at = int(bad.argmax())
            raise self._fault(at, f"{values[at]:.15g}: expected {EXPECTED[kind or float]}")
        if valid.any():
            fault = ends_fault(self.name, float(np.nanmin(values)), float(np.nanmax(values)))
            if fault is not None:
                at = int((values == fault[0]).argmax())
                raise self._fault(at, f"{fault[0]:.15g}: expected {fault[1]}")
        if self.name == "schema" and (values != SCHEMA).any():
            at = int((values != SCHEMA).argmax())
            said = f"{values[at]:.15g}; expected {SCHEMA}, the one this version reads and writes"
            raise self._fault(at, said)
        return values

    def _texts(self, cells: Any) -> pd.Categorical:
        """In order of appearance; an empty text is a missing one, as it is in a CSV."""
        import numpy as np
        import pandas as pd

        types = _arrow().types
        if types.is_null(cells.type):
            return categorical(np.full(len(cells), -1), ())
        encoded = cells if types.is_dictionary(cells.type) else cells.dictionary_encode()
        places = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        codes, used = pd.factorize(places, use_na_sentinel=False)
        known: list[Any] = encoded.dictionary.to_pylist()
        texts = [known[place] or None if place >= 0 else None for place in used.tolist()]
        if self._is_plain(texts):
            return categorical(codes, texts)
        self._check_texts(texts, codes)
        distinct = dict.fromkeys(text for text in texts if text is not None)
        at = {text: i for i, text in enumerate(distinct)}
        of = np.array([-1 if text is None else at[text] for text in texts], np.int64)
        return categorical(of[codes], distinct)

    def _is_plain(self, texts: list[str | None]) -> bool:
        """Seen at once for all of them: nothing to refuse, nothing missing, no text twice."""
        if self.name == "status" or not all(texts) or len(set(texts)) < len(texts):
            return False
        together = "".join(filter(None, texts))
        return "\0" not in together and max(map(len, filter(None, texts)), default=0) < LONGEST_LINE

    def _check_texts(self, texts: list[str | None], codes: npt.NDArray[np.intp]) -> None:
        for code, text in enumerate(texts):
            said = None
            if text is None:
                said = "empty; expected a value" if self.name in REQUIRED else None
            elif "\0" in text:
                said = "a NUL byte; expected text"
            elif len(text) > LONGEST_LINE:
                said = f"longer than {LONGEST_LINE:,} characters; expected text of a result row"
            elif self.name == "status" and text not in list(Status):
                said = f"{text!r}; expected one of {', '.join(Status)}"
            if said:
                raise self._fault(int((codes == code).argmax()), said)
