"""The command line: one function a verb.

A verb is an entry of `VERBS`: its name, a line of help, a function that adds its options, and one
that runs it and returns the exit code. What a verb needs is imported inside it, so that `--help`
costs no torch, pandas or scipy. Exit codes: 0 held, 1 regression, 2 bad input or usage, 3
inconclusive, and 70 where traincost itself failed, which is no verdict.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import traincost
from traincost.data.errors import BadInputError
from traincost.show.tables import FORMATS
from traincost.verbs import ab, calibrate, compare, forecast, gate, report

if TYPE_CHECKING:
    from traincost.data.record import Record
    from traincost.watch import Watched
    from traincost.watch_sample import Sample


INTERRUPTED = 130
"""As shells have it: 128 + SIGINT."""
FAILED_ITSELF = 70
"""As sysexits.h has it: an internal software error. Python's own 1 would be a regression."""


@dataclass(frozen=True)
class Verb:
    """One subcommand."""

    name: str
    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    takes_rest: bool = False  # what follows `--` is `options.rest`
    formats: Sequence[str] = FORMATS  # the first is the default


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without µ is still a terminal
    given, rest = _split(sys.argv[1:] if arguments is None else list(arguments))
    options = _parser().parse_args(given)
    options.rest = rest
    verb: Verb = options.verb
    try:
        code = verb.run(options)
        _flush()
    except BadInputError as e:
        _fail(f"traincost {verb.name}: {e}")
        return 2
    except BrokenPipeError:  # `| head`: whoever read has read enough
        _close_output()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as e:  # a full disk, no rights, no more files or processes
        _fail(f"traincost {verb.name}: {type(e).__name__}: {e}")
        with suppress(OSError):  # it may be standard output that is full
            _flush()
            return 2
        _close_output()
        return 2
    except Exception as e:
        _fail(_told(verb.name, e))
        return FAILED_ITSELF
    return code


def _told(verb: str, error: Exception) -> str:
    """The traceback, and that there is no verdict."""
    said = f"{type(error).__name__} in traincost {traincost.__version__} itself"
    trace = "".join(traceback.format_exception(error))
    return f"{trace}traincost {verb}: {said}, which is to be reported; nothing was decided"


def _fail(message: str) -> None:
    """To people, and to nothing that runs or steers."""
    from traincost.show.log import for_log, printable

    _write_error(for_log(printable(message)) + "\n")


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before `--` and what after it, for verbs that take both apart."""
    if "--" in arguments and any(v.takes_rest and v.name in arguments[:1] for v in VERBS):
        at = arguments.index("--")
        return arguments[:at], arguments[at + 1 :]
    return arguments, []


def _flush() -> None:
    if sys.stdout is not None:  # it was closed
        sys.stdout.flush()


def _close_output() -> None:
    """What is left in the buffer would make Python's own exit code, 120."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="traincost", description="What training costs, measured.")
    parser.add_argument("--version", action="version", version=f"traincost {traincost.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in VERBS:
        sub = verbs.add_parser(verb.name, help=verb.help, description=verb.help)
        sub.set_defaults(verb=verb)
        verb.add_options(sub)
        default = verb.formats[0]
        sub.add_argument(
            "--format", choices=verb.formats, default=default, help=f"default: {default}"
        )
    return parser


def _machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cost-device",
        metavar="DEVICE",
        default="auto",
        help="auto (CUDA where there is one), all, cpu, cuda or cuda:N",
    )
    parser.add_argument(
        "--cost-results",
        metavar="PATH",
        default="results",
        type=Path,
        help="result CSVs with measured peaks (default: results)",
    )


def _machine(options: argparse.Namespace) -> int:
    """Who this machine is, what can be measured on it, and its peaks."""
    from traincost.instruments import nvml, rapl
    from traincost.machine import conditions
    from traincost.machine.device import cuda_count, open_device
    from traincost.machine.identity import identify
    from traincost.machine.processor import measuring_cpus
    from traincost.machine.versions import torch_cuda
    from traincost.session import choose_devices
    from traincost.show.machine import COLUMNS, machine_rows
    from traincost.show.tables import render

    cpus = measuring_cpus()
    machines = [
        identify(open_device(name), threads=len(cpus), cpu_set=cpus, root=Path.cwd())
        for name in choose_devices(options.cost_device).names.values()
    ]
    capabilities = [
        conditions.cuda(cuda_count(), torch_cuda()),
        *nvml.capabilities(machines[-1].gpu_uuid),
        *rapl.capabilities(),
        *conditions.capabilities(cpus),
    ]
    rows = machine_rows(machines, capabilities, _records(options.cost_results))
    print(render("machine", COLUMNS, rows, options.format), end="")
    return 0


def _records(path: Path) -> list[Record]:
    """The rows of a file or folder; none from a folder that is not there yet."""
    from traincost.data.results import read_records, result_files

    empty = path.is_dir() and not any(path.rglob("*.csv"))
    if empty or not path.exists():
        return []
    return [record for file in result_files([path]) for record in read_records(file)]


def _watch_options(parser: argparse.ArgumentParser) -> None:
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


def _watch(options: argparse.Namespace) -> int:
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
            _write_error(text)
        for fault in filter(None, (output.fault, trace.fault)):
            _write_error(f"traincost watch: {fault}\n")

    def trace_on(sample: Sample) -> None:
        trace.write(trace_line(sample))

    return watch(command, every_s, trace_on, on_end=tell).host.exit_code


def _write_error(text: str) -> None:
    """To standard error, if anybody can still read it there."""
    if sys.stderr is None:
        return  # it was closed
    encoding = sys.stderr.encoding or "utf-8"
    try:
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()
    except OSError:  # what is left in the buffer would make Python's own exit code, 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


VERBS = (
    Verb(
        "compare",
        "results of several machines, commits or runs side by side: time, memory, energy, MFU",
        compare.add_options,
        compare.run,
    ),
    Verb(
        "report",
        "one page to look at, with nothing fetched, or one figure of it: FILE... -o OUT.html",
        report.add_options,
        report.run,
        formats=report.FORMATS,
    ),
    Verb(
        "machine",
        "who this machine is, what can be measured on it, and its peaks",
        _machine_options,
        _machine,
    ),
    Verb(
        "calibrate",
        "does the clock agree with another's, and how often is the gate wrong? (about two minutes)",
        calibrate.add_options,
        calibrate.run,
    ),
    Verb(
        "watch",
        "what any command takes: energy, power, memory, clocks; its exit code is passed on",
        _watch_options,
        _watch,
    ),
    Verb(
        "ab",
        "measure two revisions in turns on this machine, and say which cases became slower",
        ab.add_options,
        ab.run,
        takes_rest=True,
    ),
    Verb(
        "gate",
        "did a change cost something? verdicts and an exit code from the result CSVs of both sides",
        gate.add_options,
        gate.run,
    ),
    Verb(
        "forecast",
        "what a training run of an unmeasured size would cost: time, energy, money, memory",
        forecast.add_options,
        forecast.run,
    ),
)
