"""Ratios as charts in the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from two_machines import A100, H100, write_runs

from traincost.cli import main
from traincost.judge.lines import Line
from traincost.show.strips import PLAIN_SIGNS, SIGNS, _chart


def line(ratio: float | None, low: float | None = None, high: float | None = None) -> Line:
    return Line("a/b[x=1]", "time_median_s", "A", "B", 1.0, ratio, ratio, low, high)


def test_the_middle_is_one_and_half_and_twice_are_as_far_from_it() -> None:
    title, half, same, twice, _ = _chart("t", [line(0.5), line(1.0), line(2.0)], 0, SIGNS, 100)
    assert title == "t"
    at = [text.index("●") for text in (half, same, twice)]
    assert abs((at[1] - at[0]) - (at[2] - at[1])) <= 1 and at[0] < at[1] < at[2]
    assert abs(half.index("│") - at[1]) <= 1


def test_an_interval_is_drawn_around_its_ratio_and_every_line_fits() -> None:
    lines = list(_chart("t", [line(0.8, 0.7, 0.9), line(3.0, 0.1, 4.0)], 0, SIGNS, 100))
    assert lines[1].index("├") < lines[1].index("●") < lines[1].index("┤")
    assert all(len(text) <= 100 for text in lines)


def test_a_line_without_a_ratio_has_no_chart() -> None:
    assert list(_chart("t", [line(None)], 0, SIGNS, 100)) == []


def test_the_farthest_are_kept() -> None:
    shown = list(_chart("t", [line(1.01), line(4.0), line(1.02)], 1, PLAIN_SIGNS, 100))
    assert len(shown) == 3 and "4x" in shown[1] and shown[1].isascii()


def test_compare_draws_below_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(write_runs(tmp_path / b.machine_id, b, 3)) for b in (A100, H100)]
    assert main(["compare", *folders, "--metric", "time"]) == 0
    plain = capsys.readouterr().out
    assert main(["compare", *folders, "--metric", "time", "--plot"]) == 0
    plotted = capsys.readouterr().out
    assert plotted.startswith(plain) and "●" in plotted[len(plain) :]
    assert max(map(len, plotted[len(plain) :].splitlines())) <= 100
