"""`traincost ab BASE [HEAD]`: measure two revisions in turns, and gate."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from traincost.data.errors import BadInputError
from traincost.verbs.gate import (
    add_output_options,
    add_policy_options,
    check_report_files,
    policy_of,
)

if TYPE_CHECKING:
    from traincost.ab.collected import Collected
    from traincost.ab.run import Measured
    from traincost.ab.trees import Trees
    from traincost.judge.policy import Policy
    from traincost.judge.rule import Rule

BASE, HEAD, TIME = "base", "head", "time_median_s"
SIDES = (BASE, HEAD)

TAKE_A_VALUE = ("-k", "-m", "-p", "-o", "-c", "-W", "--cost-device", "--cost-profile")
"""Options of pytest whose value could be taken for a path."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options; pytest's follow after `--`."""
    parser.add_argument("base", metavar="BASE", help="a git revision, or a folder")
    parser.add_argument(
        "head", metavar="HEAD", nargs="?", help="the same (default: the commit checked out)"
    )
    parser.add_argument(
        "--budget", metavar="TIME", default="10m", help="time to measure (default: 10m)"
    )
    parser.add_argument(
        "--fail-if-slower",
        metavar="SHARE",
        help="the margin, as 5%% (default: that of the policy, else 5%%)",
    )
    parser.add_argument(
        "--suites-from",
        metavar="WHERE",
        default="head",
        help="both sides run the suites of `head` (default), `base`, or this file or folder",
    )
    parser.add_argument(
        "--prepare",
        metavar="CMD",
        help="run once in each side's tree, in an environment of its own: 'pip install -e .'",
    )
    parser.add_argument(
        "--threads", metavar="N", type=int, default=1, help="CPU threads (default: 1)"
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=Path,
        help="folder for base.csv and head.csv (default: results/ab-TIME)",
    )
    parser.add_argument("--seed", metavar="N", type=int, help="of the orders; default: drawn")
    parser.add_argument(
        "-k", metavar="EXPRESSION", help="cases, as pytest chooses them (default: marked gate)"
    )
    add_policy_options(parser)
    add_output_options(parser)
    parser.usage = "%(prog)s BASE [HEAD] [options] [-- pytest arguments (default: suites)]"


def run(options: argparse.Namespace) -> int:
    """Measure and judge; the exit code of the gate."""
    from traincost.judge.gate import gate
    from traincost.show import ab as show
    from traincost.show.gate import write

    policy = policy_of(options)
    folder: Path = options.output or Path("results") / f"ab-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    _check_report_files(options, folder)
    with terminated_as_interrupted(), kept_if_it_ends(folder):
        measured, chosen = _measured(options, policy, folder)
    _say(show.provenance_line(measured), *show.left_out_lines(measured))
    _say(f"rows in {folder}/base.csv and {folder}/head.csv")
    report = gate(
        measured.records[BASE],
        measured.records[HEAD],
        chosen,
        verdicts=measured.verdicts,
        failed=measured.failed,
        same_suites=True,
    )
    return write(report, options)


def _check_report_files(options: argparse.Namespace, folder: Path) -> None:
    """Before anything is measured: they are written when all is judged."""
    from traincost.data.outputs import Taken

    rows = [Taken(f"where {side.upper()}'s rows go", folder / f"{side}.csv") for side in SIDES]
    suites = [Taken("the suites", Path(options.suites_from))]
    named = suites if options.suites_from not in SIDES else []
    check_report_files(options, [*rows, *named], folder)


