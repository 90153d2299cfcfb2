"""The report in a browser: nothing logged or fetched, filters by mouse and keyboard, themes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import WHY_NOT, Page, browser, chromium
from report_rows import page_of, two_machines

pytestmark = pytest.mark.skipif(chromium() is None, reason=WHY_NOT)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    page_of(folder / "report.html", two_machines(folder / "results"))
    return folder / "report.html"


@pytest.fixture(scope="module")
def opened() -> Iterator[Page]:
    with browser() as page:
        yield page


@pytest.fixture
def page(opened: Page, path: Path) -> Page:
    """The report, freshly loaded, on a wide screen."""
    opened.size(1440, 900)
    opened.logged.clear()
    opened.requested.clear()
    opened.open(path)
    return opened


def rows_shown(page: Page) -> int:
    shown: int = page.js(
        "[...document.querySelectorAll('#cases tbody tr[id^=case]')]"
        ".filter(r => r.getClientRects().length).length"
    )
    return shown


def marks_shown(page: Page) -> int:
    shown: int = page.js(
        "[...document.querySelectorAll('#figure-roofline .wide a.m')]"
        ".filter(m => m.getClientRects().length).length"
    )
    return shown


@pytest.mark.thorough
def test_nothing_is_logged_and_nothing_fetched(page: Page, path: Path) -> None:
    page.js("scrollTo(0, 99999)")
    assert page.logged == []
    assert page.requested == [path.resolve().as_uri()]


def test_a_filter_works_by_mouse(page: Page) -> None:
    rows, marks = rows_shown(page), marks_shown(page)
    page.click(".filters input[value=d0]")
    assert 0 < rows_shown(page) < rows and 0 < marks_shown(page) < marks
    assert f"{rows_shown(page)} of {rows} cases shown" == page.js("count.textContent")
    page.click("#all")
    assert (rows_shown(page), marks_shown(page)) == (rows, marks)


def test_a_filter_works_by_keyboard(page: Page) -> None:
    rows = rows_shown(page)
    page.js("document.querySelector('.filters summary').focus()")
    page.key("Tab")
    assert page.js("document.activeElement.type") == "checkbox"
    page.key(" ", " ")
    assert 0 < rows_shown(page) < rows


def test_arrow_keys_walk_through_the_marks_and_say_what_they_are(page: Page) -> None:
    page.js("document.querySelector('#figure-roofline .wide svg').focus()")
    page.key("ArrowRight")
    label = page.js("document.activeElement.getAttribute('aria-label')")
    assert "FLOP/s" in label and page.js("tip.textContent") == label and not page.js("tip.hidden")
    page.key("ArrowRight")
    assert page.js("document.activeElement.getAttribute('aria-label')") != label
    page.key("Enter", "\r")
    assert page.js("location.hash").startswith("#case-")
    assert page.js("document.querySelector(location.hash).tagName") == "TR"


def test_a_table_sorts_by_the_head_that_is_clicked(page: Page) -> None:
    cells = (
        "[...document.querySelectorAll('#memory tbody tr')]"
        ".map(r => r.querySelector('td.r')).filter(c => 'v' in c.dataset)"
        ".map(c => Number(c.dataset.v))"
    )
    page.click("#memory th.r button")
    rising = page.js(cells)
    assert rising == sorted(rising)
    page.click("#memory th.r button")
    assert page.js(cells) == rising[::-1]


def test_the_theme_follows_the_system_and_the_switch(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.scheme("dark")
    dark = page.js(ground)
    page.scheme("light")
    light = page.js(ground)
    assert dark != light
    page.click("#theme")  # auto -> light
    page.click("#theme")  # -> dark
    assert page.js(ground) == dark
    page.click("#theme")
    assert page.js(ground) == light


def test_paper_is_white_whatever_the_theme(page: Page) -> None:
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.call("Emulation.setEmulatedMedia", media="print", features=features)
    try:
        assert page.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.js("getComputedStyle(document.body).color") == "rgb(22, 27, 34)"
        assert page.js("getComputedStyle(document.querySelector('nav')).display") == "none"
    finally:
        page.call("Emulation.setEmulatedMedia", media="", features=[])


@pytest.mark.thorough
@pytest.mark.parametrize("width", [390, 800, 1440])
def test_no_screen_is_too_narrow(page: Page, path: Path, width: int) -> None:
    page.size(width, 844, mobile=width < 500)
    page.open(path)
    assert page.js("document.documentElement.scrollWidth") == width
    least = page.js(
        "Math.min(...[...document.querySelectorAll('figure text')]"
        ".filter(t => t.getClientRects().length)"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a))"
    )
    assert least >= 9  # pixels


def test_every_link_of_the_navigation_and_every_key_of_a_legend_has_its_place(page: Page) -> None:
    clipped = page.js("(u => u.scrollWidth - u.clientWidth)(document.querySelector('nav ul'))")
    assert clipped <= 0
    overlaps = page.js(
        "[...document.querySelectorAll('.wide .legend')].flatMap(l => {"
        " const b = [...l.children].map(e => e.getBoundingClientRect());"
        " return b.filter((r, i) => i && Math.abs(r.y + r.height / 2 - b[i - 1].y -"
        " b[i - 1].height / 2) < 8 && r.left < b[i - 1].right); }).length"
    )
    assert page.js("document.querySelectorAll('.wide .legend text').length") > 8 and overlaps == 0
