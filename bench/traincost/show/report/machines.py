"""Which machines measured, and what differs between them: any of it may explain a difference."""

from __future__ import annotations

from collections.abc import Sequence

from traincost.judge.machines import NUMBER_FACTS, TEXT_FACTS, Side
from traincost.show.report.content import Report, Section
from traincost.show.report.html import Html, joined, tag
from traincost.show.report.marks import colour, shape
from traincost.show.report.table import TableRow, table
from traincost.show.units import amount, plain

_NAMES = {
    "machine_id": "machine",
    "cpu": "CPU",
    "gpu": "GPU",
    "cuda": "CUDA",
    "power_limit_w": "power limit",
    "sm_clock_mean_hz": "SM clock, mean",
}
_UNITS = {"power_limit_w": "W", "sm_clock_mean_hz": "Hz"}
_MOST_SIDES = 12


def section(report: Report) -> Section:
    """A column a machine, what differs first."""
    sides = report.points.data.sides.sides
    shown = list(sides[:_MOST_SIDES])
    rows = [_fact(name, shown) for name in (*TEXT_FACTS, *NUMBER_FACTS)]
    rows += _peaks(report, len(shown))
    rows = sorted((r for r in rows if any(r[1])), key=lambda r: not _differs(r[1]))
    several = len(sides) > 1
    heads = ("", *(f"{_letter(i)}" for i in range(len(shown))))
    body = table(
        ("what", *heads[1:]),
        [
            TableRow(
                [name, *(v or "unknown" for v in values)],
                "differs" if several and _differs(values) else None,
            )
            for name, values in rows
        ],
        caption="Facts of every machine",
    )
    left = len(sides) - len(shown)
    more = tag("p", f"{left} more are left out of this table.", class_="more") if left else None
    lead = (
        "Each has one colour and one shape throughout this page. What differs stands first."
        if several
        else "One machine, on one kind of device."
    )
    return Section("machines", "Machines", lead, joined((_names(report), body, more)))


def _letter(i: int) -> str:
    return f"M{i + 1}"


def _names(report: Report) -> Html:
    points = report.points
    cards: list[Html] = []
    counts = points.table["side"].value_counts()
    for i, side in enumerate(points.data.sides.sides):
        cards.append(
            tag(
                "li",
                swatch(i),
                tag("b", points.names[i]),
                tag("span", f"{_letter(i)} · {side.device or 'no device'} · {counts[i]:,} cases"),
                class_=f"d{i}",
            )
        )
    return tag("ul", joined(cards), class_="sides")


def swatch(style: int) -> Html:
    """The colour and the shape of a machine."""
    body = tag("g", shape(style, 8, 8), class_=f"m {colour(style)}")
    return tag("svg", body, viewBox="0 0 16 16", width="16", height="16", aria_hidden="true")


def _fact(name: str, sides: Sequence[Side]) -> tuple[str, list[str]]:
    values = [side.facts.get(name) for side in sides]
    told = [
        ""
        if v is None
        else v
        if isinstance(v, str)
        else amount(v, _UNITS[name])
        if name in _UNITS
        else plain(v)
        for v in values
    ]
    return _NAMES.get(name, name), told


def _peaks(report: Report, n: int) -> list[tuple[str, list[str]]]:
    """The measured limits that the roofline is made of."""
    peaks = report.points.data.peaks[:n]
    rates = dict.fromkeys(rate for peak in peaks for rate in peak.flops_per_s)
    found = [
        (
            f"measured peak, {rate}",
            [amount(p.flops_per_s.get(rate), "FLOP/s") for p in peaks],
        )
        for rate in rates
    ]
    return [*found, ("measured peak, memory", [amount(p.bytes_per_s, "B/s") for p in peaks])]


def _differs(values: Sequence[str]) -> bool:
    return len(set(values)) > 1