def _measured(options: argparse.Namespace, policy: Policy, folder: Path) -> tuple[Measured, Policy]:
    """Both sides, measured, and the policy for the cases that were chosen."""
    from traincost.ab.process import Sides
    from traincost.ab.run import AbRun, result_files
    from traincost.ab.trees import trees_of
    from traincost.machine.processor import measuring_cpus
    from traincost.show import ab as show

    budget_s, cpus = show.duration_s(options.budget), sorted(measuring_cpus())
    if not 1 <= options.threads <= len(cpus):
        raise BadInputError(
            f"--threads {options.threads}: expected 1 to {len(cpus)}, the cores of this process"
        )
    arguments, suites = pytest_arguments(options.rest, options.k)
    seed = random.randrange(2**32) if options.seed is None else options.seed
    with (
        trees_of(options.base, options.head, options.suites_from, suites, Path.cwd()) as trees,
        tempfile.TemporaryDirectory(prefix="traincost-ab-") as scratch,
    ):
        _say(*show.sides_lines(trees), f"seed {seed}")
        pythons = _pythons(trees, options.prepare, Path(scratch))
        sides = Sides(trees, arguments, Path(scratch), options.threads, pythons)
        ab = AbRun(sides, budget_s, cpus, random.Random(seed), result_files(folder))
        collected = ab.collect()
        _say(*show.alone_lines(collected))
        chosen = policy.among((*collected.cases, *collected.alone))
        if options.k is None and not options.rest:  # nobody left a required case out
            chosen = replace(chosen, required=policy.required)
        rules = _rules(chosen, collected)
        _say(*_plan_lines(chosen, len(rules), collected, budget_s))
        with show.progress_shown() as ab.tell:
            return ab.measure(rules), chosen


def _pythons(trees: Trees, command: str | None, scratch: Path) -> dict[str, str]:
    """The Python of each side: this one, or that of the environment that `--prepare` makes."""
    from traincost.ab.prepare import prepared

    pythons: dict[str, str] = dict.fromkeys(SIDES, sys.executable)
    if command is not None:
        for side in pythons:
            _say(f"preparing {side.upper()}: {command}")
            pythons[side] = prepared(trees.of(side), command, scratch)
    return pythons


def _rules(policy: Policy, collected: Collected) -> dict[str, Rule]:
    """The rule of each case whose time is gated."""
    rules = {case: rule for case in collected.cases if (rule := policy.rule_for(case, TIME))}
    if not rules:
        raise BadInputError(
            f"{policy.source} turns the time of all {len(collected.cases)} cases off; expected one "
            "that is gated"
        )
    return rules


def _plan_lines(policy: Policy, n_cases: int, collected: Collected, budget_s: float) -> list[str]:
    """What the budget can resolve."""
    from traincost.judge.sequential import resolvable_rel
    from traincost.show.ab import plan_lines

    def resolvable(pairs: int, spread_rel: float) -> float:
        return resolvable_rel(policy.rule, n_cases=n_cases, n_pairs=pairs, spread_rel=spread_rel)

    return plan_lines(policy.rule, collected.expected, budget_s, resolvable)


@contextmanager
def kept_if_it_ends(folder: Path) -> Generator[None]:
    """A folder for the rows of both sides. Where nothing comes of it, nothing is left of it.

    BadInputError where it can't be made, or has rows of both sides already.
    """
    files = [folder / f"{side}.csv" for side in SIDES]
    for file in files:
        if file.exists():
            raise BadInputError(
                f"--output {folder}: has a {file.name} already; expected a folder without the "
                "results of another A/B"
            )
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise BadInputError(f"--output {folder}: {e.strerror}; expected a folder") from e
    try:
        yield
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
            file.with_name(f".{file.name}.tmp").unlink(missing_ok=True)
        for place in made:
            with suppress(OSError):  # somebody else has put something there
                place.rmdir()
        raise


def pytest_arguments(given: list[str], k: str | None) -> tuple[list[str], list[str]]:
    """Pytest's arguments, and the paths of the suites among them."""
    before = ["", *given]
    suites = [
        argument.partition("::")[0]
        for argument, last in zip(given, before, strict=False)
        if not argument.startswith("-")
        and last not in TAKE_A_VALUE
        and Path(argument.partition("::")[0]).exists()
    ]
    arguments = list(given) if suites else ["suites", *given]
    suites = suites or ["suites"]
    if k is not None:
        arguments = [*arguments, "-k", k]
    if not any(a in ("-k", "-m") or a.startswith(("-k", "-m")) for a in arguments):
        arguments = [*arguments, "-m", "gate"]
    return [*arguments], list(dict.fromkeys(suites))


@contextmanager
def terminated_as_interrupted() -> Generator[None]:
    """A signal that would end this process at once lets it put away what it made."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: Any) -> NoReturn:
        for number in numbers:  # a second one would leave behind what is being put away
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _say(*lines: str) -> None:
    """For people, beside the output; nothing of it is a command to GitHub's runner."""
    from traincost.show.log import for_log, printable

    for line in lines:
        print(for_log(printable(line)), file=sys.stderr)
