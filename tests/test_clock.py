"""Timing: the order of waits and marks, the warm-up, the stop, and what the rounds say."""

import math
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fake_cuda import FakeTorch

from traincost.data.profile import PROFILES, Profile
from traincost.instruments import clock as clocks
from traincost.instruments.clock import Clock, RoundsDone, Stop, warm_up
from traincost.machine.device import CpuDevice, CudaDevice

PATIENT = replace(PROFILES["quick"], timed_s=3600.0, timed_max_s=3600.0)


def cuda_clock(*, short_steps: bool) -> tuple[FakeTorch, Clock]:
    fake = FakeTorch()
    return fake, Clock(CudaDevice(3, fake), short_steps=short_steps)


def test_a_long_step_on_cuda_is_timed_between_two_waits_for_the_device() -> None:
    fake, clock = cuda_clock(short_steps=False)
    clock.seconds(lambda: fake.calls.append(("step",)))
    assert fake.calls == [("synchronize", 3), ("step",), ("synchronize", 3)]


def test_a_short_step_on_cuda_waits_flushes_marks_steps_and_marks_in_this_order() -> None:
    fake, clock = cuda_clock(short_steps=True)

    def step() -> None:
        fake.calls.append(("step",))
        fake.advance(0.25)

    clock.seconds(step)
    fake.calls.clear()  # the first time also makes the flush buffer
    assert clock.seconds(step) == pytest.approx(0.25e-3)
    names = [
        call[0] for call in fake.calls if call[0] in ("synchronize", "zero_", "record", "step")
    ]
    assert names == ["synchronize", "zero_", "record", "step", "record"]
    assert fake.calls[-2:] == [("event_synchronize",), ("elapsed_time",)]


def test_the_flush_is_outside_the_timed_region() -> None:
    fake, clock = cuda_clock(short_steps=True)
    fake.zero_ms = 100.0
    assert clock.seconds(lambda: fake.advance(1.0)) == pytest.approx(1e-3)


def test_on_a_cpu_the_timer_is_the_bare_clock() -> None:
    assert Clock(CpuDevice()).timer is time.perf_counter


def steps_taking(times_s: Iterator[float], monkeypatch: pytest.MonkeyPatch) -> clocks.Step:
    """A step that moves a made-up clock."""
    now_s = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now_s[0])

    def step() -> None:
        now_s[0] += next(times_s)

    return step


def test_the_warm_up_goes_on_while_steps_get_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    falling = [1.0 * 0.8**i for i in range(12)]
    step = steps_taking(iter([*falling, *[0.05] * 100]), monkeypatch)
    warm = warm_up(step, Clock(CpuDevice()), budget_s=3600)
    assert warm.steady
    assert warm.steps >= len(falling) + clocks.STEADY_WINDOW
    assert warm.typical_s == pytest.approx(0.05)


def test_a_warm_up_that_never_gets_steady_ends_with_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = steps_taking((1.5**i for i in range(1000)), monkeypatch)
    warm = warm_up(step, Clock(CpuDevice()), budget_s=100)
    assert not warm.steady


def test_a_step_longer_than_the_budget_is_warmed_up_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    step = steps_taking(iter([10.0, 10.0]), monkeypatch)
    assert warm_up(step, Clock(CpuDevice()), budget_s=1).steps == 2


def rounds_until_stop(
    times_s: Iterator[float], profile: Profile = PATIENT, limit: int = 5000
) -> list[float]:
    """Feed rounds to a stop until it ends them."""
    rounds: list[float] = []
    stop = Stop(lambda: rounds, profile)
    for time_s in times_s:
        rounds.append(time_s)
        try:
            stop()
        except RoundsDone:
            return rounds
        assert len(rounds) < limit
    raise AssertionError("the stop never came")


def noisy(sd: float, seed: int = 1) -> Iterator[float]:
    rng = random.Random(seed)
    while True:
        yield rng.lognormvariate(0, sd)


def test_quiet_rounds_end_at_the_least_number() -> None:
    assert len(rounds_until_stop(noisy(0.001))) == clocks.MIN_ROUNDS


def test_noisy_rounds_go_on_until_the_median_is_known_to_a_percent() -> None:
    rounds = rounds_until_stop(noisy(0.05))
    assert len(rounds) > clocks.MIN_ROUNDS
    assert clocks.half_width_rel(rounds) <= clocks.PRECISION_REL


def test_the_budget_ends_the_rounds_but_not_before_the_least_number() -> None:
    spent = replace(PATIENT, timed_s=0.0)
    assert len(rounds_until_stop(noisy(1.0), spent)) == clocks.MIN_ROUNDS


def test_rounds_that_are_far_too_long_end_below_the_least_number() -> None:
    spent = replace(PATIENT, timed_s=0.0, timed_max_s=0.0)
    assert len(rounds_until_stop(noisy(1.0), spent)) == 1


@pytest.mark.parametrize("n", [20, 21, 33, 50, 101, 400])
def test_the_interval_covers_the_median_with_95_percent_or_more(n: int) -> None:
    ranks = clocks.median_interval([1.0 + i for i in range(n)])  # the ranks themselves, from 1
    low, high = (int(r) for r in ranks)
    # Below the median lie B rounds, B ~ binomial(n, 1/2): it is inside if low <= B < high.
    inside = sum(math.comb(n, b) for b in range(low, high)) / 2**n
    assert 0.95 <= inside <= 0.99


def test_the_half_width_is_half_of_the_interval_as_a_share_of_the_median() -> None:
    times = [1.0 + 0.01 * i for i in range(40)]
    low, high = clocks.median_interval(times)
    width = clocks.half_width_rel(times)
    assert width == pytest.approx((high - low) / 2 / statistics.median(times))


def test_a_wide_spread_and_a_drift_are_called_unstable_and_quiet_rounds_are_not() -> None:
    quiet = [1.0 + 0.001 * (i % 5) for i in range(40)]
    assert clocks.instability(quiet) is None
    assert "half-width" in str(clocks.instability([1.0, 2.0] * 20))
    drifting = [1.0 + 0.0001 * i for i in range(200)] + [1.3 + 0.0001 * i for i in range(200)]
    assert "second half" in str(clocks.instability(drifting)) or "half-width" in str(
        clocks.instability(drifting)
    )


def test_a_few_rounds_are_unstable_however_alike_they_are() -> None:
    assert "only 2 rounds" in str(clocks.instability([1.0, 1.0]))
    assert clocks.instability([1.0] * clocks.FEW_ROUNDS) is None


def test_a_short_step_is_repeated_until_a_round_lasts_a_millisecond() -> None:
    assert clocks.iterations_for(50e-6) == 20
    assert clocks.iterations_for(2.0) == 1


def test_the_columns_are_quantiles_of_the_rounds() -> None:
    times = clocks.summarise([float(t) for t in range(1, 12)], iterations=3)
    assert (times.time_min_s, times.time_p20_s, times.time_median_s) == (1.0, 3.0, 6.0)
    assert (times.time_p80_s, times.rounds, times.iterations) == (9.0, 11, 3)
    assert times.time_mean_s == 6.0


def test_one_round_has_no_standard_deviation() -> None:
    assert clocks.summarise([1.0], iterations=1).time_stddev_s is None
