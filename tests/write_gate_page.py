"""Puts the real study's tables into docs/gate.md, from the CSV that lies beside it.

traincost calibrate --only real --format csv > docs/gate-real.csv
python tests/write_gate_page.py
"""

import csv
from pathlib import Path

from traincost.show.tables import render

DOCS = Path(__file__).parents[1] / "docs"
PAGE, NUMBERS = DOCS / "gate.md", DOCS / "gate-real.csv"
BEGIN, END = "<!-- real study: begin -->\n", "<!-- real study: end -->\n"
NONE = "\nNo study of a machine is published yet.\n\n"


def tables() -> str:
    """What stands between the two marks."""
    if not NUMBERS.exists():
        return NONE
    with NUMBERS.open(newline="") as file:
        columns, *rows = csv.reader(file)
    filled = [[cell or None for cell in row] for row in rows]
    return "\n" + render("", columns, filled, "markdown") + "\n"


def written(page: str) -> str:
    """The page with the tables of the CSV."""
    before, after = page.split(BEGIN)
    return f"{before}{BEGIN}{tables()}{END}{after.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
