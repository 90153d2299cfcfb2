"""Cases that an A/B met on one side only: rows without numbers, so that its files say it, too.

Such a row is `unavailable`, its `pair` is empty, and its note says why: `pair: on HEAD only`. Of
these a case is *new*, where BASE has neither it nor its suite; *missing* where HEAD hasn't got it;
and *not compared* where its suite stands on BASE, too, and BASE's code does not fit HEAD's version
of it. The last says nothing about HEAD, so it can't let a required case pass.
"""

from __future__ import annotations

from dataclasses import replace

from traincost.data.record import Record, Status, notes_text
from traincost.judge.sides import Case, note_of

ON_BASE, ON_HEAD, NOT_COMPARED = "on BASE only", "on HEAD only", "not compared"
"""How a reason begins."""
_WHO = ("run_id", "started_at", "device")
_MACHINE = (
    *("machine_id", "host", "cpu", "gpu", "gpu_uuid", "driver", "cuda", "torch", "triton"),
    *("python", "threads", "commit"),
)


def alone_row(case_id: str, why: str, of_run: Record) -> Record:
    """The row of such a case, in the run of a row of its side."""
    row = Record(
        suite=case_id.partition("/")[0],
        case_id=case_id,
        status=Status.UNAVAILABLE,
        notes=notes_text({"pair": why}),
        run_id=of_run.run_id,
        started_at=of_run.started_at,
    )
    return replace(row, **{name: getattr(of_run, name) for name in (*_WHO, *_MACHINE)})


def why_alone(case: Case) -> str | None:
    """Why an A/B did not run a case; None where it did, or where no A/B tells."""
    reasons: list[str | None] = []
    for row in (*case.base, *case.head):
        told = note_of(row, "pair") if row.status == Status.UNAVAILABLE else None
        reasons.append(told if told and told.startswith((ON_BASE, ON_HEAD, NOT_COMPARED)) else None)
    return None if None in reasons else reasons[-1]
