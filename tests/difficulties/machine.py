"""Which machine the reference run is of, and how far its times can be trusted."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence

from difficulties import tuning
from difficulties.part import filled
from difficulties.rows import SUITES, fastest_s, is_timed, rows_of
from traincost.data.record import Record, Status

SAME_WORK = re.compile(r",?\b(seed|rate)=[^,\]]+")
"""Axes that change the numbers and not the work."""
CHOOSES = "tuning"
"""Its rows are of the configuration that each seed found, not of the same work."""
WAITED = re.compile(r"threads waited for a CPU (\d+)% of the time")


def text() -> str:
    """Markdown: the machine, and the statuses of all rows."""
    rows = [r for suite in SUITES for r in rows_of(suite)]
    (cpu,), threads = {r.cpu for r in rows}, {r.threads for r in rows}
    assert threads == {1}
    (torch,), (python,) = {r.torch for r in rows}, {r.python for r in rows}
    commits = ", ".join(sorted({str(r.commit) for r in rows}))
    assert {r.device for r in rows if r.device} == {"cpu"}
    seen = Counter(r.status for r in rows)
    told = [f"{seen[s]:,} `{s}`" for s in Status if seen[s]]
    return filled(f"""
        Measured on one thread of an {cpu} (a virtual machine; torch {torch}, Python {python},
        commit {commits}), profile `standard`: {len(rows):,} rows, of which {", ".join(told)}.
        {_waited(rows)} Steps, losses, accuracies, FLOPs and bytes repeat whatever else
        runs{_but_for(rows)}. Times below are of a row's fastest step, which other work disturbs
        least. {_repeats(rows)} There is no energy: the machine does not count it.
    """)


def apart(rows: Sequence[Record]) -> list[float]:
    """How far fastest steps of the same work lie apart, from the least to the most; 0.1 is 10%.

    Of the same work are rows that differ in their seed or their rate only.
    """
    kinds: dict[str, list[float]] = {}
    for r in rows:
        if is_timed(r) and r.suite != CHOOSES:
            kinds.setdefault(SAME_WORK.sub("", r.case_id), []).append(fastest_s(r))
    return sorted(max(s) / min(s) - 1 for s in kinds.values() if len(s) > 1)


def noise() -> float:
    """What two rows of the reference run differ by at most that are of the same work."""
    return apart([r for suite in SUITES for r in rows_of(suite)])[-1]


def _repeats(rows: Sequence[Record]) -> str:
    found = apart(rows)
    nine_of_ten = found[int(0.9 * (len(found) - 1))]
    return f"""
        Of the same work, at other seeds or rates, the fastest steps lie
        {statistics.median(found):.1%} apart in the median of {len(found)} kinds of work,
        {nine_of_ten:.1%} at most in nine of ten, {found[-1]:.0%} at worst: rows that differ by less
        than that may be the same.
    """


def _but_for(rows: Sequence[Record]) -> str:
    """Rows that the machine had a part in."""
    found = len(tuning.timed_out(rows))
    return f", but for {found} of the searches for a tuning, ended by a limit of time" * (found > 0)


def _waited(rows: Sequence[Record]) -> str:
    shares = [int(m[1]) for r in rows if (m := WAITED.search(r.notes or ""))]
    assert not any(r.cpu_energy_j for r in rows)
    if not shares:
        return "No row's threads had to wait for a CPU."
    return f"""
        The machine had other work: in {len(shares):,} rows the threads waited for a CPU, for
        {statistics.median(shares):.0f}% of the time in the median of them, for which most of these
        are `unstable`.
    """
