"""Rows put aside in files by part, so that all rows of a part can be had together again.

    a file    blocks, one after the other
    a block   number of rows, a flag a column; then each column: one value if flagged, else n_rows

Most columns hold one value throughout a run, or none, so a row takes little more than what varies.
The folder is a temporary one and goes with its owner.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Columns = Mapping[str, npt.NDArray[Any]]  # each (n_rows,)

MOST_PARTS = 256
"""Files open at once."""

_BUFFER = 2**16


class Spill:
    """Columns of 32-bit codes and of floats, in `n_parts` files; a context."""

    def __init__(self, codes: Sequence[str], floats: Sequence[str], n_parts: int) -> None:
        self._types = {**dict.fromkeys(codes, "<i4"), **dict.fromkeys(floats, "<f8")}
        self._n_rows = [0] * n_parts
        self._files: list[IO[bytes]] = []
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="traincost-")
        except OSError as e:
            raise BadInputError(
                f"{e}; expected a folder for the rows that are put aside (TMPDIR can name one)"
            ) from e

    def __enter__(self) -> Spill:
        for part in range(len(self._n_rows)):
            name = Path(self._folder.name, str(part))
            try:
                self._files.append(name.open("w+b", buffering=_BUFFER))
            except OSError as e:
                self._close()
                raise BadInputError(
                    f"{name}: {e.strerror}; expected {len(self._n_rows)} files to put rows aside "
                    "in, open at once (`ulimit -n` tells how many may be)"
                ) from e
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        for file in self._files:
            with suppress(OSError):  # the disk is full
                file.close()
        self._folder.cleanup()

    def add(self, columns: Columns, part: npt.NDArray[np.int64]) -> None:
        """Rows, each to the file of its part, (n_rows,); BadInputError if the disk is full."""
        import numpy as np

        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(len(self._files) + 1)).tolist()
        cells = [np.asarray(columns[name], kind) for name, kind in self._types.items()]
        cells = [c[:1] if _is_constant(c) else c[order] for c in cells]
        flags = bytes(len(c) == 1 for c in cells)
        for i, file in enumerate(self._files):
            here = slice(ends[i], ends[i + 1])
            n_rows = here.stop - here.start
            if n_rows:
                parts = [(c if len(c) == 1 else c[here]).tobytes() for c in cells]
                self._write(file, b"".join([n_rows.to_bytes(8, "little"), flags, *parts]))
                self._n_rows[i] += n_rows

    def _write(self, file: IO[bytes], content: bytes | None) -> None:
        try:
            if content is None:
                file.flush()
            else:
                file.write(content)
        except OSError as e:
            raise BadInputError(
                f"{self._folder.name}: {e}; expected room for the rows that are put aside there "
                "(TMPDIR can name a larger disk)"
            ) from e

    def parts(self) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """The rows of each part in the order in which they came; a part is read as it is taken."""
        for file, n_rows in zip(self._files, self._n_rows, strict=True):
            self._write(file, None)
            file.seek(0)
            yield self._read(file.read(), n_rows)
            file.truncate(0)  # it will not be read again

    def _read(self, content: bytes, n_rows: int) -> dict[str, npt.NDArray[Any]]:
        import numpy as np

        found = {name: np.empty(n_rows, kind) for name, kind in self._types.items()}
        at = row = 0
        while row < n_rows:
            here = int.from_bytes(content[at : at + 8], "little")
            flags = content[at + 8 : at + 8 + len(found)]
            at += 8 + len(found)
            for constant, cells in zip(flags, found.values(), strict=True):
                count = 1 if constant else here
                cells[row : row + here] = np.frombuffer(content, cells.dtype, count, at)
                at += count * cells.itemsize
            row += here
        return found


def _is_constant(cells: npt.NDArray[Any]) -> bool:
    """One value, or missing throughout."""
    return bool((cells == cells[0]).all() or (cells != cells).all())
