"""Which statement of a source file a line belongs to.

The interpreter says of a call that spans lines the line where it begins, the compiler that of one
of its arguments; they agree on the statement.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from traincost_kernels.static.ptx import Site


@dataclass(frozen=True)
class Statement:
    """Lines of a statement; of one that holds others (`if`, `for`), its head."""

    file: str  # its name, without folders
    first_line: int
    last_line: int


Origin = tuple[Statement, ...]
"""The statement of an access, then of each call around it."""


def statement_at(file: str, line: int) -> Statement:
    """The innermost statement that a line belongs to; the line alone where there is no source."""
    name = Path(file).name
    around = [span for span in _spans(file) if span[0] <= line <= span[1]]
    first, last = min(around, key=lambda span: span[1] - span[0], default=(line, line))
    return Statement(name, first, last)


@cache
def _spans(file: str) -> tuple[tuple[int, int], ...]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError):
        return ()
    return tuple(
        (node.lineno, _last_line(node)) for node in ast.walk(tree) if isinstance(node, ast.stmt)
    )


def _last_line(node: ast.stmt) -> int:
    body: list[ast.stmt] = getattr(node, "body", [])
    return max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno


def stands_at(site: Site, origin: Origin) -> bool:
    """Whether an access that the compiler places at `site` has this origin."""
    return len(site) == len(origin) and all(
        file == s.file and s.first_line <= line <= s.last_line
        for (file, line), s in zip(site, origin, strict=True)
    )
