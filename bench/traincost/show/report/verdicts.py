"""What the gate says of a base and a head, with the intervals that it rests on."""

from __future__ import annotations

from collections import Counter

from traincost.judge.gate import GateReport
from traincost.judge.line import ORDER, CaseVerdict, Outcome
from traincost.show.gate import headline, note_lines, what
from traincost.show.report.content import Report, Section, caption, nothing
from traincost.show.report.html import Html, joined, tag
from traincost.show.report.marks import Key, Mark
from traincost.show.report.plot import Axis, Figure
from traincost.show.report.points import short_case, short_cases
from traincost.show.report.rows_plot import Row, rows_svg
from traincost.show.report.table import Cell, TableRow, places, table

TITLE = "Gate"
LEAD = (
    "Did the change from base to head cost something? A verdict needs one machine and several runs;"
    " the same as traincost gate BASE HEAD says."
)
_BAD = (Outcome.REGRESSION, Outcome.GREW, Outcome.FAILED, Outcome.MISSING)
_UNSURE = (Outcome.INCONCLUSIVE, Outcome.NOT_COMPARABLE, Outcome.LEFT_OUT)
_MOST_ROWS, _MOST_TABLE_ROWS = 30, 300
_STYLES = ((_BAD, 1, "worse"), (_UNSURE, 7, "not decided"), (tuple(Outcome), 2, "held or better"))


def section(report: Report) -> Section:
    """Headline, intervals, and every verdict but the equal ones."""
    gate = report.gate
    if gate is None:
        return nothing("gate", TITLE, LEAD, report.why_no_gate)
    lines = [v for v in gate.verdicts if v.estimate_rel is not None and v.verdict != Outcome.EQUAL]
    names, shared = short_cases([line.case_id for line in lines[:_MOST_ROWS]])
    rows = [_row(line, names[line.case_id]) for line in lines[:_MOST_ROWS]]
    left = len(lines) - len(rows)
    figure = Figure(
        "gate",
        "Slow-down of head against base",
        lambda width: rows_svg(
            width,
            rows,
            Axis("head over base", plain=True),
            "Verdicts of the gate with intervals",
            keys=[Key(name, style) for _, style, name in _STYLES],
            rule=1.0,
            sides=("less", "more"),
        ),
        caption(
            f"All of them: {shared}." if shared else "",
            f"{left:,} more are in the table." if left > 0 else "",
        ),
    )
    body = _table(report, gate)
    return Section("gate", TITLE, LEAD, body, (figure,) if rows else (), _head(gate))


def _head(gate: GateReport) -> Html:
    kind = {0: "good", 1: "bad"}.get(gate.exit_code, "unsure")
    notes = [tag("li", note) for note in note_lines(gate)]
    return joined(
        (
            tag("p", headline(gate), class_=f"verdict {kind}"),
            tag("ul", joined(notes), class_="notes") if notes else None,
        )
    )


def _style(line: CaseVerdict) -> int:
    return next(style for outcomes, style, _ in _STYLES if line.verdict in outcomes)


def _row(line: CaseVerdict, name: str) -> Row:
    low, high = (None if r is None else 1 + r for r in (line.lower_rel, line.upper_rel))
    at = 1 + (line.estimate_rel or 0.0)
    label = f"{line.case_id}\n{line.metric}: {line.verdict}\n{what(line)}"
    low = at if low is None and high is not None else low
    high = at if high is None and low is not None else high
    mark = Mark(at, 0.0, label, _style(line), low=low, high=high)
    return Row(
        f"{name} · {line.metric}",
        [mark],
        value=f"{line.estimate_rel or 0:+.1%} {line.verdict}"[:18],
    )


def _table(report: Report, gate: GateReport) -> Html:
    behind = _behind(report)
    shown = [v for v in gate.verdicts if v.verdict != Outcome.EQUAL]
    equal = Counter(v.verdict for v in gate.verdicts)[Outcome.EQUAL]
    rows: list[TableRow] = []
    for line in shown[:_MOST_TABLE_ROWS]:
        bad = "bad" if line.verdict in _BAD else None
        ends = [None if r is None else f"{r:+.1%}" for r in (line.lower_rel, line.upper_rel)]
        interval = f"{ends[0] or '?'} to {ends[1] or '?'}" if any(ends) else ""
        effect = line.estimate_rel
        rows.append(
            TableRow(
                [
                    Cell(str(line.verdict), float(ORDER.index(Outcome(line.verdict))), bad),
                    tag("span", short_case(line.case_id), title=line.case_id),
                    line.metric,
                    Cell("" if effect is None else f"{effect:+.1%}", effect),
                    interval,
                    "" if line.n is None else f"{line.n}",
                    what(line),
                    places(behind.get(line.case_id, "")),
                ]
            )
        )
    left = len(shown) - len(rows)
    more = f"{left:,} more: traincost gate --format csv has them. " if left else ""
    more += f"{equal:,} exact metrics are equal and not listed." if equal else ""
    heads = ("verdict", "case", "metric", "effect", "bounds", "runs", "why", "rows")
    return table(heads, rows, right=("effect", "runs"), caption="Verdicts", more=more)


def _behind(report: Report) -> dict[str, str]:
    """The places of every case, of both sides."""
    found: dict[str, list[str]] = {}
    for group, case in enumerate(report.points.cases):
        found.setdefault(case, []).append(report.points.places(group))
    return {case: ", ".join(both) for case, both in found.items()}
