"""Forecasts: of a made-up machine whose truth is known, and what they say of themselves."""

import math
from dataclasses import replace

import numpy as np
import pytest
from forecast_rows import S_PER_FLOP, flops, memory_bytes, peaks, row, steps, time_s

from traincost.data.case import family_of
from traincost.data.errors import BadInputError
from traincost.data.record import Record
from traincost.judge.forecast.backtest import backtest, backtest_all
from traincost.judge.forecast.choosing import Wanted, choose, machine_names
from traincost.judge.forecast.fitting import Fit
from traincost.judge.forecast.held import Held, scores
from traincost.judge.forecast.model import Limits
from traincost.judge.forecast.plan import Forecast, Request, forecast, usual_batch
from traincost.judge.forecast.points import kinds
from traincost.judge.forecast.series import bounded, series_of
from traincost.judge.forecast.terms import Prices
from traincost.judge.scaling import Scaling, fit_scaling

ANY = Wanted()


def forecast_of(rows: list[Record], request: Request) -> Forecast:
    kind, points = choose(kinds(rows), ANY, machine_names(rows), tokens=True)
    return forecast(kind, points, request)


@pytest.mark.thorough
def test_time_and_memory_of_an_unmeasured_size_are_those_of_the_law() -> None:
    told = forecast_of(steps(), Request(1e8, tokens=1e9, batch_size=8))
    assert told.step.value == pytest.approx(time_s(1e8, 8), rel=0.02)
    assert told.memory is not None
    assert told.memory.value == pytest.approx(memory_bytes(1e8, 8), rel=0.02)
    assert told.energy is not None
    assert told.energy.value == pytest.approx(100 * told.time.value, rel=0.02)


def test_a_run_has_as_many_steps_as_its_tokens_need() -> None:
    told = forecast_of(steps(), Request(1e8, tokens=128 * 8 * 1000 + 1, batch_size=8))
    assert told.steps == 1001
    assert told.time.value == pytest.approx(1001 * told.step.value)


@pytest.mark.thorough
def test_the_interval_grows_with_the_distance_from_the_data() -> None:
    rows = steps(noise_rel=0.03)
    widths = []
    for n_params in (1e7, 4e7, 1.6e8, 6.4e8):
        step = forecast_of(rows, Request(n_params, tokens=1e9)).step
        widths.append(math.log(step.high / step.low))
    assert widths == sorted(widths)
    assert widths[-1] > 1.5 * widths[0]


@pytest.mark.slow
def test_the_truth_is_within_the_interval_as_often_as_it_says() -> None:
    n = inside = 0
    for seed in range(40):
        told = forecast_of(steps(noise_rel=0.05, seed=seed), Request(4e7, tokens=1e9)).step
        inside += told.low <= time_s(4e7, 4) <= told.high
        n += 1
    assert inside / n >= 0.9


def test_money_and_carbon_follow_from_time_and_energy() -> None:
    told = forecast_of(
        steps(), Request(1e8, tokens=1e9, price_per_hour=2.0, carbon_g_per_kwh=400.0)
    )
    assert told.money is not None and told.carbon is not None and told.energy is not None
    assert told.money.value == pytest.approx(2 * told.time.value / 3600)
    assert told.carbon.value == pytest.approx(400 * told.energy.value / 3.6e6)


@pytest.mark.thorough
def test_what_does_not_fit_comes_with_the_largest_that_would() -> None:
    told = forecast_of(steps(), Request(1e8, tokens=1e9, batch_size=64, memory_bytes=1.5e9))
    assert told.room is not None and told.memory is not None
    assert told.room.fit is Fit.NO
    largest = told.room.largest_n_params
    assert largest is not None
    assert 0.7e9 < memory_bytes(largest, 64) <= 1.5e9
    assert told.room.largest_batch == 0  # the weights alone are 1.6 GB
    smaller = forecast_of(steps(), Request(1e7, tokens=1e9, batch_size=64, memory_bytes=1.5e9))
    assert smaller.room is not None and smaller.room.fit is Fit.YES


def test_what_the_interval_leaves_open_may_not_fit() -> None:
    asked = Request(1e8, tokens=1e9, batch_size=4)
    memory = forecast_of(steps(), asked).memory
    assert memory is not None and memory.high > 1.01 * memory.value
    for capacity, fit in (
        (memory.high * 1.001, Fit.YES),
        (memory.value * 1.001, Fit.MAYBE),
        (memory.value * 0.999, Fit.NO),
    ):
        room = forecast_of(steps(), replace(asked, memory_bytes=capacity)).room
        assert room is not None and room.fit is fit
        if room.largest_n_params is not None:
            largest = forecast_of(steps(), Request(room.largest_n_params, tokens=1e9)).memory
            assert largest is not None and largest.high <= capacity * 1.001


