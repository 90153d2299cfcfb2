"""How cases ended, and what rows say of what they could not measure."""

from __future__ import annotations

from traincost.data.record import Status
from traincost.show.report.content import Report, Section
from traincost.show.report.html import Html, joined
from traincost.show.report.points import short_case
from traincost.show.report.reasons import alike
from traincost.show.report.table import Cell, TableRow, places, table

TITLE = "Statuses and notes"
LEAD = "A case that fails is a row, not a hole; a number that could not be had has its reason."
_MOST_ROWS, _MOST_NOTES = 150, 80


def section(report: Report) -> Section:
    """Counts, every case that is not ok, and reasons by how often they stand in a row."""
    body = joined((_counts(report), _not_ok(report), _notes(report), _told(report)))
    return Section("statuses", TITLE, LEAD, body)


def _counts(report: Report) -> Html:
    import numpy as np

    points = report.points
    counts = points.data.groups.status_counts
    rows = [
        TableRow(
            [
                points.names[i],
                *(
                    Cell(f"{n:,}" if n else "", float(n))
                    for n in counts[points.data.groups.side == i].sum(axis=0).tolist()
                ),
                Cell(f"{int(np.sum(counts[points.data.groups.side == i])):,}"),
            ],
            f"d{i}",
        )
        for i in range(len(points.names))
    ]
    heads = ("machine", *(str(s) for s in Status), "rows")
    return table(heads, rows, right=heads[1:], caption="Rows by status")


def _not_ok(report: Report) -> Html:
    import numpy as np

    points = report.points
    found = np.flatnonzero(points.table["doubtful"].to_numpy()).tolist()
    if not found:
        return Html("")
    statuses = points.table["status"].tolist()
    order = list(map(str, Status))
    found.sort(key=lambda g: -order.index(statuses[g]))
    rows = [
        TableRow(
            [
                statuses[g],
                short_case(points.cases[g]),
                None
                if points.has_one_side()
                else points.side_name(int(points.data.groups.side[g])),
                _about(points.notes(g), statuses[g]),
                places(points.places(g)),
            ],
            points.classes(g),
        )
        for g in found[:_MOST_ROWS]
    ]
    left = len(found) - len(rows)
    more = f"{left:,} more are not ok." if left else ""
    heads = ("status", "case", "machine", "why", "row")
    return table(heads, rows, caption=f"Cases that are not ok: {len(found):,}", more=more)


def _about(notes: str, status: str) -> str:
    """The reason of the status first; energy that nobody can read is no reason."""
    reasons = [r for r in notes.split("; ") if r]
    main = [r for r in reasons if r.startswith(("status:", "time_median_s:", status))]
    return "; ".join(main or reasons)


def _notes(report: Report) -> Html:
    """Each reason once, whatever its numbers, with how many rows give it."""
    import numpy as np

    points = report.points
    cells = points.frame["notes"].cat
    counts = np.bincount(cells.codes.to_numpy() + 1, minlength=len(cells.categories) + 1)[1:]
    firsts: dict[str, int] = {}
    totals: dict[str, int] = {}
    for code in np.argsort(-counts)[:20_000].tolist():
        for reason in str(cells.categories[code]).split("; "):
            totals[reason] = totals.get(reason, 0) + int(counts[code])
            firsts.setdefault(reason, code)
    order = alike((r, totals[r], firsts[r]) for r in sorted(totals, key=lambda r: -totals[r]))
    codes, first_row = np.unique(cells.codes.to_numpy(), return_index=True)
    row_of = dict(zip(codes.tolist(), first_row.tolist(), strict=True))
    files = points.frame["file"].cat.codes.to_numpy()
    lines = points.frame["line"].to_numpy()
    rows: list[TableRow] = []
    for found in order[:_MOST_NOTES]:
        row = row_of[found.first]
        column, _, why = found.text.partition(": ")
        place = f"F{files[row] + 1}:{lines[row]}"
        rows.append(
            TableRow(
                [
                    Cell(f"{found.n_rows:,}", float(found.n_rows)),
                    column if why else None,
                    why or column,
                    places(place),
                ]
            )
        )
    left = len(order) - len(rows)
    heads = ("rows", "column", "reason", "first of them")
    more = f"{left:,} rarer ones are left out." if left else ""
    return (
        table(
            heads,
            rows,
            right=("rows",),
            long=("reason",),
            caption="What is not known, and why",
            more=more,
        )
        if rows
        else Html("")
    )


def _told(report: Report) -> Html:
    """What the comparison says to know, and what could not be compared."""
    rows = [TableRow([note]) for note in report.notes]
    rows += [
        TableRow([f"{u.case_id}: {u.reason}"])
        for u in (report.comparison.unmatched if report.comparison else ())
    ][:_MOST_ROWS]
    return table(("note",), rows, caption="What to know of the comparison") if rows else Html("")
