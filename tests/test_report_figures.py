"""Figures as files, and what they are made of: colours, scales, escapes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rows import two_machines

from traincost.cli import main
from traincost.show.report.colours import DARK, LIGHT
from traincost.show.report.html import LONGEST_TEXT, Html, tag
from traincost.show.report.points import short_case, short_cases
from traincost.show.report.scale import linear_scale, log_scale

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = (
    "roofline",
    "compared",
    "scaling-1",
    "batch-1",
    "kernels",
    "remedies-1",
    "energy",
    "memory",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_machines(tmp_path_factory.mktemp("results"))


@pytest.mark.thorough
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_well_formed_and_needs_no_other_file(
    name: str, files: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"{name}.svg"
    assert main(["report", str(files), "-o", str(out), "--format", "svg", "--figure", name]) == 0
    text = out.read_text()
    root = ElementTree.fromstring(text.encode())
    assert root.tag == f"{SVG}svg" and len(list(root.iter(f"{SVG}path"))) > 3
    assert "var(" not in text and 'href="http' not in text
    width, height = (float(root.attrib[a]) for a in ("width", "height"))
    for circle in root.iter(f"{SVG}circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width
        assert 0 <= float(circle.attrib["cy"]) <= height


@pytest.mark.skipif(not importlib.util.find_spec("resvg_py"), reason="resvg-py is not installed")
def test_a_figure_can_be_a_png(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "memory.png"
    assert (
        main(["report", str(files), "-o", str(out), "--format", "png", "--figure", "memory"]) == 0
    )
    assert out.read_bytes().startswith(b"\x89PNG") and out.stat().st_size > 10_000


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """As WCAG 2 defines it."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_series_can_be_told_from_what_they_lie_on(colours: dict[str, str]) -> None:
    for name in ("ink", "muted", "link", "good", "bad", "warn"):
        for ground in ("card", "page", "chip"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for i in range(8):
        assert contrast(colours[f"s{i}"], colours["card"]) >= 3, i


@pytest.mark.thorough
@given(st.text(max_size=50))
def test_no_text_becomes_a_tag_or_an_attribute(text: str) -> None:
    made = tag("p", text, title=text)
    assert re.fullmatch(r'<p title="[^"<>]*">[^<>]*</p>', made, re.S)
    ElementTree.fromstring(made)


def test_markup_stays_and_long_text_is_cut() -> None:
    assert tag("p", Html("<b>x</b>")) == "<p><b>x</b></p>"
    assert len(tag("p", "y" * 10**6)) < LONGEST_TEXT + 60


@given(st.floats(1e-12, 1e12), st.floats(1.0, 1e9))
def test_a_scale_has_ticks_inside_and_keeps_order(low: float, factor: float) -> None:
    for scale in (
        log_scale([low, low * factor], 0, 500),
        linear_scale([low, low * factor], 0, 500),
    ):
        ticks = scale.ticks(5)
        assert 1 <= len(ticks) <= 14
        pixels = [scale(t) for t in ticks]
        assert pixels == sorted(pixels) and all(-1e-6 <= p <= 500 + 1e-6 for p in pixels)
        assert scale(low) <= scale(low * factor)


def test_names_of_a_figure_leave_out_what_all_cases_share() -> None:
    a, b = (f"batch/step[batch_size={n},device=cuda,model=gpt-1M]" for n in (1, 2))
    assert short_case(a) == "step · gpt-1M · batch 1 · cuda"
    assert short_cases([a, b]) == ({a: "batch 1", b: "batch 2"}, "step · gpt-1M · cuda")
