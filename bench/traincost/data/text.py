"""The text of a CSV, once it is sure that it is text, whole, and of a size that a result can have.

A file cut off in the middle of its last cell is a valid CSV with a wrong number in it, so the last
line must end.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from traincost.data.errors import BadInputError

LONGEST_LINE = 2**20
"""Bytes. A row of ours has about a thousand; the longest note is half as long."""

MOST_COLUMNS = 10_000
MOST_BYTES = 4 * 2**30
_BOM = b"\xef\xbb\xbf"


def file_bytes(path: Path) -> bytes:
    """The content of a file; a pipe will do, a device or a folder will not."""
    try:
        mode = path.stat()
        if stat.S_ISDIR(mode.st_mode) or stat.S_ISCHR(mode.st_mode) or stat.S_ISBLK(mode.st_mode):
            raise BadInputError(f"{path}: a folder or a device; expected a file")
        if mode.st_size > MOST_BYTES:
            raise BadInputError(
                f"{path}: {mode.st_size:,} bytes; expected at most {MOST_BYTES:,} in one file"
            )
        return path.read_bytes()
    except OSError as e:
        raise BadInputError(f"{path}: {e}; expected a readable UTF-8 CSV") from e


def checked_csv(path: Path, *, ended: bool = True) -> bytes:
    """The bytes of a CSV: UTF-8 without its mark, no NUL, no endless line, the last line ended.

    With `ended` False it is other text, which says itself where it ends and has long lines.
    """
    content = file_bytes(path).removeprefix(_BOM)
    at = content.find(b"\0")
    if at >= 0:
        raise BadInputError(
            f"{path}, line {_line_of(content, at)}: a NUL byte; expected a readable UTF-8 CSV "
            "(is it binary, or UTF-16?)"
        )
    try:
        if not content.isascii():
            content.decode()
    except UnicodeDecodeError as e:
        raise BadInputError(
            f"{path}, line {_line_of(content, e.start)}: byte 0x{content[e.start]:02x} "
            f"({e.reason}); expected a readable UTF-8 CSV"
        ) from e
    if ended:
        _check_header_size(path, content)
        _check_lines(path, content)
    return content


def _check_header_size(path: Path, content: bytes) -> None:
    end = content.find(b"\n")
    cells = content.count(b",", 0, end if end >= 0 else len(content)) + 1
    if cells > MOST_COLUMNS:
        raise BadInputError(f"{path}, line 1: {cells:,} columns; expected at most {MOST_COLUMNS:,}")


def _check_lines(path: Path, content: bytes) -> None:
    too_long = (
        re.search(rb"[^\n]{%d}" % (LONGEST_LINE + 1), content) if _may_be_long(content) else None
    )
    if too_long:
        raise BadInputError(
            f"{path}, line {_line_of(content, too_long.start())}: longer than "
            f"{LONGEST_LINE:,} bytes; expected a row of a result CSV"
        )
    if content and not content.endswith((b"\n", b"\r")):
        line = _line_of(content, len(content))
        cell = content[content.rfind(b"\n") + 1 :].rpartition(b",")[2][:40].decode(errors="replace")
        raise BadInputError(
            f"{path}, line {line}: ends in {cell!r} without a line end; expected a whole file "
            "(was it cut off?)"
        )


def _may_be_long(content: bytes) -> bool:
    """Cheap: a line over the limit holds a multiple of it without a line end around it."""
    return any(
        content.find(b"\n", at, at + LONGEST_LINE // 2) < 0
        for at in range(0, len(content), LONGEST_LINE // 2)
    )


def _line_of(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1
