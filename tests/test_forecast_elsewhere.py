"""`traincost forecast --on`: a machine whose prices differ, each in its own way."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forecast_rows import MODELS, flops, launches, peaks, row, steps, traffic_bytes, write

from traincost.cli import main
from traincost.data.record import Record

LAUNCH_S, FLOP_S, BYTE_S = 1e-5, 1e-13, 1e-12
"""Prices there: launches cost twice as much as here, FLOPs and bytes next to nothing."""


def there_s(n_params: float, batch: float) -> float:
    return (
        LAUNCH_S * launches(n_params)
        + FLOP_S * flops(n_params, batch)
        + BYTE_S * traffic_bytes(n_params, batch)
    )


def gpu_rows(models: Sequence[str]) -> list[Record]:
    """Peaks of which steps reach a half, and steps."""
    reached = [
        replace(r, time_min_s=(r.time_min_s or 0) / (200 if r.flops else 100))
        for r in peaks(machine_id="m2")
    ]
    rows = [row(f"gpt-{m}", 4, machine_id="m2", run_id="o") for m in models]
    return [
        *reached,
        *(replace(r, time_median_s=there_s(MODELS[r.model[4:]], 4)) for r in rows if r.model),
    ]


def step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[Record], n_params: float
) -> dict[str, Any]:
    """The forecast of a step there, by quantity."""
    here = write(tmp_path / "here.csv", [*steps(), *peaks()])
    other = write(tmp_path / "there.csv", rows)
    asked = ["--params", f"{n_params:.0f}", "--tokens", "1B", "--batch", "4", "--format", "json"]
    assert main(["forecast", str(here), *asked, "--on", str(other)]) == 0
    return {r["quantity"]: r for r in json.loads(capsys.readouterr().out)["rows"]}


@pytest.mark.thorough
@pytest.mark.parametrize("n_params", [1e7, 1e9])
@pytest.mark.parametrize("models", [("10k", "100k"), ("10k", "100k", "1M", "10M")])
def test_steps_bound_by_launches_do_not_price_large_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], models: Sequence[str], n_params: float
) -> None:
    told = step(tmp_path, capsys, gpu_rows(models), n_params)["step_time"]
    truth = there_s(n_params, 4)
    assert told["value"] == pytest.approx(truth, rel=0.1)
    assert told["low"] < truth < told["high"]


@pytest.mark.thorough
def test_what_is_not_measured_there_keeps_the_interval_wide(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    widths: list[float] = []
    for models in (("10k", "100k"), tuple(MODELS)):
        told = step(tmp_path, capsys, gpu_rows(models), 1e8)["step_time"]
        widths.append(told["high"] / told["low"])
    assert widths[0] > 1.4 * widths[1]


def test_other_work_there_tells_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = gpu_rows(("10k", "100k", "1M"))
    before = step(tmp_path, capsys, shared, 1e8)["step_time"]
    for other in (
        {"axes": {"optimizer": "lbfgs"}},
        {"world_size": 2},
        {"matmul_precision": "tf32"},
    ):
        odd = [replace(r, **other, run_id="x", time_median_s=9.0) for r in shared if r.model]
        assert step(tmp_path, capsys, [*shared, *odd], 1e8)["step_time"] == before


def test_a_step_s_shares_are_those_of_the_other_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = step(tmp_path, capsys, gpu_rows(tuple(MODELS)), 1e7)
    share = LAUNCH_S * launches(1e7) / there_s(1e7, 4)
    assert told["share of launches"]["value"] == pytest.approx(share, abs=0.05)


def test_a_file_of_several_machines_is_no_other_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = write(tmp_path / "here.csv", [*steps(), *peaks()])
    rows = [*peaks(0.1, "m2"), *peaks(10.0, "m3")]
    other = write(tmp_path / "two.csv", rows)
    assert (
        main(["forecast", str(here), "--params", "1M", "--tokens", "1B", "--on", str(other)]) == 2
    )
    assert "rows of 2 machines: CPU m2, machine_id m2; CPU m3" in capsys.readouterr().err
