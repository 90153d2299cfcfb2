"""Offsets past 2^31 elements: every kernel multiplies its way to a tile in 64 bits.

A product of 32 bits overflows only with tensors that no test can hold, so this looks at what the
kernels compile to, in a process without the interpreter. Two products must not have 32 bits: that
of two numbers known at the launch only, as a row and the length of rows, and that of a program's
number along the first axis, which grows with the elements. A tile's number within a row times the
tile's size may: it stays below the length of a row.
"""

import json
import os
import re
import subprocess
import sys

import pytest

DEFINITION = re.compile(r"^\s*(%[\w#]+)(?::\d+)? = ([\w.]+)(.*)")
OPERAND = re.compile(r"%\w+(?:#\d+)?")
NARROW = re.compile(r" : (tensor<.*x)?i32\b")
SHAPED = {"tt.splat", "tt.broadcast", "tt.expand_dims", "arith.extsi", "arith.divsi"}
COUNTING = ("column_sums_kernel", "lstm_cell")
"""There a program's number times a tile's size is a column's number, or a row's, and no offset."""

COMPILE = """
import json, sys
import torch
from traincost_kernels.catalog import CATALOG, IN_PLACE
from traincost_kernels.static.compile import compile_only_driver

compile_only_driver()
found = {}
for entry in (*CATALOG, *IN_PLACE):
    for n_cols in (1024, 1031, 131_071, 131_072):
        for launches in entry.launches(entry.inputs(1000, n_cols, torch.float16, "meta")).values():
            for launch in launches:
                compiled = launch.kernel.warmup(
                    *launch.arguments, **launch.constants, num_warps=launch.num_warps, grid=(1,)
                )
                found[f"{entry.name} {compiled.name} {n_cols}"] = compiled.asm["ttir"]
json.dump(found, sys.stdout)
"""


def narrow_products(kernel: str, code: str) -> list[str]:
    """The lines of Triton's intermediate code that multiply offsets in 32 bits."""
    counts = any(name in kernel for name in COUNTING)
    matches = (DEFINITION.match(line) for line in code.splitlines())
    defined = {match[1]: match for match in matches if match is not None}

    def origin(name: str) -> str:
        """The op that the numbers come from, through those that shape, widen or divide them."""
        while name in defined and defined[name][2] in SHAPED:
            name = OPERAND.findall(defined[name][3])[0]
        return defined[name][2] + defined[name][3] if name in defined else "argument"

    found: list[str] = []
    for line in defined.values():
        if line[2] == "arith.muli" and NARROW.search(line[3]):
            factors = [origin(name) for name in OPERAND.findall(line[3])[:2]]
            known = any(factor.startswith("arith.constant") for factor in factors)
            of_program = any(factor.startswith("tt.get_program_id x") for factor in factors)
            if not known or (of_program and not counts):
                found.append(line[0].strip())
    return found


@pytest.mark.slow
def test_offsets_are_computed_in_64_bits() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    ran = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=True
    )
    kernels: dict[str, str] = json.loads(ran.stdout[ran.stdout.index("{") :])
    assert any("softmax_backward_looped_kernel" in name for name in kernels)
    narrow = {name: narrow_products(name, code) for name, code in kernels.items()}
    assert not {name: lines for name, lines in narrow.items() if lines}
