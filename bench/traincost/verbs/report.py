"""`traincost report FILE... -o OUT.html`: one page to look at, or one figure of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError
from traincost.judge.machines import BY

if TYPE_CHECKING:
    import pandas as pd

    from traincost.data.outputs import Output
    from traincost.judge.gate import GateReport
    from traincost.show.report.content import Report

FORMATS = ("html", "svg", "png")
MOST_ROWS = 3_000_000
"""They are held in memory, about a kilobyte each."""

MOST_GATED_ROWS = 20_000
"""The gate reads whole rows one by one, which takes minutes for a million of them."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="result CSVs, folders of them, globs; other tools' files, as compare reads them",
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="the file to write"
    )
    parser.add_argument(
        "--figure",
        metavar="NAME",
        help="the figure that svg and png hold: roofline, scaling-1, batch, kernels, memory, …",
    )
    parser.add_argument(
        "--by",
        choices=BY,
        default="auto",
        help="what tells the sides apart (default: machines, else commits, else the FILEs)",
    )
    parser.add_argument(
        "--base", metavar="NAME", help="the side that others are compared with (default: the first)"
    )


def run(options: argparse.Namespace) -> int:
    """Read, judge, draw, write; the exit code."""
    import numpy as np

    from traincost.data.outputs import write_output
    from traincost.show.log import for_log
    from traincost.show.report.figures import png, svg_file
    from traincost.show.report.page import page
    from traincost.show.units import amount

    figure: str | None = options.figure
    if figure is not None and options.format == "html":
        raise BadInputError(f"--figure {figure}: a page has all; expected --format svg or png")
    if figure is None and options.format != "html":
        raise BadInputError(f"--format {options.format}: expected --figure NAME with it")
    output = _output_of(options)
    with np.errstate(all="ignore"):  # numbers near the ends of a float have ratios that are none
        report = report_of(options)
        if figure is None:
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            content = page(report, now).encode("utf-8", "replace")
        else:
            picture = svg_file(report, figure)
            content = png(picture) if options.format == "png" else picture.encode()
    write_output(output, content)
    points = report.points
    print(
        for_log(
            f"{options.output}: {len(points.table):,} cases of {len(points.frame):,} rows, "
            f"{amount(len(content), 'B')}"
        )
    )
    return 0


def report_of(options: argparse.Namespace) -> Report:
    """What the files say, judged."""
    from traincost.data.frames import one_frame
    from traincost.data.sources import own_columns, read_blocks, rows_about, sources
    from traincost.judge.compare import compare
    from traincost.show.report.content import Report
    from traincost.show.report.points import READ, points_of

    files, notes = sources(options.files), list[str]()
    if (n_rows := rows_about(files)) > MOST_ROWS:
        raise BadInputError(
            f"about {n_rows:,} rows; expected {MOST_ROWS:,} at most for a page: give fewer files"
        )
    wanted = [*READ, *own_columns(files)]
    blocks = read_blocks(files, wanted, notes)
    frame = one_frame([(block, str(f.path), f.argument) for f, block in blocks])
    points = points_of(frame, options.by, options.base)
    data = points.data
    found, why = None, "no sides to compare"
    try:
        found = compare(data) if data.sides.pairs(data.base) else None
    except BadInputError as e:  # sides without a case in common are shown beside each other
        if options.base is not None and "no case in common" not in str(e):
            raise
        why = str(e)
    gate, why_not = _gate(options.files, frame)
    if found is not None:
        notes = [*found.notes, *notes]
    elif len(data.sides.sides) > 1:
        notes = [*notes, f"not compared: {why}"]
    return Report(points, found, gate, why_not, notes)


def _gate(files: Sequence[str], frame: pd.DataFrame) -> tuple[GateReport | None, str]:
    """The verdicts where two FILEs are a base and a head: two commits, of one machine."""
    from traincost.judge.gate import gate
    from traincost.judge.policy import find_pyproject, read_policy
    from traincost.verbs.reading import read_side

    expected = (
        "For verdicts, give two files or folders of one machine and two commits: the base, then the"
        " head."
    )
    paths = [Path(file) for file in files]
    if len(paths) != 2 or not all(p.suffix == ".csv" or p.is_dir() for p in paths):
        return None, expected
    commits, machines = (
        [set(frame[column][frame["argument"] == file].dropna()) for file in files]
        for column in ("commit", "machine_id")
    )
    if not all(commits) or commits[0] & commits[1] or not machines[0] & machines[1]:
        return None, expected
    if len(frame) > MOST_GATED_ROWS:
        return None, f"{len(frame):,} rows are too many to judge on the way; run traincost gate."
    try:
        policy = read_policy(find_pyproject(Path.cwd()))
        return gate(read_side(paths[0]), read_side(paths[1]), policy), ""
    except BadInputError as e:
        return None, f"{expected} {e}"


def _output_of(options: argparse.Namespace) -> Output:
    """Where the page goes; BadInputError where it can't, or would take the place of an input."""
    from traincost.data.outputs import Output, Taken, check_outputs
    from traincost.data.sources import sources
    from traincost.judge.policy import find_pyproject

    output, policy = Output("--output", options.output), find_pyproject(Path.cwd())
    taken = [Taken(f"a file of {f.argument}", f.path) for f in sources(options.files)]
    check_outputs([output], [*taken, *([Taken("the policy", policy)] if policy else [])])
    return output
