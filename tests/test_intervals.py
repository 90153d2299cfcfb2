"""Typical values of runs, and the interval of a ratio of two."""

import numpy as np
import pytest

from traincost.judge.intervals import median_weights, ratios, typical


def test_the_weights_of_a_median_are_the_chances_that_a_resamples_median_is_that_run() -> None:
    assert median_weights(1) == pytest.approx([1.0])
    rng = np.random.default_rng(1)
    medians = np.median(rng.integers(5, size=(200_000, 5)), axis=1)
    shares = [float((medians == i).mean()) for i in range(5)]
    assert median_weights(5) == pytest.approx(shares, abs=0.01)
    assert sum(median_weights(24)) == pytest.approx(1)


def test_a_group_has_the_median_of_its_runs_and_none_where_nothing_was_measured() -> None:
    values = np.array([3.0, 1.0, 2.0, 8.0, np.nan, 4.0, 7.0])
    found = typical(values, np.array([0, 0, 0, 1, 1, 1, -1]), 3)
    assert found.median.tolist()[:2] == [2.0, 6.0]
    assert np.isnan(found.median[2])
    assert found.runs.tolist() == [3, 2, 0]


def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    n_cases, n_runs = 4000, 5
    group = np.repeat(np.arange(n_cases), n_runs)
    noise = [np.exp(rng.normal(0, 0.02, n_cases * n_runs)) for _ in range(2)]
    base, other = (typical(v * k, group, n_cases) for v, k in zip(noise, (1.0, 3.0), strict=True))
    found = ratios(base, other)
    covered = float(((found.low <= 3) & (found.high >= 3)).mean())
    assert 0.95 <= covered <= 0.99


def test_equal_runs_have_an_interval_of_no_width() -> None:
    same = typical(np.array([5.0, 5.0, 5.0]), np.zeros(3, np.int64), 1)
    found = ratios(same, same)
    assert (found.low[0], found.ratio[0], found.high[0]) == (1, 1, 1)
