"""Prints the table of docs/kernels.md: `python tests/show_kernel_bytes.py`.

Bytes an element that eager moves, op by op, counted as `traffic_bytes` of a row is; bytes that any
implementation must move, by the catalog; and their ratio, the most that fusing can buy where memory
is the bound.
"""

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("bench", "kernels", "suites")]

from traincost.instruments.op_ledger import open_ledger  # noqa: E402
from traincost_kernels.catalog import CATALOG  # noqa: E402
from traincost_suites.kernel_work import kernel_work  # noqa: E402
from traincost_suites.trainee import torch_dtype  # noqa: E402

N_ROWS, N_COLS = 512, 1024
DTYPE = "bf16"
HEAD = "| op | eager | fused | bound, forward / backward / both |"


def moved_bytes(step: Callable[[], object]) -> int:
    """What the ops of one step hand each other."""
    step()
    with open_ledger() as ledger:
        step()
    return ledger.ops_bytes


def line(name: str, impl: str, label: str) -> str:
    """One op in one baseline."""
    work = kernel_work(name, impl, N_ROWS, N_COLS, "cpu", DTYPE)
    forward = moved_bytes(work.phase("forward")) / work.n_elements
    backward = moved_bytes(work.phase("backward")) / work.n_elements
    least_forward = work.entry.bytes_per_element_forward(torch_dtype(DTYPE), N_COLS)
    least_backward = work.entry.bytes_per_element_backward(torch_dtype(DTYPE), N_COLS)
    both = (forward + backward) / (least_forward + least_backward)
    ratios = f"{forward / least_forward:.2f} / {backward / least_backward:.2f} / {both:.2f}"
    bytes_each = f"{forward:.1f} / {backward:.1f} | {least_forward:g} / {least_backward:g}"
    return f"| {label} | {bytes_each} | {ratios} |"


if __name__ == "__main__":
    print(HEAD)
    print("|---|---|---|---|")
    for entry in CATALOG:
        print(line(entry.name, "eager", f"`{entry.name}`"))
        if entry.composed is not None:
            print(line(entry.name, "composed", f"`{entry.name}`, composed"))
