"""What a report says in words: levels, reasons, and labels that fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from report_rows import page_of
from two_machines import A100, row, write

from traincost.data.record import Record
from traincost.show.report.letters import fitted, width_px
from traincost.show.report.reasons import alike


def steps_over_data(growth: float) -> list[Record]:
    """A step at six volumes of data; as a step knows nothing of the volume, growth is 0."""
    volumes = (64, 128, 256, 512, 1024, 1600)
    return [
        row(
            A100,
            f"data/step[dataset_samples={n}]",
            dataset_samples=n,
            time_median_s=4.6e-4 * (1 + 0.004 * (-1) ** i + growth * n / 1600),
        )
        for i, n in enumerate(volumes)
    ]


def scaling_of(tmp_path: Path, growth: float) -> str:
    page = page_of(tmp_path / "r.html", write(tmp_path / "a.csv", steps_over_data(growth)))
    return page.split('<section id="scaling">')[1].split("</section>")[0]


def test_a_cost_that_does_not_depend_on_an_axis_has_no_exponent_and_no_figure(
    tmp_path: Path,
) -> None:
    told = scaling_of(tmp_path, 0.0)
    assert "does not depend on it: x1 from 64 to 1,600 (95%: x" in told
    assert "given" not in told and "<figure" not in told
    assert "1 quantity is in the table only." in told


def test_a_cost_that_grows_has_both(tmp_path: Path) -> None:
    told = scaling_of(tmp_path, 5.0)
    assert "given" in told and "<figure" in told and "does not depend on it:" not in told


def test_reasons_that_differ_in_numbers_only_are_one() -> None:
    wait, drift = "time: waited {} of the time", "time: {} from the first"
    told = alike(
        [
            *((wait.format("50%"), 120, 1), (wait.format("7%"), 3, 2), (wait.format("67%"), 70, 3)),
            *((drift.format("+17.0%"), 5, 4), (drift.format("-3%"), 4, 5)),
            *(("energy: no zones in /sys", 300, 6), ("b: fp16 at 1e-3", 1, 7)),
        ]
    )
    assert [(r.text, r.n_rows, r.first) for r in told] == [
        ("energy: no zones in /sys", 300, 6),
        ("time: waited 7% to 67% of the time", 193, 1),
        ("time: -3% to +17.0% from the first", 9, 4),
        ("b: fp16 at 1e-3", 1, 7),
    ]


@given(st.text(min_size=1), st.floats(60, 500))
def test_a_label_fits_its_room_and_keeps_both_ends(text: str, room_px: float) -> None:
    cut = fitted(text, room_px)
    assert width_px(cut) <= room_px
    assert cut == text or (cut.startswith(text[0]) and cut.endswith(text[-1]) and "…" in cut)


def test_what_is_not_ok_is_told_by_status_and_many_tables_are_folded(tmp_path: Path) -> None:
    records = [
        replace(
            row(A100, f"o/run[optimizer={o},problem=p{p}]", time_median_s=1e-3),
            steps_to_target=90,
            status="unstable" if p else "diverged",
            axes={"optimizer": o, "problem": f"p{p}"},
        )
        for o in ("sgd", "adam")
        for p in range(5)
    ]
    page = page_of(tmp_path / "r.html", write(tmp_path / "a.csv", records))
    assert "cases not ok: 8 unstable, 2 diverged" in page
    assert page.count('<details class="fold">') == 5
    few = page_of(tmp_path / "f.html", write(tmp_path / "b.csv", records[:1] + records[5:6]))
    assert few.count('<details class="fold" open>') == 1
