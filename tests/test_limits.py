"""Which limit of a machine binds a case."""

import numpy as np
import pytest

from traincost.judge.roofline import OVERHEAD_SHARE, Measured, binding, bounds_s

PEAKS = [Measured({"fp32": 1e12}, 1e9), Measured({}, None)]


def test_the_nearer_limit_binds_and_far_from_both_is_overhead() -> None:
    flops = np.array([1e12, 1e9, 1e12, 1e12, 1e12])
    moved = np.array([1e6, 1e9, 1e6, 1e6, 1e6])
    time_s = np.array([2.0, 4.0, 2 / OVERHEAD_SHARE, 2.0, np.nan])
    side = np.array([0, 0, 0, 1, 0])
    found = binding(["fp32"] * 5, side, flops, moved, time_s, PEAKS)
    assert list(found.name) == ["arithmetic", "memory", "neither: overhead", None, None]
    assert found.share[:3].tolist() == pytest.approx([0.5, 0.25, OVERHEAD_SHARE / 2])
    assert np.isnan(found.share[3:]).all()


def test_a_rate_that_nobody_measured_binds_nothing() -> None:
    one = np.ones(1)
    found = binding(["fp8"], np.zeros(1, np.int64), one, one, one, PEAKS)
    assert list(found.name) == [None]


def test_the_share_is_the_shortest_time_over_the_measured_one() -> None:
    flops, moved, time_s = np.array([3e11]), np.array([5e8]), np.array([1.0])
    side = np.zeros(1, np.int64)
    bound = bounds_s(["fp32"], side, flops, moved, PEAKS)
    assert binding(["fp32"], side, flops, moved, time_s, PEAKS).share == pytest.approx(bound)
