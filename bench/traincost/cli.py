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
from typing import NoReturn

import traincost
from traincost.data.errors import BadInputError
from traincost.show.tables import FORMATS
from traincost.verbs import ab, calibrate, compare, fleet, forecast, gate, machine, report, watch
from traincost.verbs.stderr import write_error

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
    code = 0
    try:
        code = verb.run(options)
        _flush()
    except BadInputError as e:
        _fail(f"traincost {verb.name}: {e}")
        return 2
    except BrokenPipeError:  # `| head`: whoever read has read enough
        _close_output()
        return code  # a verdict stands, read or not
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

    write_error(for_log(printable(message)) + "\n")


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
        machine.add_options,
        machine.run,
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
        watch.add_options,
        watch.run,
    ),
    Verb(
        "ab",
        "measure two revisions in turns on this machine, and say which cases became slower",
        ab.add_options,
        ab.run,
        takes_rest=True,
    ),
    Verb(
        "fleet",
        "measure the cases of suites on the machines of a Ray cluster, one on a device at a time",
        fleet.add_options,
        fleet.run,
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
