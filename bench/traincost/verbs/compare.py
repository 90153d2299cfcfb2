"""`traincost compare FILE...`: cases of two or many machines, commits or runs side by side."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    import pandas as pd

    from traincost.judge.compare import Comparison

_BY = ("auto", "machine", "commit", "argument", "run")
_METRICS = ("time", "memory", "energy", "intensity", "mfu")
_LIMIT = 100


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="result CSVs, folders of them, globs; pytest-benchmark's JSON, Liger-Kernel's CSV",
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


def run(options: argparse.Namespace) -> int:
    """Read, compare, show; the exit code."""
    from dataclasses import replace

    from traincost.judge.cases import cases_of_frame
    from traincost.judge.compare import compare
    from traincost.judge.derived import BASELINES, costs, speedups
    from traincost.judge.lines import METRICS
    from traincost.show.compare import shown
    from traincost.show.github import for_log

    if options.limit < 0:
        raise BadInputError(f"--limit {options.limit}: expected 0 or more")
    prices = dict(price(text) for text in options.price_per_hour)
    frame, notes = read(options.files)
    data = cases_of_frame(frame, options.by, options.base)
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


def read(arguments: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """All rows in one frame with `argument`, and what their files do not tell."""
    import pandas as pd

    from traincost.data.foreign import read_foreign, tool_of
    from traincost.data.frames import frame_of_rows, one_frame, read_columns
    from traincost.data.plain import categorical
    from traincost.data.results import to_row
    from traincost.judge.cases import COLUMNS

    places = list(dict.fromkeys(_files(arguments)))
    ours: list[Path] = []
    foreign: dict[Path, pd.DataFrame] = {}
    notes: list[str] = []
    for path, _ in places:
        tool = tool_of(path)
        if tool is None:
            ours.append(path)
            continue
        file = read_foreign(path, tool)
        rows = [(i + 1, to_row(record)) for i, record in enumerate(file.records)]
        foreign[path] = frame_of_rows(rows, COLUMNS)
        if file.missing:
            notes.append(f"{path} ({tool}) does not tell: {', '.join(file.missing)}")
        notes += [f"{path} ({tool}): not read: {kind}" for kind in file.skipped]
    own = dict(zip(ours, read_columns(ours, COLUMNS), strict=True))
    frames = [own.get(path, foreign.get(path)) for path, _ in places]
    frame = one_frame([f for f in frames if f is not None], [str(path) for path, _ in places])
    of_file = {str(path): argument for path, argument in places}
    codes, names = pd.factorize(pd.Series([of_file[f] for f in frame["file"].cat.categories]))
    frame["argument"] = categorical(codes[frame["file"].cat.codes.to_numpy()], names)
    return frame, notes


def _files(arguments: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Each file once, with the argument that named it first."""
    from traincost.data.foreign import is_pytest_benchmark
    from traincost.data.results import result_files

    seen: set[Path] = set()
    for argument in arguments:
        path = Path(argument)
        named = [path]
        if not path.exists() and any(c in argument for c in "*?["):
            pattern = str(path.relative_to(path.anchor))
            named = sorted(Path(path.anchor).glob(pattern))
            named = [p for p in named if p.is_dir() or p.suffix == ".csv" or is_pytest_benchmark(p)]
            if not named:
                raise BadInputError(f"{argument}: matches no file; expected result CSVs")
        for one in named:
            jsons = sorted(one.rglob("*.json")) if one.is_dir() else []
            benchmarks = [p for p in jsons if is_pytest_benchmark(p)]
            found = (
                benchmarks
                if benchmarks and not any(one.rglob("*.csv"))
                else [
                    *result_files([one]),
                    *benchmarks,
                ]
            )
            for file in found:
                if file.resolve() not in seen:
                    seen.add(file.resolve())
                    yield file, argument
