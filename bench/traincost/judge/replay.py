"""The looks of an A/B, taken again over the pairs that its files hold.

`traincost ab` fixes before it judges how many pairs there will be at most, and each look spends a
share of the error that depends on that number. So it is noted in the rows (`pair: one of at most
24`), and `traincost gate` on the files gives the verdicts that the A/B gave.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from traincost.data.errors import BadInputError
from traincost.data.record import Record, Status, notes_text
from traincost.judge.family import Family
from traincost.judge.policy import TIME
from traincost.judge.rule import Judged, Rule
from traincost.judge.sequential import Looks
from traincost.judge.sides import FAILING, Case, planned_pairs


@dataclass(frozen=True)
class Pairs:
    """The pairs of one case on one machine."""

    log_ratios: Mapping[int, float]  # by pair: log(head / base), where both sides were ok
    last: int  # the last pair that either side was run in
    failed_in: int | None  # the first pair that failed on a side


def with_plan(record: Record, most_pairs: int) -> Record:
    """A row of an A/B, with how many pairs it planned in `notes`."""
    note = notes_text({"pair": f"one of at most {most_pairs}"})
    return replace(record, notes="; ".join(filter(None, [record.notes, note])))


def most_pairs_of(records: Iterable[Record]) -> int | None:
    """How many pairs were planned; None where no row tells."""
    return next((n for n in map(planned_pairs, records) if n is not None), None)


def is_paired(case: Case) -> bool:
    """Whether all rows of both sides are of pairs."""
    return all(r.pair is not None for r in (*case.base, *case.head))


def pairs_of(case: Case, metric: str = TIME) -> Pairs:
    """The pairs of a case whose rows are of one machine. BadInputError if a pair is there twice."""
    sides = [_by_pair(case.case_id, rows) for rows in (case.base, case.head)]
    log_ratios: dict[int, float] = {}
    for pair in sorted(sides[0].keys() & sides[1].keys()):
        rows = [side[pair] for side in sides]
        values = [getattr(r, metric) for r in rows if r.status == Status.OK]
        if len(values) == 2 and None not in values:
            log_ratios[pair] = math.log(values[1] / values[0])
    failed = [p for side in sides for p, r in side.items() if r.status in FAILING]
    last = max((p for side in sides for p in side), default=0)
    return Pairs(log_ratios, last, min(failed, default=None))


def _by_pair(case_id: str, rows: Sequence[Record]) -> dict[int, Record]:
    found: dict[int, Record] = {}
    for row in rows:
        assert row.pair is not None  # `is_paired`
        if row.pair in found:
            raise BadInputError(
                f"case {case_id!r}, pair {row.pair}: runs {found[row.pair].run_id!r} and "
                f"{row.run_id!r} of one side; expected the files of one A/B"
            )
        found[row.pair] = row
    return found


def looks_for(planned: int | None, last: int) -> Looks:
    """The looks that were taken; where it isn't known, those of an A/B with all pairs."""
    looks = Looks()
    if planned is None:
        return looks if last <= looks.pairs[-1] else looks.within(last)
    return looks.within(planned)


def replay(
    pairs_by_case: Mapping[str, Pairs], rules: Mapping[str, Rule], looks: Looks
) -> dict[str, Judged]:
    """The verdict of every case that did not fail."""
    last = max((p.last for p in pairs_by_case.values()), default=0)
    family = Family({case: rules[case] for case in pairs_by_case}, looks)
    while family.undecided and family.pairs_needed <= last:
        n_pairs = family.pairs_needed
        running = [c for c in family.undecided if not _failed_by(pairs_by_case[c], n_pairs)]
        family.look({c: _up_to(pairs_by_case[c], n_pairs) for c in running})
    return {c: j for c, j in family.verdicts.items() if pairs_by_case[c].failed_in is None}


def _failed_by(pairs: Pairs, n_pairs: int) -> bool:
    return pairs.failed_in is not None and pairs.failed_in <= n_pairs


def _up_to(pairs: Pairs, n_pairs: int) -> list[float]:
    return [ratio for pair, ratio in pairs.log_ratios.items() if pair <= n_pairs]
