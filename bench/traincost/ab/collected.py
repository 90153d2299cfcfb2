"""What both sides have, before anything is run: cases in common, cases of one side, and their code.

Both sides have the same suite files, so a case of one side only is the doing of the code: a feature
that HEAD adds or takes away, or a suite of HEAD's that BASE's code does not fit. Where BASE has
that suite, too, as when HEAD renames a function and adapts the suite, its cases are not new: they
would have been compared. What BASE's own suites choose and HEAD's don't, as a case that HEAD takes
out of a suite file or marks `gate` no more, is gone: it would vanish from both sides unseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from traincost.ab.process import Ran
from traincost.ab.schedule import Estimate
from traincost.ab.trees import BASE, HEAD, Tree, Trees
from traincost.data.errors import BadInputError
from traincost.data.side_plan import SideReport
from traincost.judge.alone import NOT_COMPARED, ON_BASE, ON_HEAD

GONE = f"{ON_BASE}: BASE's own suites choose it, HEAD's have or choose it no more"
NEW = f"{ON_HEAD}: BASE's own suites have no such case"


@dataclass(frozen=True)
class Collected:
    """Both sides, collected."""

    cases: tuple[str, ...]  # of both sides
    alone: Mapping[str, str]  # by case id: why one side only has it
    unfit: tuple[str, ...]  # suites that BASE's code does not fit
    expected: Estimate  # what the budget has room for
    untold: tuple[str, ...] = ()  # what BASE's own suites don't tell, in words


def common_cases(found: Mapping[str, Ran]) -> tuple[str, ...]:
    """Cases of both sides; BadInputError where there is none."""
    base, head = (found[side].report.cases for side in (BASE, HEAD))
    common = tuple(sorted({*base} & {*head}))
    if not common:
        unfit = found[BASE].report.uncollected
        fit = f"; BASE's code does not fit HEAD's {', '.join(unfit)}" if unfit else ""
        raise BadInputError(
            f"no case in common: BASE has {_some(base)}, HEAD {_some(head)}{fit}; expected the "
            "same suites on both sides"
        )
    return common


def _some(cases: Sequence[str]) -> str:
    return f"{len(cases)} ({cases[0]}, …)" if cases else "none"


def cases_alone(
    found: Mapping[str, Ran], trees: Trees, own: SideReport | None = None
) -> dict[str, str]:
    """Why one side only has a case, by case id; `own` is what BASE's own suites have."""
    base, head = (found[side].report.cases for side in (BASE, HEAD))
    alone = {case: GONE for case in (own.cases if own else ()) if case not in head}
    alone |= {case: ON_BASE for case in base if case not in head}
    for case in head:
        if case not in base:
            new = own is not None and not own.uncollected and case not in own.cases
            why = _why_on_head(case, found[BASE].report, trees)
            alone[case] = NEW if new and why.startswith(NOT_COMPARED) else why
    return alone


def untold(own: SideReport | None) -> tuple[str, ...]:
    """What BASE's own suites don't tell, in words."""
    if own is None:
        return ("BASE's own suites cannot be collected: what HEAD's lack is not known",)
    return tuple(
        f"BASE's own {file} cannot be collected: what HEAD's lacks of it is not known"
        for file in own.uncollected
    )


def _why_on_head(case_id: str, base: SideReport, trees: Trees) -> str:
    """New, or of a suite that BASE has as well and can't run."""
    suite = case_id.partition("/")[0]
    unfit = _of_suite(suite, base.uncollected, trees)
    skipped = _of_suite(suite, base.skipped, trees)
    for file in (*unfit, *skipped):
        if file not in trees.new:
            why = "BASE's code does not fit" if file in unfit else "BASE skips"
            return f"{NOT_COMPARED}: {why} HEAD's {file}, a suite that BASE has, too"
    return f"{ON_HEAD}: BASE's code does not fit {unfit[0]}" if unfit else ON_HEAD


def _of_suite(suite: str, places: Iterable[str], trees: Trees) -> list[str]:
    """The files of a suite among files and folders that pytest named."""
    named = list(places)
    inside = (f for f in trees.shared if any(Path(f).is_relative_to(place) for place in named))
    files = dict.fromkeys([*inside, *named])
    return [f for f in files if Path(f).stem.removeprefix("test_") == suite]


def check_own_code(tree: Tree, ran: Ran) -> None:
    """BadInputError where a side did not run its own code."""
    if not ran.report.outside:
        return
    module, file = next(iter(ran.report.outside.items()))
    more = len(ran.report.outside) - 1
    raise BadInputError(
        f"{tree.name.upper()} ({tree.what}) imports {module} from {file}"
        + (f" and {more} more modules from outside" if more else "")
        + "; expected it from the side's own tree (an editable install or a path in the "
        "environment leads there; --prepare 'pip install -e .' gives each side its own)"
    )


def check_suspects(found: Mapping[str, Ran]) -> None:
    """BadInputError where what differs may not have run, but something of its name."""
    base, head = (found[side].report for side in (BASE, HEAD))
    suspects = {**base.suspect, **head.suspect}
    if suspects and dict(base.modules) == dict(head.modules):
        module, file = next(iter(suspects.items()))
        raise BadInputError(
            f"both sides import {module} from {file}, nothing that ran differs between them, "
            f"and {module.partition('.')[0]!r} stands in the tree, too; expected each side to "
            "import its own (a src layout, a path in pytest's `pythonpath`, or --prepare)"
        )
