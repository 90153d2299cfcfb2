"""docs/difficulties.md says what the reference run says, text, tables and plots."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from xml.etree import ElementTree

import pytest
from difficulties.part import Part
from difficulties.rows import REFERENCE, SUITES, file_of, rows_of
from write_difficulties_page import IMAGES, PAGE, PARTS, blocks, written

from traincost.show.report.problems import problems_of
from traincost.verbs.report import report_of

pytestmark = pytest.mark.skipif(not REFERENCE.exists(), reason="no reference run lies here")
LARGEST_IMAGE_BYTES = 60_000


@pytest.fixture(scope="module")
def parts() -> Mapping[str, Part]:
    return {part.name: part for part in (make() for make in PARTS)}


def test_the_page_says_what_the_rows_say(parts: Mapping[str, Part]) -> None:
    page = PAGE.read_text()
    texts = blocks(parts.values())
    assert set(re.findall(r"<!-- (\w+): begin -->", page)) == set(texts)
    assert written(page, texts) == page


def test_no_figure_stands_outside_of_what_the_rows_say(parts: Mapping[str, Part]) -> None:
    page = PAGE.read_text()
    for name in blocks(parts.values()):
        page = re.sub(rf"<!-- {name}: begin -->.*<!-- {name}: end -->", "", page, flags=re.S)
    assert not re.search(r"\d", page)


def test_the_plots_are_those_of_the_rows_and_small(parts: Mapping[str, Part]) -> None:
    for part in parts.values():
        drawn = (IMAGES / part.image).read_bytes()
        assert drawn == part.picture.encode(), part.image
        assert len(drawn) < LARGEST_IMAGE_BYTES
        assert ElementTree.fromstring(drawn).tag.endswith("svg")
        assert b"prefers-color-scheme: dark" in drawn and b"var(" not in drawn


@pytest.mark.parametrize("suite", SUITES)
def test_the_reference_names_its_machine_and_nothing_of_its_files(suite: str) -> None:
    rows = rows_of(suite)
    assert rows and {r.suite for r in rows} == {suite}
    assert all(r.cpu and r.torch and r.threads == 1 for r in rows)
    text = file_of(suite).read_text()
    assert not re.search(r"/(home|root|tmp|work|usr|opt|mnt|var)/", text)


def test_a_report_sets_remedies_of_one_difficulty_side_by_side() -> None:
    options = argparse.Namespace(files=[str(REFERENCE)], by="auto", base=None)
    problems = {p.name: p for p in problems_of(report_of(options).points)}
    names = {r.name for r in problems["gradients: depth · depth 32"].remedies}
    assert {"sigmoid · none", "sigmoid · batch-norm", "relu · he"} <= names
    assert [name for name in problems if name.startswith("gradients: time")] == [
        f"gradients: time · length {n}" for n in (16, 32, 64, 128, 256, 512, 1024)
    ]
    of_few = problems["data requirements: samples · digits · samples 64"]
    assert sorted(r.name for r in of_few.remedies) == [
        *("augmentation", "dropout", "early-stopping", "none", "weight-decay")
    ]
    assert {len(r.groups) for r in of_few.remedies} == {3}
