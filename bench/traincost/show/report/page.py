"""The page: all sections, filters and what makes them work, in one file that fetches nothing.

A content security policy lets no script run but the page's own, known by its hash, and nothing be
fetched at all: what a cell holds could do nothing even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import traincost
from traincost.data.record import Status
from traincost.show.report import (
    batch,
    cases,
    comparison,
    energy,
    kernels,
    machines,
    memory,
    remedies,
    roofline,
    scaling,
    statuses,
    verdicts,
)
from traincost.show.report.colours import page_style, text_of
from traincost.show.report.content import Report, Section
from traincost.show.report.html import Html, joined, tag
from traincost.show.report.points import FACETS

SECTIONS = (
    *(machines.section, comparison.section, roofline.section, scaling.section, batch.section),
    *(kernels.section, remedies.section, energy.section, memory.section, verdicts.section),
    *(statuses.section, cases.section),
)
"""In the order of the page."""


def sections_of(report: Report) -> list[Section]:
    """Every section, those with nothing to show too."""
    return [section(report) for section in SECTIONS]


def page(report: Report, made_at: str) -> str:
    """The text of the whole file."""
    sections = sections_of(report)
    script = text_of("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"traincost {traincost.__version__}"),
        tag("title", f"What training costs: {_names(report)}"),
        tag("style", Html(page_style())),
    )
    body = (
        tag("a", "To the content", href="#main", class_="skip"),
        _header(report, made_at),
        _nav(sections),
        tag("main", _filters(report), *(s.html() for s in sections), id="main"),
        _footer(report, made_at),
        tag("div", id="tip", hidden=True, aria_hidden="true"),
        tag("script", _facets(report), type="application/json", id="facets"),
        tag("script", Html(script)),
    )
    html = tag("html", tag("head", *head), tag("body", *body), lang="en")
    return f"<!doctype html>\n{html}\n"


def _names(report: Report) -> str:
    names = list(dict.fromkeys(side.name for side in report.points.data.sides.sides))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _header(report: Report, made_at: str) -> Html:
    points = report.points
    n_rows = len(points.frame)
    counts = Counter(points.table["status"].tolist())
    numbers = (
        (len(points.table), "cases" if points.has_one_side() else "cases, over all machines"),
        (len(points.measured_sides), "machine" if points.has_one_side() else "machines or sides"),
        (len(points.facet_values["suite"]), "suites"),
        (n_rows, f"rows in {len(points.files):,} {'file' if len(points.files) == 1 else 'files'}"),
        (len(points.table) - counts[str(Status.OK)], _not_ok(counts)),
    )
    cards = (tag("li", tag("b", f"{n:,}"), said) for n, said in numbers)
    return tag(
        "header",
        tag("h1", "What training costs"),
        tag("p", f"{_names(report)} · {made_at}"),
        tag("button", "Theme", id="theme", type="button", hidden=True),
        tag("ul", joined(cards), class_="cards"),
    )


def _not_ok(counts: Mapping[str, int]) -> str:
    """`cases not ok: 549 unstable, 18 diverged`."""
    parts = [f"{counts[s]:,} {s}" for s in map(str, Status) if s != Status.OK and counts[s]]
    parts.sort(key=lambda part: -int(part.partition(" ")[0].replace(",", "")))
    return f"cases not ok{': ' if parts else ''}{', '.join(parts)}"


def _nav(sections: Iterable[Section]) -> Html:
    links = (tag("li", tag("a", s.title.partition(":")[0], href=f"#{s.name}")) for s in sections)
    return tag("nav", tag("ul", joined(links)), aria_label="Sections")


def _filters(report: Report) -> Html:
    sets = [
        _facet(name, letter, report.points.facet_values[name])
        for name, letter in zip(FACETS, "abcd", strict=True)
    ]
    return tag(
        "details",
        tag(
            "summary",
            "Filter",
            tag("span", id="count", class_="count", role="status", aria_live="polite"),
        ),
        tag("div", *sets, class_="facets"),
        tag("button", "Show all", type="button", id="all"),
        class_="filters",
        open=True,
    )


def _facet(name: str, letter: str, values: Sequence[str]) -> Html | None:
    if len(values) < 2:
        return None
    chips = (
        tag(
            "label",
            tag("input", type="checkbox", checked=True, value=f"{letter}{i}"),
            machines.swatch(i) if name == "machine" else None,
            value,
        )
        for i, value in enumerate(values)
    )
    return tag("fieldset", tag("legend", name), tag("div", joined(chips), class_="chips"))


def _facets(report: Report) -> Html:
    """How many cases there are of each combination of classes."""
    points = report.points
    counts = Counter(map(points.classes, range(len(points.table))))
    return Html(json.dumps(list(counts.items())))


def _footer(report: Report, made_at: str) -> Html:
    text = (
        f"Made by traincost {traincost.__version__} at {made_at} from {len(report.points.files):,}"
        " files. Numbers are medians over runs that are ok; hollow marks are of rows that are not."
        " In a figure, arrow keys go from mark to mark, and Enter to its row."
    )
    return tag("footer", tag("p", text))
