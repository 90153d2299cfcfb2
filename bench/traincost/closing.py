"""What a session says at its end: the tables, the reasons, where the time went, the file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from traincost.collecting import CASE, Plan
from traincost.data.record import Record
from traincost.passes import WallTime
from traincost.show.static import static_table
from traincost.show.summary import WIDTH, cost_table, reason_lines, status_line, wall_time_line


def say_results(
    terminalreporter: Any, records: Sequence[Record], wall: WallTime, path: Path
) -> None:
    """The rows of a run as tables, and what stands below them."""
    measured = [r for r in records if r.arch is None]
    compiled = [r for r in records if r.arch is not None]
    if measured:
        terminalreporter.section("training cost")
        _write(terminalreporter, cost_table(measured))
    if compiled:
        terminalreporter.section("static kernel cost")
        _write(terminalreporter, static_table(compiled))
    for line in reason_lines(records):
        terminalreporter.write_line(line)
    terminalreporter.write_line(wall_time_line(wall))
    terminalreporter.write_line(f"{len(records)} rows ({status_line(records)}) in {_shown(path)}")


def _shown(path: Path) -> Path:
    """Relative to the current folder where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _write(terminalreporter: Any, renderable: Any) -> None:
    """Print through pytest's own writer, at most `WIDTH` columns wide."""
    writer = terminalreporter._tw
    console = Console(
        file=io.StringIO(),
        width=min(WIDTH, writer.fullwidth) if terminalreporter.isatty else WIDTH,
        force_terminal=writer.hasmarkup,
        color_system="standard" if writer.hasmarkup else None,
    )
    with console.capture() as captured:
        console.print(renderable)
    for line in captured.get().splitlines():
        terminalreporter.write_line(line.rstrip())


def quieten_benchmark_table(config: Any, planned: Plan) -> None:
    """Our table says what pytest-benchmark's would, in half the width.

    It stays where somebody asks for it: -v, --benchmark-verbose, --benchmark-compare, or benchmarks
    that are not ours among the tests.
    """
    benchmarks = config._benchmarksession
    others = any(
        "benchmark" in getattr(i, "fixturenames", ()) and CASE not in i.stash for i in planned.items
    )
    asked = config.getoption("benchmark_compare") or config.getoption("benchmark_verbose")
    if not others and not asked and config.getoption("verbose") <= 0:
        benchmarks.quiet = True