def test_a_batch_that_does_not_fit_comes_with_one_that_does() -> None:
    told = forecast_of(steps(), Request(1e7, tokens=1e9, batch_size=4096, memory_bytes=1e9))
    assert told.room is not None and told.room.fit is Fit.NO and told.room.largest_batch
    assert 0.6e9 < memory_bytes(1e7, told.room.largest_batch) <= 1e9


def test_four_models_at_one_batch_bound_the_memory_of_a_far_larger_one() -> None:
    rows = [
        replace(r, step_peak_bytes=round((r.step_peak_bytes or 0) * factor))
        for r, factor in zip(steps(batches=()), (1.2, 0.8, 1.2, 0.9), strict=True)
    ]
    memory = forecast_of(rows, Request(7e9, tokens=1e9)).memory
    assert memory is not None
    assert memory.high < 20 * memory_bytes(7e9, 4)  # 700 times beyond four points, 30% off


def test_no_energy_is_said_rather_than_guessed() -> None:
    rows = [replace(r, cpu_energy_j=None) for r in steps()]
    told = forecast_of(rows, Request(1e8, tokens=1e9))
    assert told.energy is None
    assert any("no energy" in note for note in told.notes)


def test_too_few_sizes_are_refused_with_what_to_measure() -> None:
    with pytest.raises(BadInputError, match=r"2 models.*expected.*3 models.*test_parameters"):
        forecast_of(steps(models=("10k", "100k")), Request(1e8, tokens=1e9))


@pytest.mark.thorough
def test_rows_of_other_work_do_not_count() -> None:
    rows = steps()
    slow = {"noise": 50.0, "run_id": "r1"}
    strange = [
        row("gpt-1M", 4, **slow, axes={"optimizer": "sgd"}),  # type: ignore[arg-type]
        row("gpt-1M", 4, **slow, dtype="bf16"),  # type: ignore[arg-type]
        row("gpt-1M", 4, **slow, status="error"),  # type: ignore[arg-type]
        row("gpt-1M", 4, **slow, status="unstable"),  # type: ignore[arg-type]
    ]
    told = forecast_of([*rows, *strange], Request(1e8, tokens=1e9))
    assert told.step == forecast_of(rows, Request(1e8, tokens=1e9)).step


def test_unstable_rows_count_where_there_is_nothing_better_and_are_named() -> None:
    rows = [replace(r, status="unstable") if r.batch_size == 1 else r for r in steps()]
    told = forecast_of(rows, Request(1e8, tokens=1e9))
    assert any("1 of 9 rows are unstable" in note for note in told.notes)


def test_a_kind_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(BadInputError, match=r"of lstm; the file has: gpt step eager cpu fp32"):
        choose(kinds(steps()), Wanted(family="lstm"), {}, tokens=True)


def test_the_usual_batch_is_the_one_of_the_parameter_sweep() -> None:
    (points,) = kinds(steps()).values()
    assert usual_batch(points) == 4


@pytest.mark.parametrize(
    ("model", "family"), [("gpt-10M", "gpt"), ("gpt50k-2.5M", "gpt50k"), ("resnet50", "resnet50")]
)
def test_a_family_is_a_model_without_its_size(model: str, family: str) -> None:
    assert family_of(model) == family


@pytest.mark.thorough
def test_a_backtest_never_sees_what_it_is_asked_for() -> None:
    def is_asked(held: Held) -> bool:
        return held.axis == "parameters" and "10,000,000" in held.what

    rows = steps(noise_rel=0.02)
    (kind,) = kinds(rows)
    before = {h.what: h for h in backtest(kind, kinds(rows)[kind]) if is_asked(h)}
    rows = [
        replace(r, time_median_s=9 * (r.time_median_s or 0)) if r.model == "gpt-10M" else r
        for r in rows
    ]
    after = {h.what: h for h in backtest(kind, kinds(rows)[kind]) if is_asked(h)}
    assert before
    for what, held in before.items():
        assert after[what].forecast == held.forecast
        assert after[what].actual == pytest.approx(9 * held.actual)


def test_a_backtest_of_an_exact_law_has_no_error() -> None:
    found = scores(backtest_all(steps()).held)
    assert {s.axis for s in found} >= {"parameters, to 12x", "batch, to 4x", "memory, batch, to 4x"}
    assert all(s.worst_error_rel < 0.03 for s in found)
    assert all(s.covered == 1 for s in found)


def epochs(times: list[float]) -> list[Record]:
    volumes = (64, 256, 1024, 4096)
    rows = [
        row("gpt-10k", 16, run_id="e", phase="epoch", case_id=f"d{v}", dataset_samples=v)
        for v in volumes
    ]
    return [replace(e, time_median_s=t) for e, t in zip(rows, times, strict=True)]


