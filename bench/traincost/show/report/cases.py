"""Every case with its numbers and where they stand: what all marks lead to."""

from __future__ import annotations

from traincost.show.report.content import MOST_ROWS, Report, Section
from traincost.show.report.html import joined, tag
from traincost.show.report.points import short_case
from traincost.show.report.table import Cell, TableRow, places, table
from traincost.show.units import amount

TITLE = "All cases"
LEAD = (
    "Numbers are medians over the rows named at the end of each line, F being a file of the list"
    " below and the number its line."
)
_COLUMNS = (
    *(("time_median_s", "time", "s"), ("samples_per_s", "samples/s", ""), ("flops", "FLOPs", "")),
    *(("mfu", "MFU", "%"), ("step_peak_bytes", "step memory", "B")),
    *(("gpu_energy_j", "GPU energy", "J"), ("cpu_energy_j", "CPU energy", "J")),
    *(("steps_to_target", "steps to target", ""), ("loss_heldout", "held-out loss", "")),
)


def section(report: Report) -> Section:
    """The table, and the files."""
    points = report.points
    n = min(len(points.table), MOST_ROWS)
    values = [(points.of(column), unit) for column, _, unit in _COLUMNS]
    statuses, runs = points.table["status"].tolist(), points.table["runs"].tolist()
    rows = [
        TableRow(
            [
                tag("span", short_case(points.cases[g]), title=points.cases[g]),
                points.table["suite"].iloc[g],
                None
                if points.has_one_side()
                else points.side_name(int(points.data.groups.side[g])),
                Cell(statuses[g], None, None if statuses[g] == "ok" else "warn"),
                *(_number(float(v[g]), unit) for v, unit in values),
                places(points.places(g)),
                Cell(f"{runs[g]:,}", float(runs[g])),
            ],
            points.classes(g),
            f"case-{g}",
        )
        for g in range(n)
    ]
    heads = ("case", "suite", "machine", "status", *(t for _, t, _ in _COLUMNS), "row", "rows")
    left = len(points.table) - n
    more = (
        f"{left:,} more cases are in the figures only: give fewer files to see them here."
        if left
        else ""
    )
    right = (*(title for _, title, _ in _COLUMNS), "rows")
    all_cases = table(heads, rows, right=right, caption="All cases", more=more)
    return Section("cases", TITLE, LEAD, joined((all_cases, _files(report))))


def _number(value: float, unit: str) -> Cell:
    if value != value:
        return Cell(None)
    return Cell(f"{value:.1%}" if unit == "%" else amount(value, unit), value)


def _files(report: Report) -> object:
    import numpy as np

    points = report.points
    codes = points.frame["file"].cat.codes.to_numpy()
    counts = np.bincount(codes, minlength=len(points.files)).tolist()
    rows = [
        TableRow([f"F{i + 1}", file, Cell(f"{n:,}", float(n))], name=f"F{i + 1}")
        for i, (file, n) in enumerate(zip(points.files, counts, strict=True))
    ]
    return table(("file", "path", "rows"), rows, right=("rows",), caption="Files")
