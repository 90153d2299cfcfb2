"""Energy of a window from a counter that moves in steps, against the truth, in virtual time."""

import math
import random
from collections.abc import Callable, Iterator

import pytest
from virtual_counter import Constant, Counter, Jump, Ramp, Square, Trace, watched

from traincost.instruments.edge_finder import EdgeFinder
from traincost.instruments.edges import (
    CounterEnergy,
    Edge,
    Refusal,
    energy_between,
    estimate_period_s,
)

PERIODS_S = (0.01, 0.02, 0.1)
IDLE_W = 70.0


def _square(start_s: float, end_s: float, rng: random.Random) -> Trace:
    return Square(cycle_s=2.0 ** rng.uniform(-9, 1))


def _jump(start_s: float, end_s: float, rng: random.Random) -> Trace:
    return Jump(at_s=rng.uniform(start_s, end_s))


def _ramp(start_s: float, end_s: float, rng: random.Random) -> Trace:
    return Ramp(rise_s=rng.uniform(0.1, 5))


def _constant(start_s: float, end_s: float, rng: random.Random) -> Trace:
    return Constant(rng.uniform(IDLE_W, 400))


TRACES: dict[str, Callable[[float, float, random.Random], Trace]] = {
    "constant": _constant,
    "step": _jump,
    "square": _square,
    "ramp": _ramp,
}


def windows(
    period_s: float, trace: str, n: int, shortest_s: float = 0.02, longest_s: float = 3.0
) -> Iterator[tuple[float, float, CounterEnergy | Refusal]]:
    """Random windows: their length, true energy, and what the edges tell.

    As in a recording, idle power and a sensor (25 of every 100 ms) were seen too.
    """
    rng = random.Random(f"{period_s} {trace}")
    for _ in range(n):
        length_s = math.exp(rng.uniform(math.log(shortest_s), math.log(longest_s)))
        start_s = 2 + rng.random()
        end_s = start_s + length_s
        counter = Counter(TRACES[trace](start_s, end_s, rng), period_s, rng.random() * period_s)
        before_s, after_s = start_s - max(0.5, 10 * period_s), end_s + 2.5 * period_s
        edges, _ = watched(counter.shown_j, before_s, after_s, rng)
        updates_s = [before_s + 0.1 * i for i in range(1, int((after_s - before_s) * 10))]
        seen_w = [IDLE_W, *(counter.true_j(t - 0.025, t) / 0.025 for t in updates_s)]
        yield (
            length_s,
            counter.true_j(start_s, end_s),
            energy_between(edges, start_s, end_s, seen_w=seen_w),
        )


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("period_s", PERIODS_S)
def test_the_truth_lies_in_the_stated_interval(period_s: float, trace: str) -> None:
    stated = [
        abs(found.energy_j - true_j) <= found.error_j
        for _, true_j, found in windows(period_s, trace, 150)
        if isinstance(found, CounterEnergy)
    ]
    assert len(stated) > 75
    assert sum(stated) >= 0.99 * len(stated)


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("period_s", PERIODS_S)
def test_a_window_shorter_than_the_period_is_refused(period_s: float, trace: str) -> None:
    for _, _, found in windows(period_s, trace, 40, 0.1 * period_s, period_s):
        assert isinstance(found, Refusal)
        assert found.reason.startswith("window too short")


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("period_s", PERIODS_S)
def test_from_fifty_periods_on_the_energy_is_known_to_two_percent(
    period_s: float, trace: str
) -> None:
    for _, true_j, found in windows(period_s, trace, 30, 50 * period_s, 80 * period_s):
        assert isinstance(found, CounterEnergy)
        assert abs(found.energy_j / true_j - 1) < 0.02


@pytest.mark.parametrize("trace", TRACES)
@pytest.mark.parametrize("period_s", PERIODS_S)
def test_the_period_is_estimated_within_ten_percent(period_s: float, trace: str) -> None:
    for _, _, found in windows(period_s, trace, 40, 2 * period_s):
        assert isinstance(found, CounterEnergy)
        assert found.period_s == pytest.approx(period_s, rel=0.10)


def test_a_window_that_begins_and_ends_with_the_load_has_no_bias() -> None:
    """A straight line between edges leaves out a third of a period of the load at every window."""
    errors: list[float] = []
    rng = random.Random(0)
    for _ in range(100):
        start_s = 1 + rng.random()
        load = _Load(start_s, start_s + 1.0)
        counter = Counter(load, 0.1)
        edges, _ = watched(counter.shown_j, start_s - 0.5, start_s + 1.35, rng)
        found = energy_between(edges, start_s, start_s + 1.0)
        assert isinstance(found, CounterEnergy)
        errors.append(found.energy_j / 400.0 - 1)
    assert abs(sum(errors) / len(errors)) < 0.002
    assert max(map(abs, errors)) < 0.01


class _Load:
    """70 W, and 400 W for a while."""

    def __init__(self, start_s: float, end_s: float) -> None:
        self.start_s, self.end_s = start_s, end_s

    def energy_j(self, t_s: float) -> float:
        return 70 * t_s + 330 * max(0.0, min(t_s, self.end_s) - self.start_s)


