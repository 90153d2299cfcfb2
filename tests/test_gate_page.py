"""The figures of docs/gate.md are those of the study's output that lies beside it."""

import csv
import re

import pytest
from project import ROOT
from write_gate_page import written

from traincost.judge.noise import SHAPES
from traincost.judge.plans import plan
from traincost.show.study import COLUMNS

PAGE = (ROOT / "docs/gate.md").read_text()
CELLS = re.compile(r"^\| (.+) \|$", re.M)


def study() -> list[dict[str, str]]:
    """The lines of the committed study."""
    with (ROOT / "docs/gate-simulation.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def tables() -> list[tuple[list[str], list[str]]]:
    """Header and cells of every row of the page's tables of simulated suites."""
    found: list[tuple[list[str], list[str]]] = []
    simulated = PAGE.split("## Simulated")[1].split("## Real")[0]
    for block in re.findall(r"(?:^\|.*\|\n)+", simulated, re.M):
        header, *rows = [line.split(" | ") for line in CELLS.findall(block)]
        if len(header) > 2:
            found += [(header, row) for row in rows]
    return found


def test_every_row_of_the_page_is_a_line_of_the_study() -> None:
    lines = study()
    assert lines and tuple(lines[0]) == COLUMNS
    rows = tables()
    assert len(rows) > 100
    for header, row in rows:
        named = {name: cell for name, cell in zip(header, row, strict=True) if name in COLUMNS}
        assert any(named.items() <= line.items() for line in lines), row


def test_every_share_that_the_text_cites_stands_in_the_study() -> None:
    shares = {cell for line in study() for cell in line.values() if "[" in cell}
    cited = re.findall(r"\d[\d.]* \[[\d.]+, [\d.]+\]", PAGE.split("## Weak spots")[1])
    assert cited
    assert set(cited) <= shares


def test_the_page_shows_the_real_study_that_lies_beside_it() -> None:
    assert written(PAGE) == PAGE


def test_the_study_has_every_line_that_the_command_would_print() -> None:
    full, lines = plan(full=True), study()
    for heading, setting, n_suites in full.settings:
        of_setting = [
            line
            for line in lines
            if line["section"] == heading
            and line["noise"] == setting.shape
            and line["sd"] == f"{setting.sd_rel:.1%}"
        ]
        assert [line["suites"] for line in of_setting] == [str(n_suites)], (heading, setting)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_promised_is_in_the_study(shape: str) -> None:
    for line in study():
        if line["noise"] != shape or not line["section"].endswith(("one case +5%", "one case +3%")):
            continue
        if line["rule"] or line["section"].startswith("files"):
            continue
        if float(line["sd"].rstrip("%")) <= 2:
            assert float(line["false alarms"].split()[0]) <= 1, line
        if shape in ("few-bimodal", "one-noisy") or line["sd"] != "1.0%":
            continue
        if line["section"] == "30 cases, --fail-if-slower 5%, one case +5%":
            assert float(line["called"].split()[0]) >= 99, line
            assert float(line["pass whole"].split()[0]) >= 97, line
            assert float(line["cost"]) <= 0.5, line
        if line["section"] == "30 cases, --fail-if-slower 3%, one case +3%":
            assert float(line["called"].split()[0]) >= 90, line
