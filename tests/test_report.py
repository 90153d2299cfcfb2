"""The report as text: what stands in it, where numbers come from, what cells cannot do."""

from __future__ import annotations

import csv
import json
import random
import re
import statistics
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_rows import everything, page_of, run_of, sizes, two_commits, two_machines
from two_machines import A100, H100, row, write

from traincost.cli import main
from traincost.data.ranges import DIVIDED, LEAST, MOST, POSITIVE
from traincost.data.record import COLUMNS
from traincost.show.report.content import MOST_MARKS
from traincost.show.report.page import SECTIONS

NAMES = (
    *("machines", "compared", "roofline", "scaling", "batch", "kernels", "remedies", "energy"),
    *("memory", "gate", "statuses", "cases"),
)


class Read(HTMLParser):
    """What a browser would see: tags with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_machines(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def page(files: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(tmp_path_factory.mktemp("page") / "report.html", files)


def test_every_section_is_there_and_has_something_to_show(page: str) -> None:
    assert [a["id"] for a in Read(page).named("section")] == list(NAMES)
    assert len(SECTIONS) == len(NAMES)
    empty = [s[:60] for s in page.split("<section")[1:] if 'class="empty"' in s]
    assert len(empty) == 1 and "Gate" in empty[0]  # of two machines there is no verdict


def test_a_section_without_rows_says_what_to_run(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", [row(A100, "a/b", time_median_s=1.0)])
    read = Read(page_of(tmp_path / "r.html", one))
    assert [a["id"] for a in read.named("section")] == list(NAMES)
    assert any("suites/test_batch.py" in t for t in read.texts)


def test_every_number_of_a_case_is_that_of_the_rows_it_names(page: str, files: Path) -> None:
    paths = dict(re.findall(r'<tr id="(F\d+)"><td>F\d+</td><td>([^<]*)</td>', page))
    assert sorted(map(Path, paths.values())) == sorted(files.glob("*.csv"))
    lines = {f: Path(p).read_text().splitlines() for f, p in paths.items()}
    header = next(csv.reader([lines["F1"][0]]))
    found = re.findall(r'<tr class="[^"]*" id="case-\d+">(.*?)</tr>', page)
    checked = 0
    for cells in found:
        (case,) = re.findall(r'title="([^"]*)"', cells)
        places = re.findall(r">(F\d+):(\d+)<", cells)
        rows = [next(csv.reader([lines[f][int(n) - 1]])) for f, n in places]
        known = [dict(zip(header, r, strict=True)) for r in rows]
        assert places and {r["case_id"] for r in known} == {case}
        times = [float(r["time_median_s"]) for r in known if r["time_median_s"]]
        if times:
            shown = re.findall(r'data-v="([^"]*)"', cells)
            assert float(shown[0]) == pytest.approx(statistics.median(times), rel=1e-5)
            checked += 1
    assert checked > 40


def test_marks_of_figures_lead_to_rows_that_are_there(page: str) -> None:
    read = Read(page)
    ids = {a.get("id") for _, a in read.tags}
    wanted = {str(a["href"])[1:] for a in read.named("a") if str(a["href"]).startswith("#")}
    assert wanted and wanted <= ids


def test_two_machines_have_two_colours_and_a_legend(page: str) -> None:
    roofline = page.split('id="figure-roofline"')[1].split("</figure>")[0]
    legend = roofline.split('class="legend"')[1].split("</text></g><g aria-hidden")[0]
    assert "A100-SXM4-80GB" in legend and "H100 80GB HBM3" in legend
    assert 'class="m s0 ' in roofline and 'class="m s1 ' in roofline


def test_nothing_is_fetched(page: str) -> None:
    assert set(re.findall(r"https?://[^\"' <]+", page)) == {"http://www.w3.org/2000/svg"}
    read = Read(page)
    assert not any("src" in a for _, a in read.tags)
    assert not read.named("link") and not read.named("img") and "@import" not in page
    (policy,) = (a["content"] for a in read.named("meta") if a.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'")


HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    '"><svg onload=alert(1)>',
    "=HYPERLINK(1)",
    "&lt;b&gt; {{7*7}}",
    "a\u202eb\x1bc",
)


def test_hostile_cells_are_text(tmp_path: Path) -> None:
    named = ("suite", "notes", "model", "dtype", "gpu", "cpu", "host")
    records = [
        row(
            A100,
            f"{text}/x{i}[model={text}]",
            **{"time_median_s": 1.0, "flops": 10, "compulsory_bytes": 5},
            **dict.fromkeys(named, text),
        )
        for i, text in enumerate(HOSTILE)
    ]
    read = Read(page_of(tmp_path / "r.html", write(tmp_path / "hostile.csv", records)))
    assert len(read.named("script")) == 2  # the page's own
    assert not read.named("img")
    assert not [a for _, a in read.tags for name in a if name.startswith("on")]
    shown = "".join(read.texts)
    assert all(text in shown for text in HOSTILE[:-1])
    assert "a\ufffdb\ufffdc" in shown and "\x1b" not in shown


def test_strings_of_half_a_megabyte_are_cut_and_it_is_said(tmp_path: Path) -> None:
    long = "x" * 500_000
    records = [row(A100, "a/b", time_median_s=1.0, notes=long, gpu=long, status="unstable")]
    page = page_of(tmp_path / "r.html", write(tmp_path / "long.csv", records))
    assert len(page) < 200_000
    assert "(cut; 500,000 characters)" in page


def test_a_case_that_failed_has_its_reason_and_place(page: str) -> None:
    statuses = page.split('<section id="statuses">')[1]
    assert "out of memory at 79 GB" in statuses
    assert re.search(r"oom</td>.*?F\d:\d+", statuses, re.S)


def test_losing_implementations_stand_first(tmp_path: Path) -> None:
    def case(kernel: str, impl: str, time_s: float) -> object:
        name = (
            f"kernels/op[impl={impl},kernel={kernel}]"
            if impl != "eager"
            else f"kernels/op[kernel={kernel}]"
        )
        return row(A100, name, impl=impl, time_median_s=time_s)

    records = [case("good", "eager", 2.0), case("good", "triton", 1.0)]
    records += [case("bad", "eager", 1.0), case("bad", "triton", 2.0)]
    page = page_of(tmp_path / "r.html", write(tmp_path / "k.csv", records))  # type: ignore[arg-type]
    kernels = page.split('<section id="kernels">')[1].split("</section>")[0]
    assert "1 of 2 lose" in kernels
    assert kernels.index("0.500x</td>") < kernels.index("2.00x</td>")


def test_remedies_stand_side_by_side_and_those_that_did_not_reach_the_target_are_named(
    page: str,
) -> None:
    section = page.split('<section id="remedies">')[1].split("</section>")[0]
    assert "optimizers: to target · digits · cuda on A100-SXM4-80GB" in section
    assert "Target not reached: lbfgs." in section
    assert "efficiency: train step · gpt-10k · cuda · batch 4" in section
    first = section.split("<tbody>")[1]
    assert (
        first.index("adamw") < first.index("momentum") < first.index("sgd") < first.index("lbfgs")
    )


def test_base_and_head_of_one_machine_have_the_verdicts_of_the_gate(tmp_path: Path) -> None:
    base, head = two_commits(tmp_path)
    page = page_of(tmp_path / "r.html", base, head)
    gate = page.split('<section id="gate">')[1].split("</section>")[0]
    assert "gate: failed" in gate and "regression" in gate and "at least +" in gate


def test_filters_know_every_case(page: str) -> None:
    (facets,) = re.findall(r'id="facets">(.*?)</script>', page)
    counts = json.loads(facets)
    assert sum(n for _, n in counts) == page.count('id="case-')
    values = set(re.findall(r'type="checkbox"[^>]* value="(\w+)"', page))
    assert values and values <= {c for classes, _ in counts for c in classes.split()}


def test_more_cases_than_marks_are_drawn_together_and_it_is_said(tmp_path: Path) -> None:
    n = MOST_MARKS * 2
    records = [
        row(
            A100,
            f"a/b[batch_size={i}]",
            batch_size=i + 1,
            time_median_s=1e-3 * (1 + i % 97),
            flops=10**6 * (1 + i % 89),
            compulsory_bytes=10**5 * (1 + i % 7),
        )
        for i in range(n)
    ]
    page = page_of(tmp_path / "r.html", write(tmp_path / "many.csv", records))
    assert f"{n:,} cases are too many marks" in page
    roofline = page.split('id="figure-roofline"')[1].split("</figure>")[0]
    assert 0 < roofline.count('class="m s0') <= 2 * MOST_MARKS
    assert len(page) < 4_000_000


EXTREMES = (0, 1, 1e-300, 5e-324, 1e300, 1.7e308, 0.25, 9 * 10**18)
KINDS = (
    "batch/step[batch_size={}{}]",
    "parameters/step[{1}model=gpt-{0}k]",
    "optimizers/t[o={}{}]",
)


def extreme(rng: random.Random) -> dict[str, object]:
    """Every column of numbers with a number that it may just hold, or none."""
    found: dict[str, object] = {}
    for name, kind in COLUMNS.items():
        if kind is str or name == "schema":
            continue
        value = rng.choice(EXTREMES)
        if name in DIVIDED and value:
            value = min(max(value, LEAST), MOST)
        if kind is int:
            value = int(min(value, 2**62))
        found[name] = None if rng.random() < 0.2 else value or (1 if name in POSITIVE else 0)
    return found


@pytest.mark.filterwarnings("error")
def test_the_most_extreme_numbers_make_a_page(tmp_path: Path) -> None:
    rng = random.Random(0)
    records = [
        row(A100, KINDS[i % 3].format(i, f",impl={impl}"), **{**extreme(rng), "impl": impl})
        for i in range(120)
        for impl in ("eager", "triton")
    ]
    page = page_of(tmp_path / "r.html", write(tmp_path / "all.csv", records))
    drawn = re.findall(r'(?: d| x| y| cx| cy)="([^"]*)"', page)
    assert len(drawn) > 500
    assert not [d for d in drawn if re.search("nan|inf|e", d)]


def test_sides_without_a_case_in_common_are_shown_and_not_compared(tmp_path: Path) -> None:
    one = write(tmp_path / "1.csv", [row(A100, "a/b", time_median_s=1.0)])
    two = write(tmp_path / "2.csv", run_of([row(H100, "c/d", time_median_s=1.0)], "x"))
    page = page_of(tmp_path / "r.html", one, two)
    assert "not compared: no case in common" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "svg"], "expected --figure NAME"),
        (["--figure", "roofline"], "expected --format svg"),
        (["--format", "svg", "--figure", "rooflin"], "did you mean roofline?"),
        (["--base", "nobody"], "side 'nobody': unknown"),
    ],
)
def test_wrong_options_are_one_line_and_exit_2(
    options: list[str], said: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["report", str(files), "-o", str(out), *options]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_file_that_cannot_be_written_is_named(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(files), "-o", str(tmp_path / "no" / "r.html")]) == 2
    assert "--output" in capsys.readouterr().err


def test_one_machine_shows_no_comparison(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", [*everything(A100), *sizes(A100)[:0]])
    page = page_of(tmp_path / "r.html", one)
    assert "One side only" in page
