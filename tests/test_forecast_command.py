"""`traincost forecast`, the command: what it prints, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forecast_rows import peaks, row, steps, time_s, write

from traincost.cli import main

RUN = ["--params", "100M", "--tokens", "1B"]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return write(tmp_path / "cpu.csv", [*steps(), *peaks()])


def told(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, dict[str, Any]]:
    """The rows of a forecast by quantity."""
    assert main(["forecast", *map(str, arguments), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    return {row["quantity"]: row for row in rows if row["section"] == "forecast"}


def test_programs_get_si_units_and_the_interval(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = told(capsys, here, *RUN, "--batch", "8")
    step = rows["step_time"]
    assert step["value"] == pytest.approx(time_s(1e8, 8), rel=0.02)
    assert step["low"] <= step["value"] <= step["high"]
    assert rows["time"]["value"] == pytest.approx(rows["steps"]["value"] * step["value"])


def test_people_are_told_how_good_forecasts_were(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", str(here), *RUN, "--price-per-hour", "2"]) == 0
    text = capsys.readouterr().out
    assert "100 M parameters, 1.00 G tokens, batch 4" in text
    assert "parameters, to 12x" in text
    assert "money" in text
    assert "beyond the data" in text


@pytest.mark.thorough
def test_markdown_and_csv_hold_the_same_forecast(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for fmt, said in (("markdown", "| time per step |"), ("csv", "forecast,step_time,")):
        assert main(["forecast", str(here), *RUN, "--format", fmt]) == 0
        assert said in capsys.readouterr().out


def test_what_does_not_fit_is_said_and_what_would(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", str(here), *RUN, "--memory", "1G"]) == 0
    text = capsys.readouterr().out
    assert "does not fit in memory" in text
    assert "largest that surely would" in text


def test_memory_is_that_of_the_machine_beside_the_file(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {"device": "cpu", "memory_bytes": 10**9, "gpu_memory_bytes": None}
    here.with_suffix(".machine.json").write_text(json.dumps(facts))
    rows = told(capsys, here, *RUN)
    assert rows["memory_capacity"]["value"] == 10**9
    assert rows["memory"]["note"] == "does not fit in memory"


@pytest.mark.thorough
def test_another_machine_is_reached_through_the_rooflines_of_both(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other.csv", peaks(slowness=0.1, machine_id="m2"))
    step, there = (
        told(capsys, here, *RUN, *more)["step_time"] for more in ([], ["--on", str(other)])
    )
    assert there["value"] == pytest.approx(step["value"] / 10, rel=0.02)  # launches take as long
    assert there["high"] / there["low"] > 1.9 * step["high"] / step["low"]


@pytest.mark.thorough
def test_steps_that_both_measured_say_how_well_the_other_is_used(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = [
        row(f"gpt-{m}", 4, noise=0.3, machine_id="m2", run_id="o") for m in ("10k", "100k", "1M")
    ]
    other = write(tmp_path / "other.csv", [*shared, *peaks(slowness=0.1, machine_id="m2")])
    step, there = (
        told(capsys, here, *RUN, *more)["step_time"] for more in ([], ["--on", str(other)])
    )
    assert there["value"] == pytest.approx(0.3 * step["value"], rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--params", "0.5", "--tokens", "1B"], "--params '0.5': expected a whole number"),
        (["--params", "\u0663M", "--tokens", "1B"], "expected a whole number"),
        ([*RUN, "--batch", "20000000000000000000"], "expected at most 2^53"),
        ([*RUN, "--machine", "m7"], "of any model on 'm7'"),
        (["--params", "7Q", "--tokens", "1B"], "--params '7Q': expected a whole number above 0"),
        (["--params", "0", "--tokens", "1B"], "--params '0': expected a whole number above 0"),
        (["--params", "1e99", "--tokens", "1B"], "--params '1e99'"),
        (["--params", "1M", "--tokens", "nan"], "--tokens 'nan'"),
        ([*RUN, "--batch", "2.5"], "--batch '2.5': expected a whole number"),
        ([*RUN, "--price-per-hour", "-1"], "--price-per-hour '-1'"),
        ([*RUN, "--carbon", "x"], "--carbon 'x'"),
        ([*RUN, "--memory", "80 GB"], "--memory '80 GB'"),
        ([*RUN, "--model", "lstm"], "the file has: gpt step eager cpu fp32"),
        ([*RUN, "--on", "missing.csv"], "missing.csv: no such file"),
    ],
)
def test_bad_input_is_named_and_exits_2(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["forecast", str(here), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_machine_without_peaks_cannot_be_moved_to(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = steps(models=("10k",), batches=())
    other = write(tmp_path / "other.csv", [replace(r, machine_id="m2") for r in rows])
    assert main(["forecast", str(here), *RUN, "--on", str(other)]) == 2
    assert "other.csv: no measured peaks of fp32" in capsys.readouterr().err


def test_a_forecast_for_the_same_machine_needs_no_other_file(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", str(here), *RUN, "--on", str(here)]) == 2
    assert "FILE's machine, machine_id m1; expected another" in capsys.readouterr().err


def test_nothing_to_pay_is_an_amount(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, here, *RUN, "--price-per-hour", "0", "--carbon", "0")
    assert rows["money"]["value"] == 0
    assert rows["carbon"]["value"] == 0


def test_one_run_in_two_files_is_refused(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = write(tmp_path / "again.csv", steps())
    assert main(["forecast", str(here), str(again), *RUN]) == 2
    assert "expected each run once" in capsys.readouterr().err


@pytest.fixture
def both(tmp_path: Path) -> Path:
    slow = [replace(r, machine_id="m2", run_id="o", cpu="Slow") for r in steps()]
    slow = [replace(r, time_median_s=9 * (r.time_median_s or 0)) for r in slow]
    return write(tmp_path / "both.csv", [*steps(), *slow])


def test_several_machines_must_be_told_apart(
    both: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forecast", str(both), *RUN]) == 2
    error = capsys.readouterr().err
    assert "EPYC, machine_id m1; Slow, machine_id m2" in error
    assert "--machine" in error


@pytest.mark.parametrize(("name", "times", "machine"), [("m1", 1, "EPYC"), ("slow", 9, "Slow")])
def test_the_machine_that_was_named_is_forecast(
    both: Path, capsys: pytest.CaptureFixture[str], name: str, times: float, machine: str
) -> None:
    rows = told(capsys, both, *RUN, "--machine", name)
    assert rows["step_time"]["value"] == pytest.approx(times * time_s(1e8, 4), rel=0.02)
    assert rows["measured_on"]["note"].startswith(machine)
    assert main(["forecast", str(both), *RUN, "--machine", name]) == 0
    assert f"on {machine}" in capsys.readouterr().out.splitlines()[0]


def test_no_cell_steers_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = "x\x1b]0;owned\x07\x1b[2J"
    file = write(tmp_path / "bad.csv", [replace(r, impl=bad, cpu=bad) for r in steps()])
    assert main(["forecast", str(file), *RUN]) == 0
    assert "\x1b" not in capsys.readouterr().out
