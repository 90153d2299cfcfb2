"""The A/B itself: pairs of fresh processes, looked at on the way, until every case is decided.

Each pair is one process a side, one after the other, over all undecided cases. The number of pairs
is fixed by the budget after the second one, before anything is judged: the first counts, too, and
takes longer than any other. Where the machine becomes
slower on the way, no pair is begun that would end after the budget: the looks that were planned
stay as they are, and the last ones are not taken. A process that hangs is killed.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from traincost.ab.process import Ran, Sides
from traincost.ab.schedule import CASE_S, Estimate, Turn, estimate, turns
from traincost.ab.trees import BASE, HEAD
from traincost.data.errors import BadInputError
from traincost.data.record import Record, Status
from traincost.data.results import ResultFile
from traincost.judge.family import Family
from traincost.judge.replay import with_plan
from traincost.judge.rule import Judged, Rule
from traincost.judge.sequential import Looks

LEFT_OUT = {Status.THROTTLED: "was throttled", Status.UNSTABLE: "waited for a CPU"}
"""Rows whose pair is not used: in a process that is one of many, `unstable` means waiting."""
FEWEST_PAIRS = 4
COMMIT_DIGITS = 12
ON_HEAD = "on HEAD only"
PLANNED_AFTER = 2
"""Pairs; before the first look, so that nothing depends on what was measured."""
GRACE_S = 60.0
"""A first process may take so long whatever the budget, so that it can be said what would do."""
HANGS = 3.0
"""A later one may end after the budget, unless it takes so many times what its side took before."""


@dataclass(frozen=True)
class Progress:
    """Where the A/B stands."""

    pairs: int
    of_pairs: int | None  # not known before the first one
    undecided: int
    cases: int
    running: str  # `base` or `head`, or `` between pairs
    left_s: float | None
    verdicts: Mapping[str, Judged] = field(default_factory=dict[str, Judged])


@dataclass(frozen=True)
class Measured:
    """Both sides, measured."""

    records: Mapping[str, Sequence[Record]]  # by side
    verdicts: Mapping[str, Judged]  # by case id
    failed: Mapping[str, str]  # by case id: which side failed, and how
    left_out: Mapping[str, str]  # by case id: pairs that were not used, and why
    modules: Mapping[str, Mapping[str, str]]  # by side: hash by path, of all that was imported
    pairs: int
    length_s: float

    @property
    def changed(self) -> tuple[str, ...]:
        """Modules that ran and are not the same on both sides."""
        base, head = self.modules[BASE], self.modules[HEAD]
        return tuple(sorted(f for f in {*base, *head} if base.get(f) != head.get(f)))


@dataclass
class AbRun:
    """One A/B from the collection of its cases to its verdicts."""

    sides: Sides
    budget_s: float
    cpus: Sequence[int]
    rng: random.Random
    files: Mapping[str, ResultFile]  # by side
    tell: Callable[[Progress], None] = lambda progress: None
    looks: Looks = field(default_factory=Looks)
    _records: dict[str, list[Record]] = field(init=False)
    _modules: dict[str, dict[str, str]] = field(init=False)
    _log_ratios: dict[str, list[float]] = field(init=False)
    _failed: dict[str, str] = field(init=False)
    _left_out: dict[str, list[str]] = field(init=False)
    _of_pairs: int | None = field(default=None, init=False)
    _begun_s: float = field(default_factory=time.monotonic, init=False)
    _longest_s: dict[str, float] = field(default_factory=dict[str, float], init=False)

    def __post_init__(self) -> None:
        self._records, self._modules = {BASE: [], HEAD: []}, {BASE: {}, HEAD: {}}
        self._log_ratios, self._failed, self._left_out = {}, {}, {}

    def collect(self) -> tuple[tuple[str, ...], dict[str, str], Estimate]:
        """Cases of both sides, those of one side only, and what the budget has room for."""
        self._begun_s = time.monotonic()
        found = {
            side: self.sides.collect(side, max(self._left_s(), GRACE_S)) for side in (BASE, HEAD)
        }
        for side, ran in found.items():
            self._check(side, ran)
        base, head = (found[side].report.cases for side in (BASE, HEAD))
        common = tuple(sorted({*base} & {*head}))
        if not common:
            raise BadInputError(
                f"no case in common: BASE has {len(base)} ({base[0]}, …), HEAD {len(head)} "
                f"({head[0]}, …); expected the same suites on both sides"
            )
        self._check_suspects(found)
        alone = {case: "on BASE only" for case in base if case not in common}
        uncollected = found[BASE].report.uncollected
        alone |= {case: _new(case, uncollected) for case in head if case not in common}
        pair_s = sum(ran.length_s for ran in found.values()) + 2 * CASE_S * len(common)
        return common, alone, estimate(len(common), pair_s, self._left_s())

    def measure(self, rules: Mapping[str, Rule]) -> Measured:
        """Pairs until every case is decided, by its own rule, or the budget ends."""
        begun_s = time.monotonic()
        cases = tuple(rules)
        waiting = list(cases)
        family: Family | None = None
        pairs, pair_s = 0, 0.0
        for turn in turns(self.cpus, self.sides.threads, self.rng):
            if pairs and self._left_s() < pair_s:
                break
            pair_begun_s = time.monotonic()
            self._pair(turn, waiting, self._progress(pairs, cases, waiting, family, begun_s))
            pairs, pair_s = turn.pair, time.monotonic() - pair_begun_s
            if pairs == 1:
                rules = {c: r for c, r in rules.items() if c not in self._failed}
            if family is None and (pairs == PLANNED_AFTER or self._left_s() < pair_s):
                looks = self._looks(pairs, pair_s)
                self._of_pairs = looks.pairs[-1]
                family = Family(rules, looks)
            undecided = waiting if family is None else family.undecided
            waiting = [c for c in undecided if c not in self._failed]
            if family is not None and pairs == family.pairs_needed:
                family.look({case: self._log_ratios.get(case, ()) for case in waiting})
                waiting = [c for c in family.undecided if c not in self._failed]
            if not waiting:
                break
        return Measured(
            records={side: tuple(rows) for side, rows in self._records.items()},
            verdicts={
                case: judged
                for case, judged in ({} if family is None else family.verdicts).items()
                if case not in self._failed
            },
            failed=self._failed,
            left_out={case: _counted(why) for case, why in self._left_out.items()},
            modules=self._modules,
            pairs=pairs,
            length_s=time.monotonic() - begun_s,
        )

    def _left_s(self) -> float:
        """Of the budget, which began when the cases were collected."""
        return self._begun_s + self.budget_s - time.monotonic()

    def _looks(self, done: int, pair_s: float) -> Looks:
        """Those that the pairs so far and what is left have room for, at `pair_s` each."""
        pairs = done + math.floor(self._left_s() / pair_s)
        if pairs < FEWEST_PAIRS:
            needed_s = self.budget_s - self._left_s() + (FEWEST_PAIRS - done) * pair_s
            raise BadInputError(
                f"--budget {self.budget_s:.0f} s: a pair takes {pair_s:.0f} s; expected room for "
                f"{FEWEST_PAIRS} pairs, {math.ceil(needed_s)} s, or fewer cases (-k)"
            )
        return self.looks.within(pairs)

    def _pair(self, turn: Turn, cases: Sequence[str], at: Progress) -> None:
        """Both sides over the same cases."""
        rows: dict[str, dict[str, Record]] = {}
        for side in turn.order:
            self.tell(replace(at, running=side))
            ran = self.sides.run(
                side,
                turn.pair,
                cases,
                seed=turn.seed,
                untimed=turn.pair == 1,
                cpus=turn.cpus,
                timeout_s=max(self._left_s(), HANGS * self._longest_s.get(side, 0.0) or GRACE_S),
            )
            self._longest_s[side] = max(ran.length_s, self._longest_s.get(side, 0.0))
            self._check(side, ran)
            rows[side] = {record.case_id: self._noted(side, record) for record in ran.records}
        for side in (BASE, HEAD):
            self._records[side] += rows[side].values()
            self.files[side].put_all(tuple(rows[side].values()))
        for case in cases:
            self._take(case, {side: rows[side].get(case) for side in rows})
        self.tell(replace(at, pairs=turn.pair, running=""))

    def _noted(self, side: str, record: Record) -> Record:
        """With the commit of its side and the number of pairs.

        The process saw suites of the other side in its tree, and said `-dirty`. The number lets
        `traincost gate` take the same looks again.
        """
        commit = self.sides.trees.of(side).commit
        if commit is not None:
            record = replace(record, commit=commit[:COMMIT_DIGITS])
        return record if self._of_pairs is None else with_plan(record, self._of_pairs)

    def _take(self, case: str, rows: Mapping[str, Record | None]) -> None:
        """The log ratio of a pair, or why there is none."""
        times_s: dict[str, float] = {}
        for side in (BASE, HEAD):
            record = rows[side]
            status = "no row" if record is None else record.status
            if record is not None and status == Status.OK and record.time_median_s:
                times_s[side] = record.time_median_s
            elif status in LEFT_OUT:
                why = f"{side.upper()} {LEFT_OUT[Status(status)]}"
                self._left_out.setdefault(case, []).append(why)
            else:
                why = "" if record is None else f": {record.notes}"
                self._failed[case] = f"{side.upper()}: {status}{why}"
        if len(times_s) == 2:
            ratio = math.log(times_s[HEAD] / times_s[BASE])
            self._log_ratios.setdefault(case, []).append(ratio)

    def _check(self, side: str, ran: Ran) -> None:
        """Whether the side ran its own code."""
        if ran.report.outside:
            tree = self.sides.trees.of(side)
            module, file = next(iter(ran.report.outside.items()))
            more = len(ran.report.outside) - 1
            raise BadInputError(
                f"{side.upper()} ({tree.what}) imports {module} from {file}"
                + (f" and {more} more modules from outside" if more else "")
                + "; expected it from the side's own tree (an editable install or a path in the "
                "environment leads there; --prepare 'pip install -e .' gives each side its own)"
            )
        self._modules[side] |= ran.report.modules

    def _check_suspects(self, found: Mapping[str, Ran]) -> None:
        """Whether what differs ran at all, or something else of its name in its place."""
        base, head = (found[side].report for side in (BASE, HEAD))
        suspects = {**base.suspect, **head.suspect}
        if suspects and dict(base.modules) == dict(head.modules):
            module, file = next(iter(suspects.items()))
            raise BadInputError(
                f"both sides import {module} from {file}, nothing that ran differs between them, "
                f"and {module.partition('.')[0]!r} stands in the tree, too; expected each side to "
                "import its own (a src layout, a path in pytest's `pythonpath`, or --prepare)"
            )

    def _progress(
        self,
        pairs: int,
        cases: Sequence[str],
        waiting: Sequence[str],
        family: Family | None,
        begun_s: float,
    ) -> Progress:
        spent_s = time.monotonic() - begun_s
        of_pairs = self._of_pairs
        left_s = None if of_pairs is None else spent_s / pairs * (of_pairs - pairs)
        verdicts = {} if family is None else family.verdicts
        return Progress(pairs, of_pairs, len(waiting), len(cases), "", left_s, verdicts)


def _new(case_id: str, uncollected: Sequence[str]) -> str:
    """Why a case is on HEAD only; `uncollected` are suites that BASE's code does not fit."""
    suite = case_id.partition("/")[0]
    files = [file for file in uncollected if Path(file).stem.removeprefix("test_") == suite]
    return f"{ON_HEAD}: BASE's code does not fit {files[0]}" if files else ON_HEAD


def _counted(reasons: Sequence[str]) -> str:
    """Each reason with the number of pairs."""
    return ", ".join(f"{why} in {n} pairs" for why, n in Counter(reasons).most_common())


def result_files(folder: Path) -> dict[str, ResultFile]:
    """Where the rows of both sides go."""
    return {side: ResultFile(folder / f"{side}.csv") for side in (BASE, HEAD)}
