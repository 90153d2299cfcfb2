"""Files that a command is asked to write: refused before it starts, written whole or not at all.

A file that is asked for and can't be written would be found out when everything has been measured
and judged. One that is also an input would be lost, and with it what was measured.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from traincost.data.errors import BadInputError

EXPECTED = "expected a file that can be written"


@dataclass(frozen=True)
class Output:
    """A file that an option asks for."""

    option: str  # `--junit`
    path: Path


@dataclass(frozen=True)
class Taken:
    """A file that is there for something else, or will be."""

    what: str  # `BASE`
    path: Path


def check_outputs(
    outputs: Sequence[Output], taken: Iterable[Taken] = (), folder: Path | None = None
) -> None:
    """BadInputError where one of the outputs can't be had; nothing is written.

    Args:
        outputs: what is asked for; no two may be one file.
        taken: files that they must not be, whether these exist or not.
        folder: it will be made, with those above it, before anything is written.
    """
    others = list(taken)
    made = [] if folder is None else [_resolved("--output", p) for p in (folder, *folder.parents)]
    if made:
        others.append(Taken("a folder that is made", made[0]))
    for output in outputs:
        where, file = f"{output.option} {output.path}", _resolved(output.option, output.path)
        for other in others:
            if _is_one_file(file, other.path):
                raise BadInputError(
                    f"{where}: is {other.what}, {other.path}; expected another file"
                )
        fault = _fault(file, is_made=file.parent in made)
        if fault is not None:
            raise BadInputError(f"{where}: {fault}; {EXPECTED}")
        others.append(Taken(f"the file of {output.option}", file))


def write_output(output: Output, text: str | bytes) -> None:
    """The whole file, or as it was; a pipe or a device is written to. BadInputError if it can't."""
    content = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    file = _resolved(output.option, output.path)
    try:
        if file.exists() and not file.is_file():
            file.write_bytes(content)
        else:
            replace_file(file, content)
    except OSError as e:
        raise BadInputError(f"{output.option} {output.path}: {e.strerror}; {EXPECTED}") from e


def replace_file(path: Path, content: bytes) -> None:
    """Write beside `path`, flush to the disk, rename over it; nothing is left of a failure."""
    temporary = _beside(path)
    try:
        with temporary.open("wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(path, temporary)
        temporary.replace(path)
    except BaseException:  # an interrupt, too
        temporary.unlink(missing_ok=True)
        raise


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _resolved(option: str, path: Path) -> Path:
    """Without links, so that a link stays one, and two ways to a file are seen to be one."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as e:  # links in a circle
        raise BadInputError(f"{option} {path}: {e}; {EXPECTED}") from e


def _is_one_file(file: Path, other: Path) -> bool:
    """One place, or two names of one file; a pipe or a device can be several things at once."""
    try:
        if file.exists() and other.exists():
            return file.samefile(other) and (file.is_file() or file.is_dir())
        return file == other.resolve()
    except (OSError, RuntimeError):
        return False  # what is wrong with the other is said where it is read


def _fault(file: Path, *, is_made: bool) -> str | None:
    """Why it can't be written; its folder is tried with a file that has no name."""
    try:
        if file.is_dir():
            return "is a folder"
        if file.exists() and not os.access(file, os.W_OK):
            return "may not be written"
        if is_made or (file.exists() and not file.is_file()):
            return None
        if not file.parent.is_dir():
            return f"there is no folder {file.parent}"
        with suppress(FileNotFoundError):
            _beside(file).lstat()  # too long a name
        with tempfile.TemporaryFile(dir=file.parent):
            return None
    except OSError as e:
        return str(e.strerror)
