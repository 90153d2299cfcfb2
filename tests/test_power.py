"""Energy by integrated power: what a sensor that sees part of the time can tell."""

import random
from statistics import fmean

import pytest
from virtual_counter import Square

from traincost.instruments.edges import Refusal
from traincost.instruments.power import (
    IntegratedPower,
    PowerReading,
    averaging_s,
    disagreement,
    distinct,
    integrate,
)


def boxcar(
    trace: Square, until_s: float, averaging_s: float = 0.025, update_s: float = 0.1
) -> list[PowerReading]:
    """What the sensor shows, each update seen within 8 ms."""
    readings: list[PowerReading] = []
    for i in range(1, int(until_s / update_s)):
        at_s = i * update_s
        power_w = (trace.energy_j(at_s) - trace.energy_j(at_s - averaging_s)) / averaging_s
        readings.append(PowerReading(i, at_s, at_s + 8e-3, power_w))
    return readings


def repetitions(rng: random.Random, n: int = 8, length_s: float = 1.0) -> list[tuple[float, float]]:
    """Windows with pauses of random length between them."""
    windows: list[tuple[float, float]] = []
    now_s = 1.0
    for _ in range(n):
        windows.append((now_s, now_s + length_s))
        now_s += length_s + rng.uniform(0.2, 0.3)
    return windows


def test_a_boxcar_of_a_quarter_of_the_time_is_off_by_less_than_five_percent_on_average() -> None:
    rng = random.Random(0)
    errors: list[float] = []
    for _ in range(100):
        trace, windows = Square(cycle_s=10 ** rng.uniform(-2.5, 0)), repetitions(rng)
        found = integrate(boxcar(trace, 13.0), windows, averaging_s=0.025)
        assert isinstance(found, IntegratedPower)
        assert found.coverage == pytest.approx(0.25)
        true_j = sum(trace.energy_j(b) - trace.energy_j(a) for a, b in windows)
        errors.append(abs(found.energy_j / true_j - 1))
    assert fmean(errors) < 0.05


def test_readings_that_average_over_time_outside_the_window_are_left_out() -> None:
    readings = [
        PowerReading(i, i / 10, i / 10 + 0.01, 400 if 1 <= i <= 20 else 50) for i in range(40)
    ]
    found = integrate(readings, [(0.1, 2.1)], averaging_s=0.1)
    assert isinstance(found, IntegratedPower)
    assert found.mean_w == 400
    assert found.readings == 19
    assert found.energy_j == pytest.approx(800)


def test_a_reading_that_is_shown_twice_counts_once() -> None:
    once = [PowerReading(i, i / 10, i / 10 + 0.01, 100.0 + i) for i in range(5)]
    assert distinct([r for reading in once for r in (reading, reading)]) == once


def test_a_window_without_readings_is_refused() -> None:
    readings = boxcar(Square(0.5), 3.0)
    for windows in ([(1.01, 1.06)], [(5.0, 6.0)], []):
        found = integrate(readings, windows, averaging_s=0.025)
        assert isinstance(found, Refusal)
    assert isinstance(integrate([], [(0.0, 1.0)]), Refusal)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("NVIDIA H100 80GB HBM3", 0.025),
        ("NVIDIA A100-SXM4-40GB", 0.025),
        ("NVIDIA H200", 0.025),
        ("Tesla V100-SXM2-16GB", 0.010),
        ("Tesla T4", 0.100),
        ("NVIDIA L40S", 0.100),
        ("NVIDIA L4", 0.100),
        ("NVIDIA A10G", 0.100),
        ("NVIDIA GeForce RTX 4090", 0.100),
        ("NVIDIA B200", None),
        (None, None),
    ],
)
def test_what_a_reading_averages_is_known_of_measured_cards_only(
    name: str | None, seconds: float | None
) -> None:
    assert averaging_s(name) == seconds


def test_an_unknown_sensor_has_no_coverage_and_says_so() -> None:
    found = integrate(boxcar(Square(0.5), 6.0), [(1.0, 5.0)])
    assert isinstance(found, IntegratedPower)
    assert found.coverage is None
    assert "unknown share" in found.covered


def test_sources_disagree_from_ten_percent_on() -> None:
    sensor = IntegratedPower(109.0, 10.9, 20, 0.1, 0.25)
    assert disagreement(100.0, sensor) is None
    assert disagreement(99.0, sensor) is not None