def _even(n: int = 30, period_s: float = 0.1, power_w: float = 200.0) -> list[Edge]:
    """Edges of a constant power, each known to a millisecond."""
    return [Edge(i * period_s - 1e-3, i * period_s, i * period_s * power_w) for i in range(n)]


def test_the_bound_is_the_period_times_the_range_of_power() -> None:
    edges = _even()
    constant = energy_between(edges, 0.55, 2.55)
    with_idle = energy_between(edges, 0.55, 2.55, seen_w=[50.0])
    assert isinstance(constant, CounterEnergy)
    assert isinstance(with_idle, CounterEnergy)
    assert constant.energy_j == pytest.approx(400.0, rel=1e-3)
    assert with_idle.error_j - constant.error_j == pytest.approx(0.1 * 150, rel=1e-3)


def test_what_is_not_known_of_the_edges_widens_the_bound() -> None:
    sharp, blunt = _even(), [Edge(e.after_s - 0.02, e.seen_s, e.energy_j) for e in _even()]
    bounds: list[float] = []
    for edges in (sharp, blunt):
        found = energy_between(edges, 0.55, 2.55)
        assert isinstance(found, CounterEnergy)
        bounds.append(found.error_j)
    assert bounds[1] > 10 * bounds[0]


def test_a_counter_that_goes_backwards_in_the_window_is_refused() -> None:
    edges = [Edge(e.after_s, e.seen_s, e.energy_j % 300) for e in _even()]
    found = energy_between(edges, 0.55, 2.55)
    assert isinstance(found, Refusal)
    assert "went backwards by 280 J" in found.reason


def test_a_counter_that_was_reset_outside_the_window_is_no_harm() -> None:
    edges = _even()
    before = [Edge(e.after_s, e.seen_s, e.energy_j + 1e6 * (e.seen_s < 0.3)) for e in edges]
    after = [Edge(e.after_s, e.seen_s, e.energy_j % 560) for e in edges]
    for reset in (before, after):
        found = energy_between(reset, 0.55, 2.45)
        assert isinstance(found, CounterEnergy)
        assert found.energy_j == pytest.approx(380.0, rel=1e-3)


def test_power_of_twice_the_limit_is_a_broken_counter() -> None:
    found = energy_between(_even(power_w=900.0), 0.55, 2.55, limit_w=400.0)
    assert isinstance(found, Refusal)
    assert "over twice the power limit of 400 W" in found.reason
    assert isinstance(
        energy_between(_even(power_w=700.0), 0.55, 2.55, limit_w=400.0), CounterEnergy
    )


def test_a_counter_that_stands_still_is_refused_and_is_never_zero_joules() -> None:
    found = energy_between([], 0.5, 2.5)
    assert isinstance(found, Refusal)
    assert "did not change" in found.reason


def test_a_window_that_reaches_beyond_the_edges_is_refused() -> None:
    edges = _even()
    assert isinstance(energy_between(edges, -0.5, 2.5), Refusal)
    assert isinstance(energy_between(edges, 0.5, 3.5), Refusal)


def test_missed_updates_do_not_lengthen_the_period() -> None:
    edges = [e for i, e in enumerate(_even()) if i % 7 != 3]
    assert estimate_period_s(edges) == pytest.approx(0.1, rel=1e-3)


def test_a_recorder_that_was_held_up_widens_the_bound_and_keeps_the_truth_inside() -> None:
    rng = random.Random(3)
    counter = Counter(Constant(250.0), 0.02)
    inside = 0
    for _ in range(100):
        start_s = 1 + rng.random()
        edges, _ = watched(counter.shown_j, start_s - 0.5, start_s + 1.06, rng, late_s=0.05)
        found = energy_between(edges, start_s, start_s + 1)
        if isinstance(found, Refusal):
            inside += 1
            continue
        inside += abs(found.energy_j - 250.0) <= found.error_j
    assert inside == 100


def test_once_the_period_is_known_the_counter_is_read_only_around_its_edges() -> None:
    rng = random.Random(5)
    for period_s, most_hz in ((0.01, 250), (0.02, 130), (0.1, 30)):
        counter = Counter(Constant(), period_s)
        _, first = watched(counter.shown_j, 0, 1, rng)
        edges, both = watched(counter.shown_j, 0, 11, rng)
        assert (both - first) / 10 < most_hz
        assert len(edges) == pytest.approx(11 / period_s, rel=0.02)


def test_an_edge_is_known_to_two_milliseconds_where_nothing_holds_the_recorder_up() -> None:
    edges, _ = watched(Counter(Constant(), 0.1).shown_j, 0, 20, random.Random(0), late_s=0.0)
    assert max(e.bracket_s for e in edges) < 2e-3


def test_a_finder_without_readings_reads_at_once_and_fast() -> None:
    finder = EdgeFinder()
    assert finder.wait_s(0.0) <= 2e-3
    assert not finder.take()
