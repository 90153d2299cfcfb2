"""What is read off a kernel's PTX: instructions, and every access to global memory with its width.

The width of an access is what one thread moves by it: `ld.global.v4.b32` 16 bytes, `ld.global.b16`
2. An access also has a site: the source line it comes from and the lines of the calls around it,
which the compiler writes behind each `.loc`:

    .loc 1 9 20    // tile.py:9:20 @[ tile.py:21:35 ]

By the site the widths meet the bytes that `counting.py` counted at that statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Site = tuple[tuple[str, int], ...]
"""(file name, line) of an access, innermost first, then of each call around it."""

_PREDICATE = re.compile(r"^@!?%p\d+\s+")
_LABEL = re.compile(r"^\$?[\w.]+:\s*")
_LOCATION = re.compile(r"([^\s/\[\]]+):(\d+):\d+")
_TYPE = re.compile(r"^(?:bf|[bfsu])(\d+)(x2)?$")  # b32, f16x2, bf16
_VECTOR = re.compile(r"^v(\d+)$")
_CP_ASYNC_SIZE = re.compile(r"\],\s*\[.*?\],\s*(0x[0-9a-fA-F]+|\d+)")


class PtxError(ValueError):
    """An instruction that this reader does not know; a guess would be worse."""


@dataclass(frozen=True)
class Access:
    """One instruction that reads or writes global memory."""

    kind: Literal["load", "store", "atomic"]
    width_bytes: int  # of one thread
    site: Site


@dataclass(frozen=True)
class Ptx:
    """A kernel's PTX, read."""

    instructions: int
    accesses: tuple[Access, ...]


def parse_ptx(text: str) -> Ptx:
    """Count the instructions of a kernel and find its accesses to global memory."""
    instructions = 0
    accesses: list[Access] = []
    for statement, site in _statements(text):
        instructions += 1
        access = _access(statement, site)
        if access is not None:
            accesses.append(access)
    return Ptx(instructions, tuple(accesses))


def _statements(text: str) -> Iterator[tuple[str, Site]]:
    """Each instruction between the braces of the kernel, with the site it stands at."""
    body = text.partition(".entry")[2].partition("\n{")[2].partition("\n}")[0]
    site: Site = ()
    for line in body.splitlines():
        code, _, comment = line.partition("//")
        code = code.strip()
        if code.startswith(".loc"):
            site = tuple((file, int(number)) for file, number in _LOCATION.findall(comment))
            continue
        for part in code.split(";")[:-1]:
            statement = _LABEL.sub("", part.strip().lstrip("{").strip())
            if statement and not statement.startswith("."):
                yield _PREDICATE.sub("", statement), site


def _access(statement: str, site: Site) -> Access | None:
    opcode = statement.split(maxsplit=1)[0].split(".")
    name = opcode[0]
    if "global" not in (part.partition("::")[0] for part in opcode):
        return None
    if name == "cp" and "async" in opcode:
        size = _CP_ASYNC_SIZE.search(statement)
        return None if size is None else Access("load", int(size[1], 0), site)
    if name not in ("ld", "ldu", "st", "red", "atom"):
        return None
    types = [m for part in opcode if (m := _TYPE.match(part))]
    if not types:
        raise PtxError(f"{statement!r}: expected a type in the instruction's name, as in .b32")
    bits = int(types[-1][1]) * (2 if types[-1][2] else 1)
    lanes = next((int(m[1]) for part in opcode if (m := _VECTOR.match(part))), 1)
    kind: Literal["load", "store", "atomic"] = "load" if name.startswith("ld") else "store"
    return Access("atomic" if name in ("red", "atom") else kind, bits // 8 * lanes, site)
