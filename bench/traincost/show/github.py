"""What GitHub Actions shows of a gate: annotations in the run, and the step's summary.

Annotations are workflow commands (`::error title=…::…`). The runner takes them from stderr as well
as from stdout (its ScriptHandler), so they go to stderr and leave the report alone. Names of cases
are written by whoever opened the pull request: they are escaped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from traincost.judge.gate import GateReport
from traincost.judge.line import INCONCLUSIVE, REGRESSION, CaseVerdict, Outcome

MOST = 10
"""GitHub shows ten errors and ten warnings of a step."""
UNDECIDED = (
    *(Outcome.INCONCLUSIVE, Outcome.NOT_COMPARABLE, Outcome.LEFT_OUT, Outcome.MISSING),
    Outcome.FAILED,
)
LARGEST_SUMMARY_BYTES = 2**20


def announce(report: GateReport, title: str, comment: str, environ: Mapping[str, str]) -> None:
    """Annotate the run and add to the step's summary."""
    for line in annotated(report, title):
        print(line, file=sys.stderr)
    summary = environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        fault = _append(Path(summary), comment)
        if fault is not None:
            print(command("warning", "traincost gate", fault), file=sys.stderr)


def annotated(report: GateReport, title: str) -> list[str]:
    """Errors for what ends the gate with 1, warnings for what is undecided or to be known."""
    errors = [line for line in report.verdicts if line.exit_code == REGRESSION]
    undecided = [line for line in report.verdicts if line.exit_code == INCONCLUSIVE]
    warnings = [*map(_named, undecided), *_passed_undecided(report.verdicts)]
    warnings += [("traincost gate", text) for text in report.warnings]
    return [
        *(command("error", *told) for told in _at_most(list(map(_named, errors)))),
        *(command("warning", *told) for told in _at_most(warnings)),
        command("notice", "traincost gate", title),
    ]


def _passed_undecided(lines: Iterable[CaseVerdict]) -> Iterable[tuple[str, str]]:
    """What passes without having been decided: one warning an outcome."""
    for outcome in UNDECIDED:
        passed = [v for v in lines if v.verdict == outcome and not v.exit_code]
        if passed:
            yield outcome, f"{len(passed)}, as {' '.join([passed[0].case_id, passed[0].metric])}"


def _named(line: CaseVerdict) -> tuple[str, str]:
    return f"{line.verdict}: {line.case_id}", " ".join([line.metric, line.reason]).strip()


def _at_most(told: Sequence[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    if len(told) <= MOST:
        return told
    return [
        *told[: MOST - 1],
        ("traincost gate", f"and {len(told) - MOST + 1} more: see the report"),
    ]


def command(name: str, title: str, message: str) -> str:
    """A workflow command, escaped as GitHub's own toolkit does."""
    escaped = _data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{name} title={escaped}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _append(file: Path, text: str) -> str | None:
    """Why it could not be added, or None."""
    added = text.encode("utf-8", "backslashreplace")
    try:
        size = file.stat().st_size if file.exists() else 0
        if size + len(added) > LARGEST_SUMMARY_BYTES:
            return f"{file}: no room for {len(added)} bytes; the summary lacks the gate's report"
        with file.open("ab") as f:
            f.write(added)
    except OSError as e:
        return f"{file}: {e}; the summary lacks the gate's report"
    return None
