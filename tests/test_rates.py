"""Rates and shares of the peak."""

from traincost.machine.peaks import Peak
from traincost.rates import FROM_CACHE, NO_PEAK, TOO_LOW_A_PEAK, Counts, rates

COUNTS = Counts(samples=8, tokens=80, flops=3000, model_flops=2000, traffic_bytes=500)


def test_rates_are_counts_over_the_time_of_a_step() -> None:
    r = rates(COUNTS, 2.0, Peak(10_000.0, 1000.0, "datasheet"))
    assert (r.samples_per_s, r.tokens_per_s, r.flops_per_s) == (4.0, 40.0, 1500.0)
    assert r.intensity_flop_per_byte == 6.0
    assert (r.mfu, r.hfu, r.bandwidth_utilization) == (0.1, 0.15, 0.25)
    assert (r.peak_flops_per_s, r.peak_bytes_per_s, r.peak_source) == (
        10_000.0,
        1000.0,
        "datasheet",
    )
    assert not r.notes


def test_without_a_peak_the_shares_are_empty_and_the_note_says_what_to_run() -> None:
    r = rates(COUNTS, 2.0, None)
    assert (r.mfu, r.hfu, r.bandwidth_utilization, r.peak_source) == (None, None, None, None)
    assert r.notes == {"mfu": NO_PEAK, "bandwidth_utilization": NO_PEAK}


def test_flops_that_could_not_be_counted_leave_their_rates_empty() -> None:
    r = rates(Counts(8, None, None, None, 500), 2.0, Peak(10_000.0, 1000.0, "measured"))
    assert (r.flops_per_s, r.intensity_flop_per_byte, r.mfu, r.hfu, r.tokens_per_s) == (None,) * 5


def test_no_flops_at_all_is_a_count_and_not_a_missing_one() -> None:
    r = rates(Counts(8, None, 0, 0, 500), 2.0, Peak(10_000.0, 1000.0, "measured"))
    assert (r.flops_per_s, r.intensity_flop_per_byte, r.mfu) == (0.0, 0.0, 0.0)


def test_more_traffic_than_memory_could_move_is_left_out_and_explained() -> None:
    r = rates(COUNTS, 0.1, Peak(1e9, 1000.0, "measured"))
    assert r.bandwidth_utilization is None
    assert r.notes == {"bandwidth_utilization": FROM_CACHE}


def test_more_than_the_peak_is_shown_and_doubted() -> None:
    r = rates(COUNTS, 0.1, Peak(1000.0, 1e9, "measured"))
    assert r.mfu == 20.0
    assert r.notes == {"mfu": TOO_LOW_A_PEAK}