def test_epochs_are_forecast_over_the_data_volume() -> None:
    tested = backtest_all(epochs([0.01 + 1e-4 * v for v in (64, 256, 1024, 4096)]))
    (held,) = [h for h in tested.held if h.axis == "data, one model"]
    assert held.beyond == 4
    assert held.error_rel == pytest.approx(0, abs=0.001)


def test_a_series_that_tells_nothing_is_refused_with_words() -> None:
    tested = backtest_all(epochs([0.14, 0.05, 0.73, 2.2]))
    assert [h for h in tested.held if h.axis == "data, one model"] == []
    (why,) = tested.refused
    assert "scatter too much" in why and "expected more sizes" in why


def test_no_series_is_told_beyond_what_a_fixed_and_a_growing_part_can_be() -> None:
    known = [(64, 0.14), (256, 0.23), (1024, 0.3)]
    law = fit_scaling([x for x, _ in known], [t for _, t in known], exponent=1.0)
    assert isinstance(law, Scaling)
    told, low, high = bounded(law, known, 4096)
    slack = math.exp(2 * law.scatter_rel)
    assert low == pytest.approx(0.3 / slack)  # no less than the last
    assert high == pytest.approx(4 * 0.3 * slack)  # nor more than in proportion
    assert low < told < high


def test_series_of_other_kinds_are_apart() -> None:
    rows = [row("gpt-1M", b) for b in (1, 4, 16)]
    for name, value in (("world_size", 2), ("seq_len", 1024), ("matmul_precision", "tf32")):
        rows += [replace(r, **{name: value}) for r in rows[:3]]  # type: ignore[arg-type]
    assert [len(points) for points in series_of(rows).values()] == [3, 3, 3, 3]


def test_distance_counts_a_large_model_at_a_large_batch() -> None:
    beyond = forecast_of(steps(), Request(1e7, tokens=1e9, batch_size=32)).beyond
    assert beyond == pytest.approx(8, rel=0.02)  # in FLOPs of the largest step measured
    far = forecast_of(steps(), Request(1e8, tokens=1e9, batch_size=320))
    assert far.beyond == pytest.approx(800, rel=0.02)
    assert any("times as large as anything measured" in note for note in far.notes)


def test_no_step_is_told_to_be_faster_than_the_machine() -> None:
    rows = steps(noise_rel=0.3, seed=2)
    kind, points = choose(kinds(rows), ANY, {}, tokens=True)
    limits = Limits(flops_per_s=1 / S_PER_FLOP, bytes_per_s=1e12, dispatch_s=None)
    told = forecast(kind, points, Request(1e9, tokens=1e9, batch_size=4), limits=limits)
    assert told.step.low >= flops(1e9, 4) * S_PER_FLOP * 0.99
    free = forecast(kind, points, Request(1e9, tokens=1e9, batch_size=4))
    assert free.step.low < told.step.low


def test_whatever_prices_are_drawn_a_step_stays_between_multiples_of_measured_ones() -> None:
    amounts = np.array([[100.0, 1e6], [200.0, 1e7]])
    prices = Prices(
        prices=np.array([1e-3, 0.0]),
        draws=np.array([[1e-9, 0.0], [1.0, 1.0]]),  # one far too cheap, one far too dear
        residuals=np.zeros(1),
        scatter_rel=0.1,
        amounts=amounts,
        costs=np.array([0.1, 0.2]),
    )
    asked = np.array([[400.0, 1e8], [400.0, 1e8]])
    low, high = np.exp(prices.log_costs(asked, 0))
    assert low == pytest.approx(0.4 * math.exp(-0.2))  # twice the launches of the larger one
    assert high == pytest.approx(2.0 * math.exp(0.2))  # ten times its FLOPs


def test_energy_of_fewer_sources_never_counts_as_whole() -> None:
    full = [replace(r, gpu_energy_j=3 * (r.cpu_energy_j or 0), device="cuda") for r in steps()]
    part = [replace(r, gpu_energy_j=None) if i < 2 else r for i, r in enumerate(full)]
    told = forecast_of(part, Request(1e8, tokens=1e9))
    assert told.energy is not None
    assert told.energy.value == pytest.approx(400 * told.time.value, rel=0.02)
    assert any("energy is that of the GPU and CPU, by 7 of 9 rows" in n for n in told.notes)
    none = forecast_of([replace(r, gpu_energy_j=None) for r in full], Request(1e8, tokens=1e9))
    assert any("of the CPU alone, by 9 of 9 rows: not the GPU's" in n for n in none.notes)


def test_memory_that_is_left_out_is_said() -> None:
    for column in ("live_before_bytes", "step_peak_bytes"):
        rows = [replace(r, **{column: 0}) for r in steps()]  # type: ignore[arg-type]
        told = forecast_of(rows, Request(1e8, tokens=1e9))
        assert told.memory is None
        assert any(column in note for note in told.notes)


def test_peaks_are_not_steps() -> None:
    assert kinds(peaks()) == {}
