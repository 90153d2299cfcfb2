"""Puts what the reference run says into docs/difficulties.md, with its plots.

results/README.md says how the run is repeated. Then:
python tests/write_difficulties_page.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

from difficulties import (  # noqa: E402
    computation,
    data,
    exploding,
    machine,
    rate,
    surface,
    tuning,
    vanishing,
)
from difficulties.part import Part  # noqa: E402

PAGE, IMAGES = ROOT / "docs" / "difficulties.md", ROOT / "docs" / "images"
PARTS: tuple[Callable[[], Part], ...] = (
    *(vanishing.part, exploding.part, surface.part, rate.part),
    *(computation.part, data.part, tuning.part),
)
"""In the order of the page."""


def blocks(parts: Iterable[Part]) -> Mapping[str, str]:
    """What stands between the marks of a name."""
    return {"machine": machine.text(), **{part.name: part.text() for part in parts}}


def written(page: str, texts: Mapping[str, str]) -> str:
    """The page with each text between its two marks."""
    for name, text in texts.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, after = page.split(begin)
        page = f"{before}{begin}\n{text}\n\n{end}{after.split(end)[1]}"
    return page


if __name__ == "__main__":
    parts = [make() for make in PARTS]
    PAGE.write_text(written(PAGE.read_text(), blocks(parts)))
    for part in parts:
        (IMAGES / part.image).write_text(part.picture)
