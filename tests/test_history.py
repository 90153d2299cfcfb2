"""Days of recordings in bounded memory: the same energy, the same bound, the same period."""

import random
from dataclasses import replace

import pytest

from traincost.instruments import history
from traincost.instruments.edges import CounterEnergy, Edge, Refusal, energy_between
from traincost.instruments.gpu_memory import Process
from traincost.instruments.gpu_state import GpuState
from traincost.instruments.history import History, merged
from traincost.instruments.power import PowerReading
from traincost.instruments.recording import Recording

PERIOD_S = 0.02
START_S, END_S = 1.005, 1999.013


def edges(n: int, rng: random.Random) -> list[Edge]:
    """A counter's, whose power is another one in each period."""
    energy_j, found = 0.0, list[Edge]()
    for i in range(n):
        energy_j += rng.uniform(100, 300) * PERIOD_S
        found.append(Edge(i * PERIOD_S - 5e-4, i * PERIOD_S + 5e-4, energy_j))
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("at_once", [50, 7000])
def test_thinned_edges_have_the_energy_and_the_bound_of_all(at_once: int) -> None:
    all_edges = edges(100_000, random.Random(0))
    kept = History()
    for i in range(0, len(all_edges), at_once):
        kept.add(Recording(edges=tuple(all_edges[i : i + at_once])))
        assert len(kept.edges) <= history.MOST_EDGES
    whole = energy_between(all_edges, START_S, END_S)
    thinned = kept.energy(START_S, END_S)
    assert isinstance(whole, CounterEnergy)
    assert isinstance(thinned, CounterEnergy)
    assert thinned.energy_j == pytest.approx(whole.energy_j, rel=1e-9)
    assert thinned.error_j == pytest.approx(whole.error_j, rel=0.02)
    assert thinned.period_s == pytest.approx(PERIOD_S, rel=1e-3)


@pytest.mark.thorough
@pytest.mark.parametrize("at", [700, 701, 40_000, 40_001, 99_000])
def test_a_counter_that_went_backwards_is_refused_however_long_ago(at: int) -> None:
    all_edges = edges(100_000, random.Random(1))
    reset = [replace(e, energy_j=e.energy_j - all_edges[at].energy_j) for e in all_edges[at:]]
    kept = History()
    whole = [*all_edges[:at], *reset]
    for i in range(0, len(whole), 100):
        kept.add(Recording(edges=tuple(whole[i : i + 100])))
    assert len(kept.edges) <= history.MOST_EDGES
    found = kept.energy(START_S, END_S)
    assert isinstance(found, Refusal)
    assert "went backwards" in found.reason


def test_a_counter_that_falls_all_the_time_does_not_hold_the_watching_up() -> None:
    kept = History()
    falling = tuple(Edge(float(i), i + 0.1, -float(i)) for i in range(3000))
    kept.add(Recording(edges=falling))
    assert isinstance(kept.energy(1.5, 2000.5), Refusal)


def powers(first_s: float, last_s: float, power_w: float) -> tuple[PowerReading, ...]:
    count = round((last_s - first_s) / 0.1)
    times = [first_s + 0.1 * i for i in range(count)]
    return tuple(PowerReading(int(t * 1e6), t - 0.025, t, power_w) for t in times)


def test_the_sensor_counts_only_what_it_averaged_between_start_and_end() -> None:
    """Before and after it was idle."""
    kept = History()
    facts = {"name": "NVIDIA H100 80GB HBM3", "power_limit_w": 700.0}
    kept.add(Recording(facts=facts, powers=powers(0.0, 1.0, 70.0)))
    kept.add(Recording(powers=powers(1.0, 3.0, 400.0)), 1.0, 2.9)
    kept.add(Recording(powers=powers(3.0, 4.0, 70.0)), 1.0, 2.9)
    found = kept.sensor(2.0)
    assert not isinstance(found, Refusal)
    assert found.mean_w == pytest.approx(400.0)
    assert found.energy_j == pytest.approx(800.0)
    assert found.coverage == pytest.approx(0.25, rel=0.01)


def test_a_few_readings_of_the_sensor_are_not_worth_a_comparison() -> None:
    kept = History()
    kept.add(Recording(powers=powers(1.0, 1.5, 400.0)), 0.5, 3.0)
    assert isinstance(kept.sensor(1.0), Refusal)


def test_power_that_the_sensor_saw_is_in_the_bound() -> None:
    seen, unseen = History(), History()
    for one, power_w in ((seen, 600.0), (unseen, 200.0)):
        one.add(Recording(edges=tuple(edges(100, random.Random(2))), powers=powers(0, 1, power_w)))
    wide, narrow = (one.energy(0.5, 1.5) for one in (seen, unseen))
    assert isinstance(wide, CounterEnergy)
    assert isinstance(narrow, CounterEnergy)
    assert wide.error_j - narrow.error_j > PERIOD_S * 250


def test_states_are_merged_and_nothing_that_slowed_the_gpu_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "MOST_STATES", 8)
    kept = History()
    for i in range(101):
        reasons, temperature_c = (0x40, 91.0) if i == 37 else (0, 50.0)
        state = GpuState(float(i), reasons, 1.5e9, temperature_c)
        kept.add(Recording(states=(state,)))
        assert len(kept.states) <= 9
    assert {s.reasons for s in kept.states} == {0, 0x40}
    assert max(s.temperature_c or 0 for s in kept.states) == 91.0
    assert {s.sm_clock_hz for s in kept.states} == {1.5e9}


def test_a_merged_state_has_what_either_saw_and_the_mean_clock() -> None:
    a = GpuState(1.0, 0x1, 1e9, 40.0, 700.0, 1, 0, (Process(1, 5), Process(2, None)), 10)
    b = GpuState(2.0, 0x4, 2e9, None, None, 3, None, (Process(1, 3), Process(3, 7)), None)
    processes = (Process(1, 5), Process(2, None), Process(3, 7))
    assert merged(a, b) == GpuState(2.0, 0x5, 1.5e9, 40.0, 700.0, 3, 0, processes, 10)
