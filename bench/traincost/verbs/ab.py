"""`traincost ab BASE [HEAD]`: measure two revisions in turns, and gate."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from traincost.data.errors import BadInputError
from traincost.verbs.gate import add_output_options, add_policy_options, policy_of

if TYPE_CHECKING:
    from traincost.ab.run import Measured
    from traincost.judge.gate import GateReport
    from traincost.judge.policy import Policy

BASE, HEAD, TIME = "base", "head", "time_median_s"

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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise BadInputError(f"--output {folder}: {e.strerror}; expected a folder") from e
    measured, chosen, alone = _measured(options, policy, folder)
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
    report = with_alone(report, alone, policy)
    write(report, options)
    return report.exit_code


def with_alone(report: GateReport, alone: Mapping[str, str], policy: Policy) -> GateReport:
    """The report with the cases that one side has: gone from HEAD, or new on it."""
    from traincost.ab.run import ON_HEAD
    from traincost.judge.line import HELD, REGRESSION, CaseVerdict, Outcome

    lines = [
        CaseVerdict(
            case_id=case,
            metric="",
            verdict=Outcome.NEW if where.startswith(ON_HEAD) else Outcome.MISSING,
            reason=where,
            required=policy.is_required(case),
            exit_code=HELD
            if where.startswith(ON_HEAD) or not policy.is_required(case)
            else REGRESSION,
        )
        for case, where in sorted(alone.items())
    ]
    missing = any(line.exit_code == REGRESSION for line in lines)
    code = REGRESSION if missing else report.exit_code
    return replace(report, verdicts=(*lines, *report.verdicts), exit_code=code)


def _measured(
    options: argparse.Namespace, policy: Policy, folder: Path
) -> tuple[Measured, Policy, Mapping[str, str]]:
    """Both sides, measured, the policy for the cases that were chosen, cases of one side."""
    from traincost.ab.prepare import prepared
    from traincost.ab.process import Sides
    from traincost.ab.run import AbRun, result_files
    from traincost.ab.trees import trees_of
    from traincost.judge.policy import matches
    from traincost.judge.sequential import resolvable_rel
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
        terminated_as_interrupted(),
        trees_of(options.base, options.head, options.suites_from, suites, Path.cwd()) as trees,
        tempfile.TemporaryDirectory(prefix="traincost-ab-") as scratch,
    ):
        _say(*show.sides_lines(trees), f"seed {seed}")
        pythons: dict[str, str] = dict.fromkeys((BASE, HEAD), sys.executable)
        if options.prepare is not None:
            for side in pythons:
                _say(f"preparing {side.upper()}: {options.prepare}")
                pythons[side] = prepared(trees.of(side), options.prepare, Path(scratch))
        sides = Sides(trees, arguments, Path(scratch), options.threads, pythons)
        ab = AbRun(sides, budget_s, cpus, random.Random(seed), result_files(folder))
        cases, alone, expected = ab.collect()
        chosen = policy.among(cases)
        if options.k is None and not options.rest:  # nobody left a required case out
            gone = tuple(g for g in policy.required if not any(matches(g, c) for c in alone))
            chosen = replace(chosen, required=tuple(dict.fromkeys((*chosen.required, *gone))))
        rules = {case: rule for case in cases if (rule := chosen.rule_for(case, TIME))}
        if not rules:
            raise BadInputError(
                f"{policy.source} turns the time of all {len(cases)} cases off; expected one that "
                "is gated"
            )
        _say(*show.alone_lines(alone))

        def resolvable(pairs: int, spread_rel: float) -> float:
            return resolvable_rel(
                policy.rule, n_cases=len(rules), n_pairs=pairs, spread_rel=spread_rel
            )

        _say(*show.plan_lines(policy.rule, expected, budget_s, resolvable))
        with show.progress_shown() as ab.tell:
            return ab.measure(rules), chosen, alone


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
    from traincost.show.github import for_log

    for line in lines:
        print(for_log(line), file=sys.stderr)
