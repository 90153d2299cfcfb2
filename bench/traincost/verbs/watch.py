"""`traincost watch -- COMMAND`: what any command takes; its exit code is passed on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError
from traincost.verbs.stderr import write_error

if TYPE_CHECKING:
    from traincost.watch import Watched
    from traincost.watch_sample import Sample


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument(
        "--trace", metavar="FILE", type=Path, help="write a CSV with a line a device and interval"
    )
    parser.add_argument(
        "--interval", metavar="S", default="1", help="seconds between its lines (default: 1)"
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="the summary goes there (default: stderr)"
    )
    parser.add_argument(
        "command", metavar="-- COMMAND", nargs=argparse.REMAINDER, help="and its arguments"
    )


def run(options: argparse.Namespace) -> int:
    """Run a command and tell what it took; its exit code, whatever becomes of the summary."""
    from traincost.child import check_command
    from traincost.show.watch import (
        TRACE_HEADER,
        Written,
        interval_s,
        refuse_one_file_twice,
        summary,
        trace_line,
    )
    from traincost.watch import watch

    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise BadInputError("expected a command, as in: traincost watch -- python train.py")
    every_s = interval_s(options.interval)
    check_command(command)
    refuse_one_file_twice(options.output, options.trace)
    output = Written("--output", options.output)
    trace = Written("--trace", options.trace, TRACE_HEADER)

    def tell(watched: Watched) -> None:
        text = summary(watched, options.format)
        if not output.write(text):
            write_error(text)
        for fault in filter(None, (output.fault, trace.fault)):
            write_error(f"traincost watch: {fault}\n")

    def trace_on(sample: Sample) -> None:
        trace.write(trace_line(sample))

    return watch(command, every_s, trace_on, on_end=tell).host.exit_code
