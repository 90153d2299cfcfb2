"""Offsets past 2^31 elements: every kernel multiplies its way to a tile in 64 bits.

A product of 32 bits overflows only with tensors that no test can hold, so this looks at what the
kernels compile to, in a process without the interpreter.
"""

import json
import os
import re
import subprocess
import sys

import pytest

PRODUCT = "arith.muli"
PRODUCT_OF_64_BITS = re.compile(r"arith\.muli .* : (tensor<.*x)?i64")

COMPILE = """
import json, sys
import torch
from traincost_kernels.catalog import CATALOG
from traincost_kernels.static.compile import compile_only_driver

compile_only_driver()
found = {}
for entry in CATALOG:
    for launches in entry.launches(entry.inputs(1000, 1031, torch.float16, "meta")).values():
        for launch in launches:
            compiled = launch.kernel.warmup(
                *launch.arguments, **launch.constants, num_warps=launch.num_warps, grid=(1,)
            )
            found[f"{entry.name} {compiled.name}"] = compiled.asm["ttir"]
json.dump(found, sys.stdout)
"""


@pytest.mark.slow
def test_offsets_are_computed_in_64_bits() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    ran = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=True
    )
    kernels: dict[str, str] = json.loads(ran.stdout[ran.stdout.index("{") :])
    assert kernels
    multiplying = {name: code for name, code in kernels.items() if PRODUCT in code}
    narrow = [name for name, code in multiplying.items() if not PRODUCT_OF_64_BITS.search(code)]
    assert not narrow
