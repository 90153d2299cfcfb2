"""From ranks to a row: sums, maxima, efficiencies; what a rank takes of a batch."""

from dataclasses import replace

import pytest
from rank_orders import order

from traincost.data.record import Record
from traincost.instruments.arithmetic import Arithmetic
from traincost.instruments.energy import Energy
from traincost.instruments.memory import Memory
from traincost.measure import Measured, Timing, Work
from traincost.parallel.merge import communication_metrics, efficiencies, merged, rank_metrics
from traincost.parallel.order import Order, Outcome
from traincost.parallel.passes import Communication, RankResult
from traincost.parallel.rank_work import RankWork
from traincost.parallel.together import Place
from traincost_suites.parallel.step import rank_samples
from traincost_suites.parallel.strategies import strategy

BUILT = RankWork(Work(lambda: None, 4, "step"))


def result(own_s: float, live_bytes: int, energy: Energy, bus_bytes: float = 10.0) -> RankResult:
    """A rank that took `own_s` in each of three rounds whose slowest rank took 2 s."""
    timing = Timing(3.0 * own_s, (2.0, 2.0, 2.0), 1, True)
    counted = Arithmetic(7, 100, 90, "as always", 1000, 500)
    memory = Memory(live_bytes, 2 * live_bytes, None, None)
    measured = Measured(timing, counted, None, memory, energy=energy)
    talk = Communication(2, 8, bus_bytes, 0.5 * own_s)
    return RankResult(measured, (own_s,) * 3, talk, hidden_bytes=1)


TWO = (
    result(1.0, 40, Energy(gpu_energy_j=3.0, cpu_energy_j=5.0, power_mean_w=200.0)),
    result(2.0, 60, Energy(gpu_energy_j=4.0, throttle_reasons="SW power cap", throttled=True)),
)


def test_energy_is_added_up_over_devices_and_throttled_if_one_was() -> None:
    energy = merged(TWO, BUILT).energy
    assert (energy.gpu_energy_j, energy.cpu_energy_j) == (7.0, 5.0)
    assert (energy.throttled, energy.throttle_reasons) == (True, "SW power cap")
    assert energy.power_mean_w is None  # of one device it is not known


def test_the_energy_of_all_is_not_known_where_that_of_one_is_not() -> None:
    blind = result(1.0, 40, Energy(notes={"gpu_energy_j": "no counter"}))
    energy = merged((TWO[0], blind), BUILT).energy
    assert energy.gpu_energy_j is None
    assert energy.notes["gpu_energy_j"] == "no counter"


def test_memory_is_that_of_the_rank_that_needs_most_and_arithmetic_that_of_all() -> None:
    found = merged(TWO, BUILT)
    assert (found.memory.live_before_bytes, found.memory.step_peak_bytes) == (61, 120)
    assert found.arithmetic is not None
    assert (found.arithmetic.flops, found.arithmetic.model_flops) == (200, 180)
    assert (found.arithmetic.ops_bytes, found.arithmetic.aten_ops) == (2000, 7)
    assert found.timing.first_step_s == 6.0


def test_what_is_computed_on_every_rank_is_not_the_models() -> None:
    found = merged(TWO, replace(BUILT, replicated=True)).arithmetic
    assert found is not None
    assert (found.flops, found.model_flops) == (200, None)
    assert "every rank" in found.notes["model_flops"]


def test_bandwidth_is_bus_bytes_over_the_time_of_the_collectives_alone() -> None:
    found = communication_metrics(TWO)
    assert found["comm_time_s"] == 1.0
    assert found["comm_step_share"] == 0.5
    assert found["comm_bus_bytes_per_s"] == 10.0


def test_the_spread_is_of_the_ranks_own_times() -> None:
    found = rank_metrics(TWO)
    assert found == {"rank_time_spread_rel": 0.5, "all_ranks_live_bytes": 102}


def row(world_size: int, batch_size: int, time_s: float, strategy: str, **more: str) -> Record:
    return Record(
        run_id="r",
        started_at="now",
        suite="parallel",
        case_id=f"{strategy}-{world_size}-{batch_size}",
        batch_size=batch_size,
        world_size=world_size,
        time_median_s=time_s,
        axes={"strategy": strategy},
        **{"model": "gpt", **more},  # type: ignore[arg-type]
    )


ONES = (row(1, 8, 4.0, "single"), row(1, 16, 10.0, "single"))


def test_strong_scaling_shares_one_ranks_batch_and_weak_scaling_multiplies_it() -> None:
    found = efficiencies(row(2, 16, 6.25, "ddp"), ONES, "single")
    assert found == {
        "strong_scaling_efficiency": 10.0 / (2 * 6.25),
        "weak_scaling_efficiency": 4.0 / 6.25,
    }


@pytest.mark.parametrize(
    "other",
    [
        row(1, 16, 10.0, "ddp"),
        row(1, 16, 10.0, "single", model="mlp"),
        row(1, 16, 10.0, "single", dtype="bf16"),
        row(1, 16, 10.0, "single", status="error"),
        row(2, 16, 10.0, "single"),
    ],
)
def test_an_efficiency_is_only_against_the_same_work_on_one_rank(other: Record) -> None:
    assert efficiencies(row(2, 16, 6.25, "ddp"), (other,), "single") == {}


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_ranks_together_take_every_sample_once(ranks: int) -> None:
    taken = [i for r in range(ranks) for i in rank_samples(Place(r, r, ranks), 8, replicated=False)]
    assert taken == list(range(8))


@pytest.mark.parametrize("batch_size", [1, 9])
def test_a_batch_that_ranks_cannot_share_equally_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size {batch_size} on 2 ranks: expected a mult"):
        rank_samples(Place(0, 0, 2), batch_size, replicated=False)


def test_an_unknown_strategy_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="strategy 'fdsp': expected one of single, ddp"):
        strategy("fdsp")


def test_orders_and_outcomes_arrive_as_they_were_sent() -> None:
    sent = order("ddp", 2)
    arrived = Order.from_bytes(sent.to_bytes())
    assert (arrived.case.axes, arrived.arguments) == (dict(sent.case.axes), sent.arguments)
    assert arrived.function.__name__ == "parallel_step"
    outcome = Outcome(replace(ONES[0], metrics={"comm_calls": 2.0}), (1.0, 2.0))
    assert Outcome.from_bytes(outcome.to_bytes()) == outcome
