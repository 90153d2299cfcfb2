"""What the gate says, in every format: what ends it first, then the rest, then what to know.

Programs get every line, people those that are more than "equal".
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from traincost.data.errors import BadInputError
from traincost.data.outputs import Output, write_output
from traincost.judge.gate import GateReport
from traincost.judge.line import (
    BAD_INPUT,
    HELD,
    INCONCLUSIVE,
    ORDER,
    REGRESSION,
    CaseVerdict,
    Outcome,
)
from traincost.judge.policy import STATISTICAL
from traincost.show import github
from traincost.show.junit import junit_xml
from traincost.show.log import defused, for_log, is_running, printable
from traincost.show.tables import Format, Row, code_span, render
from traincost.show.units import amount

COLUMNS = (
    *("case_id", "metric", "verdict", "exit_code", "required", "base", "head"),
    *("estimate_rel", "lower_rel", "upper_rel", "n", "reason"),
)
FOR_PEOPLE = ("section", "ends with", "case", "metric", "what")
RESULT = {
    HELD: "passed",
    REGRESSION: "failed",
    BAD_INPUT: "nothing to gate",
    INCONCLUSIVE: "inconclusive",
}
MARKER = "<!-- traincost gate -->"
"""So that a bot finds its own comment and replaces it."""
LONGEST_COMMENT = 30_000
"""GitHub refuses a comment of 65,536 characters; two reports fit into one."""
MOST_NOTES = 20


def write(
    report: GateReport, options: argparse.Namespace, environ: Mapping[str, str] = os.environ
) -> int:
    """Print the report, write the files that were asked for, and tell GitHub where it runs there.

    `options` has `format`, `junit` and `markdown`. Returns the exit code: that of the verdict, and
    where this is 0 and a file could not be written after all, 2.
    """
    running = is_running(environ)
    shown = defused if running else str
    with suppress(BrokenPipeError):  # the verdict is the exit code, whoever reads
        print(shown(gate_text(report, options.format)), end="", flush=True)
    if options.format in ("csv", "json"):
        print(shown("\n".join([headline(report), *note_lines(report)])), file=sys.stderr)
    if running:
        github.announce(report, headline(report), comment(report), environ)
    faults = [_fault(output, text(report)) for output, text in files_of(options)]
    for fault in filter(None, faults):
        print(for_log(printable(fault), environ), file=sys.stderr)
    return report.exit_code or (BAD_INPUT if any(faults) else HELD)


def files_of(options: argparse.Namespace) -> list[tuple[Output, Callable[[GateReport], str]]]:
    """The files that were asked for, and what goes into each."""
    known = (("--junit", options.junit, junit_xml), ("--markdown", options.markdown, comment))
    return [(Output(option, path), text) for option, path, text in known if path is not None]


def _fault(output: Output, text: str) -> str | None:
    try:
        write_output(output, text)
    except BadInputError as e:
        return f"{e}; the verdict stands"
    return None


def gate_text(report: GateReport, fmt: Format) -> str:
    """The report in one of the formats of every verb."""
    if fmt in ("csv", "json"):
        return render(headline(report), COLUMNS, [_row(v) for v in report.verdicts], fmt)
    if fmt == "markdown":
        return comment(report)
    rows = [
        (line.verdict, line.exit_code or None, line.case_id, line.metric or None, what(line))
        for line in _for_people(report)
    ]
    table = render("", FOR_PEOPLE, rows, fmt) if rows else ""
    return "\n".join(filter(None, [table, *note_lines(report), headline(report)])) + "\n"


def headline(report: GateReport) -> str:
    """`gate: failed (1 regression, 2 grew, 30 held, 412 equal)`."""
    count = Counter(line.verdict for line in report.verdicts)
    parts = ", ".join(f"{count[o]} {o}" for o in ORDER if count[o])
    return f"gate: {RESULT[report.exit_code]} ({parts or 'no case'})"


def what(line: CaseVerdict) -> str:
    """The reason, with the values where the reason doesn't name them."""
    if line.metric not in STATISTICAL or line.base is None or line.head is None:
        return line.reason
    unit = {"s": "s", "j": "J", "bytes": "B"}[line.metric.rpartition("_")[2]]
    effect = "" if line.verdict != Outcome.NOT_GATED else f"{_effect(line.estimate_rel)}; "
    return f"{amount(line.base, unit)} → {amount(line.head, unit)}: {effect}{line.reason}"


def _effect(rel: float | None) -> str:
    return "?" if rel is None else f"{rel:+.1%}"


def note_lines(report: GateReport) -> list[str]:
    """What to know beside the verdicts."""
    apart = [f"BASE and HEAD differ in {d}" for d in report.differences]
    named = {line.case_id for line in report.verdicts if line.verdict == Outcome.LEFT_OUT}
    others = [line for line in report.left_out if line.rpartition(": ")[0] not in named]
    left_out = [f"left out: {line}" for line in _some(others)]
    return [*apart, *left_out, *(f"note: {line}" for line in _some(report.warnings))]


def _some(lines: Sequence[str]) -> Sequence[str]:
    more = len(lines) - MOST_NOTES
    return lines if more <= 0 else (*lines[:MOST_NOTES], f"… and {more} more")


def _for_people(report: GateReport) -> list[CaseVerdict]:
    """Without what is equal; one outcome after the other, what ends the gate first in each."""
    shown = [line for line in report.verdicts if line.verdict != Outcome.EQUAL]
    return sorted(shown, key=lambda line: (ORDER.index(Outcome(line.verdict)), -line.exit_code))


def _row(line: CaseVerdict) -> Row:
    cells = (getattr(line, column) for column in COLUMNS)
    return tuple(str(c) if isinstance(c, Outcome) else c for c in cells)


def comment(report: GateReport) -> str:
    """Markdown for a pull request: what ends the gate in sight, the rest folded away."""
    lines = _for_people(report)
    ending = [line for line in lines if line.exit_code]
    rest = [line for line in lines if not line.exit_code]
    parts = [MARKER, f"**{headline(report)}**", ""]
    if ending:
        parts += [_markdown(ending)]
    if notes := note_lines(report):
        parts += [*(f"- {code_span(note)}" for note in notes), ""]
    head = "\n".join(parts)
    folded = f"<details><summary>{len(rest)} more</summary>\n\n{_markdown(rest)}\n</details>\n"
    whole = head + ("\n" + folded if rest else "")
    if len(whole) <= LONGEST_COMMENT:
        return whole
    return _cut(head) + f"\n{len(rest)} lines that pass are left out here.\n"


def _cut(text: str) -> str:
    """Whole lines only."""
    if len(text) <= LONGEST_COMMENT - 200:
        return text
    kept = text[: LONGEST_COMMENT - 200].rpartition("\n")[0]
    return f"{kept}\n\n… {text.count(chr(10)) - kept.count(chr(10))} more lines\n"


def _markdown(lines: Sequence[CaseVerdict]) -> str:
    rows = [
        (line.verdict, code_span(line.case_id), line.metric and code_span(line.metric), _span(line))
        for line in lines
    ]
    table = render("", ("verdict", "case", "metric", "what"), rows, "markdown")
    return table.partition("\n\n")[2]  # without the title


def _span(line: CaseVerdict) -> str:
    return code_span(what(line))
