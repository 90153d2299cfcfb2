"""`traincost gate BASE HEAD`: result CSVs of two revisions become a verdict and an exit code."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    from traincost.data.outputs import Taken
    from traincost.judge.policy import Policy

SUMMARY = "GITHUB_STEP_SUMMARY"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("base", metavar="BASE", type=Path, help="a result CSV, or a folder of them")
    parser.add_argument("head", metavar="HEAD", type=Path, help="the same, of the change")
    parser.add_argument(
        "--fail-if-slower",
        metavar="SHARE",
        help="the margin, as 5%% (default: that of the policy, else 5%%)",
    )
    parser.add_argument(
        "--exact-only",
        action="store_true",
        help="gate what is counted; times, energy and device memory are shown",
    )
    parser.add_argument(
        "--same-suites",
        action="store_true",
        help="both sides ran the same suite files: a changed workload is the code's doing, judged",
    )
    add_policy_options(parser)
    add_output_options(parser)


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Where it stands what is asked of which case; `ab` has these, too."""
    parser.add_argument(
        "--policy",
        metavar="FILE",
        type=Path,
        help="a TOML file with [tool.traincost.gate] (default: the nearest pyproject.toml)",
    )
    parser.add_argument(
        "--inconclusive",
        choices=("warn", "fail"),
        help="fail: every case that stays undecided ends with 3, not only required ones",
    )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """What `show.gate.write` writes; `ab` has these, too."""
    parser.add_argument("--junit", metavar="FILE", type=Path, help="also as JUnit XML")
    parser.add_argument(
        "--markdown", metavar="FILE", type=Path, help="also as a comment for a pull request"
    )


def check_report_files(
    options: argparse.Namespace, taken: Iterable[Taken] = (), folder: Path | None = None
) -> None:
    """BadInputError where what `add_output_options` asks for can't be written, or is needed."""
    from traincost.data.outputs import Taken, check_outputs
    from traincost.judge.policy import find_pyproject
    from traincost.show.gate import files_of

    policy, summary = options.policy or find_pyproject(Path.cwd()), os.environ.get(SUMMARY)
    others = [Taken("the policy", policy)] if policy else []
    others += [Taken(f"${SUMMARY}", Path(summary))] if summary else []
    check_outputs([output for output, _ in files_of(options)], [*taken, *others], folder)


def policy_of(options: argparse.Namespace) -> Policy:
    """The policy that the options name."""
    from traincost.judge.policy import find_pyproject, read_policy, share_of

    margin_rel = None
    if options.fail_if_slower is not None:
        margin_rel = share_of(options.fail_if_slower)
        if not margin_rel:
            raise BadInputError(
                f"--fail-if-slower {options.fail_if_slower!r}: expected a share above 0 and below "
                "1, as 5% or 0.05"
            )
    return read_policy(
        options.policy or find_pyproject(Path.cwd()),
        fail_if_slower=margin_rel,
        inconclusive=options.inconclusive,
        must_have=options.policy is not None,
    )


def run(options: argparse.Namespace) -> int:
    """Judge, and write what was asked for; the exit code of the gate."""
    from traincost.judge.gate import gate
    from traincost.show.gate import write
    from traincost.verbs.reading import read_side

    policy = policy_of(options)
    check_report_files(options, [*inputs("BASE", [options.base]), *inputs("HEAD", [options.head])])
    base, head = read_side(options.base), read_side(options.head)
    report = gate(
        base, head, policy, same_suites=options.same_suites, exact_only=options.exact_only
    )
    return write(report, options)


def inputs(what: str, paths: Iterable[Path]) -> list[Taken]:
    """The result CSVs of files and folders, as files that no output may be."""
    from traincost.data.outputs import Taken
    from traincost.data.results import result_files

    return [Taken(f"a file of {what}", file) for file in result_files(paths)]
