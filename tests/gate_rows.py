"""Rows as runs would leave them, for tests of the gate: one line of arguments a run."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from traincost.data.record import Record
from traincost.judge.gate import CaseVerdict, GateReport
from traincost.judge.policy import Policy

Rows = Callable[[str, Sequence[float]], list[Record]]
REQUIRED = Policy(required=("batch/*",))
FAILING = ("error", "oom", "invalid", "diverged")

ROW = Record(
    run_id="run",
    started_at="2026-11-24T12:00:00+00:00",
    suite="batch",
    case_id="batch/step",
    workload="0123456789ab",
    time_median_s=1e-3,
    aten_ops=31,
    flops=1000,
    flops_convention="dense 2mnk",
    step_peak_bytes=4096,
    machine_id="m1",
    host="box",
    cpu="a CPU",
    torch="2.13.0",
    triton="3.7.1",
    python="3.13.1",
    threads=1,
)

SLOWER = (1e-3, 1.001e-3, 0.999e-3, 1.002e-3, 0.998e-3, 1.0005e-3)
"""Times of six runs, 0.15% apart."""


def row(run_id: str, **columns: Any) -> Record:
    """One row; `suite` comes from the case id."""
    case_id = str(columns.get("case_id", ROW.case_id))
    return replace(ROW, run_id=run_id, suite=case_id.partition("/")[0], **columns)


def changed(record: Record, **columns: Any) -> Record:
    """The row with other columns."""
    return replace(record, **columns)


def runs(side: str, times_s: Sequence[float], **columns: Any) -> list[Record]:
    """One run for each time."""
    return [row(f"{side}{i}", time_median_s=t, **columns) for i, t in enumerate(times_s)]


def pairs(side: str, times_s: Sequence[float], **columns: Any) -> list[Record]:
    """One run for each time, numbered as an A/B does it, from 1."""
    return [row(f"{side}{i}", time_median_s=t, pair=i, **columns) for i, t in enumerate(times_s, 1)]


def line(report: GateReport, metric: str = "", case_id: str = ROW.case_id) -> CaseVerdict:
    """The one line of a case and metric."""
    (found,) = (v for v in report.verdicts if (v.case_id, v.metric) == (case_id, metric))
    return found


def slower(share: float) -> list[float]:
    """`SLOWER`, and by this share."""
    return [t * (1 + share) for t in SLOWER]


def noisy(share: float, n: int, seed: int) -> list[float]:
    """Times of n runs, 1% apart, and slower by this share."""
    rng = random.Random(seed)
    return [1e-3 * (1 + share) * (1 + rng.gauss(0, 0.01)) for _ in range(n)]
