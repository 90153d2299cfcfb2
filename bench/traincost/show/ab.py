"""What `traincost ab` says: what it can resolve before, where it stands, what it ran in the end."""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING

from traincost.ab.run import FEWEST_PAIRS as FEWEST_JUDGED
from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from traincost.ab.collected import Collected
    from traincost.ab.run import Measured, Progress
    from traincost.ab.schedule import Estimate
    from traincost.ab.trees import Trees
    from traincost.judge.rule import Rule

SPREADS_REL = (0.01, 0.02)
_UNITS = {"s": 1, "m": 60, "h": 3600}
FEWEST_PAIRS = 2
SHOWN = 5


def duration_s(text: str) -> float:
    """`90`, `90s`, `10m` or `1.5h` as seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None or float(match[1]) == 0:
        raise BadInputError(f"--budget {text!r}: expected a time, as in 90s, 10m or 1.5h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def sides_lines(trees: Trees) -> list[str]:
    """Who is compared, and where the suites are from."""
    lines = [
        f"{tree.name.upper()}  {tree.what}"
        + ("" if tree.commit is None else f" ({tree.commit[:12]})")
        for tree in (trees.base, trees.head)
    ]
    shared = f"suites from {trees.suites_from}: {len(trees.shared)} files on both sides"
    if trees.replaced:
        shared += f", {len(trees.replaced)} of them in place of others ({_some(trees.replaced)})"
    empty = [
        f"{tree.name.upper()}: submodule {path} is empty: this checkout has none to fill it from"
        for tree in (trees.base, trees.head)
        for path in tree.empty
    ]
    return [*lines, *empty, shared]


def plan_lines(
    rule: Rule, expected: Estimate, budget_s: float, resolvable: Callable[[int, float], float]
) -> list[str]:
    """What the budget has room for, before it starts."""
    lines = [
        f"{expected.n_cases} cases, about {expected.pair_s:.0f} s a pair: {_room(expected)} in "
        f"{duration_text(budget_s)}; fails if slower by {rule.margin_rel:.0%} or more"
    ]
    for spread_rel in SPREADS_REL:
        found = resolvable(expected.pairs, spread_rel) if expected.pairs >= FEWEST_PAIRS else inf
        said = (
            "no slow-down can be called"
            if found == inf
            else f"{found:+.1%} is called 9 times in 10"
        )
        lines.append(f"at a spread of {spread_rel:.0%} between runs {said}")
    return lines


def _room(expected: Estimate) -> str:
    """How many pairs fit, and where too few do to judge by, what budget would do."""
    n = expected.pairs
    if n >= FEWEST_JUDGED:
        return f"about {n} pairs"
    needed_s = expected.spent_s + FEWEST_JUDGED * expected.pair_s
    budget = f"{math.ceil(needed_s)}s" if needed_s < 120 else f"{math.ceil(needed_s / 60)}m"
    fits = ("no pair fits", "1 pair fits", f"{n} pairs fit")[min(n, 2)]
    return f"{fits} (--budget {budget} has room for {FEWEST_JUDGED})"


def duration_text(length_s: float) -> str:
    """As people write it: `2 s`, `1.5 min`, `10 min`, `2 h`."""
    if length_s < 60:
        return f"{length_s:g} s"
    return f"{length_s / 60:.3g} min" if length_s < 2 * 3600 else f"{length_s / 3600:.3g} h"


def alone_lines(collected: Collected) -> list[str]:
    """Suites and cases that cannot be compared."""
    unfit = [f"BASE's code does not fit {file}" for file in collected.unfit]
    alone = (f"{case}: {why}" for case, why in sorted(collected.alone.items()))
    return [*unfit, *collected.untold, *alone]


def provenance_line(measured: Measured) -> str:
    """Whether what ran differs at all."""
    n_modules = len({*measured.modules["base"], *measured.modules["head"]})
    if not measured.changed:
        return f"the same code on both sides: none of the {n_modules} modules that ran differs"
    return (
        f"{len(measured.changed)} of {n_modules} modules that ran differ: {_some(measured.changed)}"
    )


def left_out_lines(measured: Measured) -> list[str]:
    """Pairs that were not used."""
    return [f"{case}: left out: {why}" for case, why in sorted(measured.left_out.items())]


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


@contextmanager
def progress_shown() -> Generator[Callable[[Progress], None]]:
    """A bar on a terminal: pairs done, who runs, what is undecided, the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda progress: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("collected", total=None, left="")

        def tell(progress: Progress) -> None:
            left = "" if progress.left_s is None else f"at most {progress.left_s / 60:.1f} min left"
            bar.update(
                task,
                description=_description(progress),
                completed=progress.pairs,
                total=progress.of_pairs,
                left=left,
            )

        yield tell


def _description(progress: Progress) -> str:
    of_pairs = "" if progress.of_pairs is None else f" of {progress.of_pairs}"
    worst = max(progress.verdicts.values(), key=lambda j: j.estimate_rel, default=None)
    slowest = "" if worst is None else f", slowest {worst.estimate_rel:+.1%}"
    running = f" {progress.running.upper()}" if progress.running else ""
    return (
        f"pair {progress.pairs + 1}{of_pairs}{running}: {progress.undecided} of {progress.cases} "
        f"cases undecided{slowest}"
    )
