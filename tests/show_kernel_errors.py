"""Prints each kernel's worst error against fp64 beside that of eager.

    TRITON_INTERPRET=1 PYTHONPATH=bench:kernels:suites:tests python tests/show_kernel_errors.py

On a machine with CUDA leave TRITON_INTERPRET out. Some ops can be named as arguments.
"""

import sys

import torch

from traincost_kernels.agreement import DTYPES, compare
from traincost_kernels.catalog import CATALOG

SHAPE = (7, 1031)  # rows, columns; odd, and with a tail in every kind of tile


def main(names: list[str]) -> None:
    """Print one line an op, dtype, and output or gradient."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"worst error against fp64, {SHAPE[0]} rows of {SHAPE[1]}, {device}")
    print(f"{'op':24} {'dtype':10} {'tensor':10} {'fused':>10} {'eager':>10}")
    for entry in CATALOG:
        if names and entry.name not in names:
            continue
        for dtype in DTYPES:
            inputs = entry.inputs(*SHAPE, dtype, device)
            for item in compare(entry.fused, entry.right, inputs, entry.differentiable):
                print(
                    f"{entry.name:24} {str(dtype).removeprefix('torch.'):10} {item.name:10} "
                    f"{item.worst:10.2e} {item.eager_worst:10.2e}"
                )


if __name__ == "__main__":
    main(sys.argv[1:])
