"""Tables of the page: sorted by a click on their heads, and wide ones scroll by themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from traincost.show.report.html import Child, Html, joined, tag


@dataclass(frozen=True)
class Cell:
    """What is shown, and the number to sort by."""

    shown: Child
    value: float | None = None
    class_: str | None = None


@dataclass(frozen=True)
class TableRow:
    """The cells of a row; `classes` let filters hide it, `name` lets marks lead to it."""

    cells: Sequence[Cell | str | Html | None]
    classes: str | None = None
    name: str | None = None


def table(
    heads: Sequence[str],
    rows: Sequence[TableRow],
    *,
    right: Collection[str] = (),
    long: Collection[str] = (),
    caption: str = "",
    more: str = "",
) -> Html:
    """A table, without columns in which nothing stands; `more` says what is left out.

    Columns of numbers stand to the right, those of sentences have room for them.
    """
    sides = {h: "r" if h in right else "long" if h in long else None for h in heads}
    kept = [i for i in range(len(heads)) if any(_is_filled(row.cells[i]) for row in rows)]
    head = tag(
        "tr",
        *(
            tag(
                "th",
                tag("button", heads[i], type="button"),
                scope="col",
                class_=sides[heads[i]],
            )
            for i in kept
        ),
    )
    body = [
        tag(
            "tr",
            *(_cell(row.cells[i], sides[heads[i]]) for i in kept),
            class_=row.classes,
            id=row.name,
        )
        for row in rows
    ]
    inside = tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", head),
        tag("tbody", joined(body)),
    )
    scrolled = tag("div", inside, class_="scroll", tabindex="0", role="region", aria_label=caption)
    return joined((scrolled, tag("p", more, class_="more") if more else None))


def _is_filled(cell: Cell | str | Html | None) -> bool:
    return bool(cell.shown if isinstance(cell, Cell) else cell)


def _cell(cell: Cell | str | Html | None, side: str | None) -> Html:
    if not isinstance(cell, Cell):
        return tag("td", cell, class_=side)
    classes = " ".join(filter(None, (side, cell.class_))) or None
    value = None if cell.value is None else f"{cell.value:.6g}"
    return tag("td", cell.shown, class_=classes, data_v=value)


def places(text: str) -> Html:
    """`F1:2, F2:2`, each a way to its file in the list of files."""
    parts: list[Child] = []
    for i, place in enumerate(text.split(", ")):
        before, _, name = place.rpartition(" ")
        before = f"{before} " if before else ""
        file, colon, _ = name.partition(":")
        link = tag("a", name, href=f"#{file}") if colon else name
        parts += [", " if i else None, before, link]
    return tag("span", *parts, class_="place")
