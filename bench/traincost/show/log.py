"""Text for a terminal, or for the log of a step of GitHub Actions, that does nothing but be read.

Names of cases, files and commits are written by others: no line of ours becomes a command to
GitHub's runner through them, and none steers the terminal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_COMMAND = re.compile(r"((?:^|[\r\n])\s*):(?=:)")


def is_running(environ: Mapping[str, str]) -> bool:
    """Whether this is a step of GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


def defused(text: str) -> str:
    """The same text with a zero-width space where a line would be a command to the runner."""
    return _COMMAND.sub("\\1:\u200b", text).replace("##[", "##\u200b[")


def for_log(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Text that a step prints: defused where GitHub's runner reads it."""
    return defused(text) if is_running(environ) else text


def printable(text: str) -> str:
    """The same text with what would steer a terminal, or is no text, escaped; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
