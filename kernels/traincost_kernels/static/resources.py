"""What ptxas says a kernel takes: registers, and bytes spilled to local memory.

A thread's values that find no register are stored to local memory and loaded again: traffic that no
formula of the kernel has. The numbers are those of `ptxas -v`, the assembler that made the cubin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_REGISTERS = re.compile(r"Used (\d+) registers")
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")


class CompilerLogError(ValueError):
    """ptxas wrote something else than expected; a guess would be worse than no number."""


@dataclass(frozen=True)
class Resources:
    """Of one thread."""

    registers: int
    stack_bytes: int
    spill_store_bytes: int
    spill_load_bytes: int

    @property
    def spill_bytes(self) -> int:
        """Bytes a thread stores to local memory and loads again, both counted."""
        return self.spill_store_bytes + self.spill_load_bytes


def parse_log(log: str) -> Resources:
    """Read the log of `ptxas -v` for one kernel and the functions it calls.

    Raises:
        CompilerLogError: The log does not have the lines that it is read by.
    """
    registers = [int(n) for n in _REGISTERS.findall(log)]
    spills = [tuple(map(int, found)) for found in _SPILLS.findall(log)]
    if len(registers) != 1 or not spills:
        raise CompilerLogError(
            f"log of ptxas: {log!r}; expected one 'Used N registers' and at least one 'N bytes "
            "stack frame, N bytes spill stores, N bytes spill loads'"
        )
    return Resources(registers[0], *(sum(column) for column in zip(*spills, strict=True)))
