"""The A/B itself: pairs of fresh processes, looked at on the way, until every case is decided.

Each pair is one process a side, one after the other, over all undecided cases. The number of pairs
is fixed by the budget after the second one, before anything is judged: the first counts, too, and
takes longer than any other. Where the machine becomes slower on the way, no pair is begun that
would end after the budget: the looks that were planned stay as they are, and the last ones are not
taken. A process that hangs is killed.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from traincost.ab.collected import (
    Collected,
    cases_alone,
    check_own_code,
    check_suspects,
    common_cases,
    untold,
)
from traincost.ab.process import Ran, Sides
from traincost.ab.schedule import CASE_S, Turn, estimate, turns
from traincost.ab.trees import BASE, HEAD
from traincost.data.errors import BadInputError
from traincost.data.record import Record, Status
from traincost.data.results import ResultFile
from traincost.judge.alone import ON_BASE, alone_row
from traincost.judge.family import Family
from traincost.judge.replay import with_plan
from traincost.judge.rule import Judged, Rule
from traincost.judge.sequential import Looks

LEFT_OUT = {Status.THROTTLED: "was throttled", Status.UNSTABLE: "waited for a CPU"}
"""Rows whose pair is not used: in a process that is one of many, `unstable` means waiting."""
FEWEST_PAIRS = 4
COMMIT_DIGITS = 12
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
    _alone: Mapping[str, str] = field(default_factory=dict[str, str], init=False)
    _family: Family | None = field(default=None, init=False)
    _of_pairs: int | None = field(default=None, init=False)
    _begun_s: float = field(default_factory=time.monotonic, init=False)
    _longest_s: dict[str, float] = field(default_factory=dict[str, float], init=False)

    def __post_init__(self) -> None:
        self._records, self._modules = {BASE: [], HEAD: []}, {BASE: {}, HEAD: {}}
        self._log_ratios, self._failed, self._left_out = {}, {}, {}

    def collect(self) -> Collected:
        """Cases of both sides, those of one side only, and what the budget has room for."""
        self._begun_s = time.monotonic()
        found = {
            side: self.sides.collect(side, max(self._left_s(), GRACE_S)) for side in (HEAD, BASE)
        }
        for side, ran in found.items():
            self._keep_modules(side, ran)
        cases = common_cases(found)
        check_suspects(found)
        others = bool(self.sides.trees.own)
        own = self.sides.collect_own(max(self._left_s(), GRACE_S)) if others else None
        self._alone = cases_alone(found, self.sides.trees, own)
        pair_s = sum(ran.length_s for ran in found.values()) + 2 * CASE_S * len(cases)
        left_s = self._left_s()
        expected = estimate(len(cases), pair_s, left_s, self.budget_s - left_s)
        unfit = found[BASE].report.uncollected
        return Collected(cases, self._alone, unfit, expected, untold(own) if others else ())

    def measure(self, rules: Mapping[str, Rule]) -> Measured:
        """Pairs until every case is decided, by its own rule, or the budget ends."""
        begun_s = time.monotonic()
        waiting = list(rules)
        pairs, pair_s = 0, 0.0
        for turn in turns(self.cpus, self.sides.threads, self.rng):
            if pairs and self._left_s() < pair_s:
                break
            pair_begun_s = time.monotonic()
            self._pair(turn, waiting, self._progress(pairs, len(rules), len(waiting), begun_s))
            pairs, pair_s = turn.pair, time.monotonic() - pair_begun_s
            if pairs == 1:
                self._put_alone()
                rules = {c: r for c, r in rules.items() if c not in self._failed}
            waiting = self._judge(rules, waiting, pairs, pair_s)
            if not waiting:
                break
        return self._measured(pairs, time.monotonic() - begun_s)

    def _judge(
        self, rules: Mapping[str, Rule], waiting: Sequence[str], pairs: int, pair_s: float
    ) -> list[str]:
        """Plan the looks when it is time, look when one is due; the cases that go on."""
        if self._family is None and (pairs == PLANNED_AFTER or self._left_s() < pair_s):
            looks = self._looks(pairs, pair_s)
            self._of_pairs = looks.pairs[-1]
            self._family = Family(rules, looks)
        going = [c for c in waiting if c not in self._failed]
        if self._family is None:
            return going
        if pairs == self._family.pairs_needed:
            self._family.look({case: self._log_ratios.get(case, ()) for case in going})
        return [c for c in self._family.undecided if c not in self._failed]

    def _measured(self, pairs: int, length_s: float) -> Measured:
        verdicts = {} if self._family is None else self._family.verdicts
        return Measured(
            records={side: tuple(rows) for side, rows in self._records.items()},
            verdicts={c: judged for c, judged in verdicts.items() if c not in self._failed},
            failed=self._failed,
            left_out={case: _counted(why) for case, why in self._left_out.items()},
            modules=self._modules,
            pairs=pairs,
            length_s=length_s,
        )

    def _put_alone(self) -> None:
        """Rows of the cases of one side, so that `traincost gate` on the files says it, too."""
        for side, found in self._records.items():
            mine = [
                c for c, why in self._alone.items() if (side == BASE) == why.startswith(ON_BASE)
            ]
            rows = tuple(alone_row(c, self._alone[c], found[0]) for c in mine if found)
            self._records[side] += rows
            self.files[side].put_all(rows)

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
            self._keep_modules(side, ran)
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

    def _keep_modules(self, side: str, ran: Ran) -> None:
        """What ran, after whether it is the side's own."""
        check_own_code(self.sides.trees.of(side), ran)
        self._modules[side] |= ran.report.modules

    def _progress(self, pairs: int, cases: int, waiting: int, begun_s: float) -> Progress:
        spent_s = time.monotonic() - begun_s
        of_pairs = self._of_pairs
        left_s = None if of_pairs is None else spent_s / pairs * (of_pairs - pairs)
        verdicts = {} if self._family is None else self._family.verdicts
        return Progress(pairs, of_pairs, waiting, cases, "", left_s, verdicts)


def _counted(reasons: Sequence[str]) -> str:
    """Each reason with the number of pairs."""
    return ", ".join(f"{why} in {n} pairs" for why, n in Counter(reasons).most_common())


def result_files(folder: Path) -> dict[str, ResultFile]:
    """Where the rows of both sides go."""
    return {side: ResultFile(folder / f"{side}.csv") for side in (BASE, HEAD)}
