"""Standard error, which may be closed, in any encoding, or read by nobody."""

from __future__ import annotations

import os
import sys


def write_error(text: str) -> None:
    """To standard error, if anybody can still read it there."""
    if sys.stderr is None:
        return  # it was closed
    encoding = sys.stderr.encoding or "utf-8"
    try:
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()
    except OSError:  # what is left in the buffer would make Python's own exit code, 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
