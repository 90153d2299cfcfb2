"""`traincost compare FILE...`: cases of two or many machines, commits or runs side by side."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    from traincost.judge.cases import Cases
    from traincost.judge.compare import Comparison
    from traincost.judge.machines import By

_BY = ("auto", "machine", "commit", "argument", "run")
_METRICS = ("time", "memory", "energy", "intensity", "mfu")
_LIMIT = 100
_MOST_ROWS_IN_MEMORY = 2_000_000
"""About a gigabyte of rows; more are read in parts."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="result CSVs, Parquet, folders of them, globs; pytest-benchmark's JSON, Liger's CSV",
    )
    parser.add_argument(
        "--by",
        choices=_BY,
        default="auto",
        help="what tells the sides apart (default: machines, else commits, else the FILEs)",
    )
    parser.add_argument(
        "--base", metavar="NAME", help="the side that others are compared with (default: the first)"
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        action="append",
        choices=_METRICS,
        help=f"{', '.join(_METRICS)}; may be repeated (default: all)",
    )
    parser.add_argument(
        "--baseline",
        metavar="IMPL",
        action="append",
        help="speedups are over this implementation (default: eager, else torch, huggingface)",
    )
    parser.add_argument(
        "--price-per-hour",
        metavar="NAME=PRICE",
        action="append",
        default=[],
        help="of a side, for the cost of a million samples or tokens; may be repeated",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=int,
        default=_LIMIT,
        help=f"rows of a table that people are shown, 0 for all (default: {_LIMIT})",
    )
    parser.add_argument(
        "--plot", action="store_true", help="ratios and their intervals as charts below the tables"
    )


def run(options: argparse.Namespace) -> int:
    """Read, compare, show; the exit code."""
    from dataclasses import replace

    from traincost.judge.compare import compare
    from traincost.judge.derived import BASELINES, costs, speedups
    from traincost.judge.lines import METRICS
    from traincost.show.compare import shown
    from traincost.show.log import for_log
    from traincost.show.strips import charts

    if options.limit < 0:
        raise BadInputError(f"--limit {options.limit}: expected 0 or more")
    prices = dict(price(text) for text in options.price_per_hour)
    data, notes = read(options.files, options.by, options.base)
    wanted = options.metric or _METRICS
    found = compare(data, [m for m in METRICS if m.group in wanted])
    within, across, without = speedups(data, options.baseline or BASELINES)
    found = replace(
        found,
        speedups=within,
        speedups_across=across,
        costs=costs(data, prices),
        unmatched=[*found.unmatched, *without],
        notes=[*found.notes, *notes],
    )
    _check_there_is_something(found)
    print(for_log(shown(found, options.format, options.limit)), end="")
    if options.plot and options.format == "table":
        print(for_log(charts(found, options.limit, sys.stdout.encoding)), end="")
    return 0


def _check_there_is_something(found: Comparison) -> None:
    if not (found.pairs or found.speedups or found.costs):
        names = ", ".join(repr(side.name) for side in found.sides.sides)
        raise BadInputError(
            f"one side only ({names}), and no implementations to compare; expected results of two "
            "machines, commits, files or runs (--by)"
        )


def price(text: str) -> tuple[str, float]:
    """`H100=2.5` -> ("H100", 2.5)."""
    name, equals, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (name and equals and math.isfinite(value) and value > 0):
        raise BadInputError(f"--price-per-hour {text!r}: expected NAME=PRICE, as in H100=2.5")
    return name, value


def read(arguments: Sequence[str], by: By, base: str | None) -> tuple[Cases, list[str]]:
    """The cases of all files, and what these do not tell."""
    from traincost.data.frames import one_frame
    from traincost.data.sources import read_blocks, rows_about, sources
    from traincost.judge.cases import COLUMNS, cases_of_frame
    from traincost.judge.streamed import Stream

    files, notes = sources(arguments), list[str]()
    n_rows = rows_about(files)
    blocks = read_blocks(files, COLUMNS, notes)
    if n_rows <= _MOST_ROWS_IN_MEMORY:
        frame = one_frame([(block, str(f.path), f.argument) for f, block in blocks])
        return cases_of_frame(frame, by, base), notes
    with Stream(n_rows) as stream:
        for file, block in blocks:
            stream.add(block, str(file.path), file.argument)
        return stream.cases(by, base), notes
