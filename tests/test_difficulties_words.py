"""What the page of difficulties says of noise, and of searches that missed their target."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from difficulties import machine, tuning
from difficulties.rows import REFERENCE, rows_of, those

from traincost.data.record import Record

pytestmark = pytest.mark.skipif(not REFERENCE.exists(), reason="no reference run lies here")


@pytest.fixture(scope="module")
def row() -> Record:
    return those(rows_of("gradients"), "time", cell="rnn", seq_len=256, rate="0.1")[0]


def timed(row: Record, case: str, time_s: float) -> Record:
    return replace(row, case_id=f"gradients/time[{case}]", time_min_s=time_s)


def test_rows_that_differ_in_seed_or_rate_only_are_of_the_same_work(row: Record) -> None:
    rows = [timed(row, "cell=rnn,rate=1,seed=2", 3.0), timed(row, "cell=rnn", 2.0)]
    assert machine.apart(rows) == [0.5]
    assert machine.apart([*rows, timed(row, "cell=rnn,rate=1e-3", 4.0)]) == [1.0]


def test_a_training_that_diverged_at_once_says_nothing_of_noise(row: Record) -> None:
    rows = [timed(row, "cell=rnn", 1.0), replace(timed(row, "cell=rnn,seed=1", 9.0), rounds=1)]
    assert machine.apart(rows) == []


def test_rows_that_differ_in_anything_else_say_nothing_of_noise(row: Record) -> None:
    rows = [timed(row, f"cell={cell}", time_s) for cell, time_s in (("rnn", 1.0), ("gru", 9.0))]
    assert machine.apart(rows) == []
    remedies = [timed(row, f"other_rate={i},x=1", float(i)) for i in (1, 2)]
    assert machine.apart(remedies) == []


def test_a_search_that_missed_counts_above_all_that_did_not_and_is_in_no_range() -> None:
    reached = [r for r in rows_of("tuning") if r.steps_to_target is not None][:3]
    dear, cheap, middle = (
        replace(r, metrics={**r.metrics, tuning.COST: cost})
        for r, cost in zip(reached, (9.0, 1.0, 4.0), strict=True)
    )
    missed = replace(cheap, steps_to_target=None)
    price = tuning.price_of([dear, cheap, middle, missed])
    assert price == tuning.Price(median=6.5, low=1.0, high=9.0)
    half = tuning.price_of([dear, missed])
    assert half is not None and math.isinf(half.median)
    assert half.text().startswith("more than 9")
    assert tuning.price_of([missed]) is None


def test_a_search_is_timed_out_by_its_own_limit_only() -> None:
    found = rows_of("tuning")[0]
    late = replace(found, metrics={**found.metrics, "search_time_s": tuning.LIMIT_S})
    assert tuning.timed_out([late, replace(late, suite="gradients")]) == [late]
