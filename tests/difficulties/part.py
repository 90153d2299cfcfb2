"""A difficulty on the page: what was measured, what came out, a plot, the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

from traincost.show.tables import Cell, render


@dataclass(frozen=True)
class Part:
    """What stands between two marks of the page, and the picture in it."""

    name: str
    measured: str
    picture: str
    """The text of an SVG."""
    alt: str
    table: str
    answer: str

    @property
    def image(self) -> str:
        """The picture's file in docs/images."""
        return f"difficulty-{self.name}.svg"

    def text(self) -> str:
        """Markdown."""
        shown = f"![{self.alt}](images/{self.image})"
        answer = filled(f"**Answer:** {self.answer}")
        return "\n\n".join(
            (filled(f"**Measured:** {self.measured}"), shown, self.table.strip(), answer)
        )


def filled(text: str) -> str:
    """A paragraph in lines."""
    return fill(" ".join(text.split()), 100, break_long_words=False, break_on_hyphens=False)


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table in Markdown, all but its first column to the right."""
    return render(caption, heads, rows, "markdown", right=heads[1:])


def times(ratio: float) -> str:
    """`1.2x`, in two digits or more."""
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.2g}x"
