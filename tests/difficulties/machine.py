"""Which machine the reference run is of, and how far its times can be trusted."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence

from difficulties.part import filled
from difficulties.rows import SUITES, rows_of
from traincost.data.record import Record, Status

SEED, SEEDS = re.compile(r",?seed=\d+"), 3
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
        {_waited(rows)} Steps, losses, accuracies, FLOPs and bytes repeat whatever else runs. Times
        below are of a row's fastest step, which other work disturbs least. {_repeats(rows)} There
        is no energy: the machine does not count it.
    """)


def _repeats(rows: Sequence[Record]) -> str:
    """How far fastest steps of the same work lie apart: rows that differ in their seed only."""
    kinds: dict[str, list[float]] = {}
    for r in rows:
        if r.time_min_s is not None and r.suite != CHOOSES:
            kinds.setdefault(SEED.sub("", r.case_id), []).append(r.time_min_s)
    apart = sorted(max(s) / min(s) - 1 for s in kinds.values() if len(s) >= SEEDS)
    nine_of_ten = apart[int(0.9 * (len(apart) - 1))]
    return f"""
        Of the same work with {SEEDS} seeds the fastest steps lie {statistics.median(apart):.1%}
        apart in the median of {len(apart)} kinds of work, {nine_of_ten:.1%} at most in nine of ten,
        {apart[-1]:.0%} at worst: what differs by less than a tenth may be the same.
    """


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
