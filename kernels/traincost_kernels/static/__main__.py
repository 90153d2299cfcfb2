"""`python -m traincost_kernels.static [KERNEL...]`: the static cost of kernels, as a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from traincost_kernels.liger import is_installed
from traincost_kernels.static.architecture import ARCHITECTURES
from traincost_kernels.static.cost import StaticCost
from traincost_kernels.static.pool import WorkerError, WorkerUnavailableError
from traincost_kernels.static.run import StaticRun
from traincost_kernels.static.subject import CATALOG, DTYPES, PHASES, Subject, entries


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 where a kernel spills, does not compile, or declares wrong bytes."""
    options = _parser().parse_args(arguments)
    known = entries(options.catalog)
    if unknown := set(options.kernel) - known.keys():
        print(f"kernel {unknown.pop()!r}: expected one of {', '.join(known)}", file=sys.stderr)
        return 2
    impls = ["triton", *(["liger"] if is_installed() and not options.ours else [])]
    subjects = [
        Subject(name, dtype, n_cols, impl, options.catalog)
        for name in options.kernel or known
        for n_cols in options.n_cols
        for dtype in options.dtype
        for impl in impls
        if impl == "triton" or known[name].liger is not None
    ]
    costs: list[StaticCost] = []
    failed = False
    console = Console(width=None if sys.stdout.isatty() else 160)
    with StaticRun((s, arch) for s in subjects for arch in options.arch) as run:
        for s in subjects:
            for phase in options.phase:
                for arch in options.arch:
                    try:
                        costs.append(run.cost(s, phase, arch))
                    except (WorkerError, WorkerUnavailableError) as e:
                        console.print(f"{s.kernel} {phase} {s.impl} {s.dtype} {arch}: {e}")
                        failed |= s.impl == "triton"
    from traincost_kernels.static.table import cost_table

    console.print(cost_table(costs))
    ours = [c for c in costs if c.subject.impl == "triton"]
    return int(failed or any(c.spill_bytes or c.miscounted for c in ours))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m traincost_kernels.static", description=__doc__)
    add = parser.add_argument
    add("kernel", nargs="*", help="names of the catalog; default all")
    add("--dtype", nargs="+", choices=DTYPES, default=["bf16"])
    add("--n-cols", nargs="+", type=_row_length, default=[4096])
    add("--arch", nargs="+", choices=ARCHITECTURES, default=["sm_90"])
    add("--phase", nargs="+", choices=PHASES, default=PHASES)
    add("--ours", action="store_true", help="leave out Liger's kernels")
    add("--catalog", default=CATALOG, help="module with a CATALOG; default %(default)s")
    return parser


def _row_length(text: str) -> int:
    """The number that `text` is; argparse says of what is raised which option it was."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
