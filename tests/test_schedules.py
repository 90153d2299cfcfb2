"""Schedules in closed form: torch's own where it has them, and what happens at their ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from traincost_suites.schedules import (
    FACTOR,
    NAMES,
    SCHEDULES,
    WINDOW,
    Plateau,
    one_cycle,
    rising,
    scheduled,
    step_decay,
    warm_up_cosine,
)

STEPS = 100


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


def test_one_cycle_is_torchs() -> None:
    optimizer = sgd()
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=STEPS, cycle_momentum=False
    )
    for t in range(STEPS):
        assert one_cycle(t, STEPS) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        if t < STEPS - 1:
            theirs.step()


def test_after_the_warm_up_the_cosine_is_torchs() -> None:
    optimizer = sgd()
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - 11)
    for t in range(10, STEPS):
        assert warm_up_cosine(t, STEPS) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        theirs.step()


def test_the_warm_up_rises_evenly_to_the_peak_and_never_stands_still() -> None:
    shares = [warm_up_cosine(t, STEPS) for t in range(11)]
    assert shares[0] == pytest.approx(1 / 11)
    assert shares[-1] == 1.0
    assert all(b - a == pytest.approx(1 / 11) for a, b in pairwise(shares))


def test_step_decay_goes_down_by_ten_at_half_and_at_three_quarters() -> None:
    assert [step_decay(t, STEPS) for t in (0, 49, 50, 74, 75, 99)] == [1, 1, 0.1, 0.1, 0.01, 0.01]


def test_the_range_test_rises_evenly_in_its_logarithm() -> None:
    assert rising(0, STEPS) == pytest.approx(1e-8)
    assert rising(STEPS - 1, STEPS) == 1.0
    assert rising(50, STEPS) / rising(49, STEPS) == pytest.approx(1e8 ** (1 / 99))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 10, 600])
def test_no_schedule_exceeds_its_peak_and_each_can_be_asked_beyond_its_end(
    name: str, steps: int
) -> None:
    optimizer = sgd()
    schedule = scheduled(name, optimizer, 1.0, steps)
    rates: list[float] = []
    for _ in range(3 * steps):
        schedule.before()
        rates.append(optimizer.param_groups[0]["lr"])
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    assert max(rates) == pytest.approx(1.0) or steps < 10
    assert len(set(rates[steps - 1 :])) == 1


def test_the_rate_of_a_step_is_set_before_it() -> None:
    optimizer = sgd()
    schedule = scheduled("step-decay", optimizer, 2.0, 4)
    rates: list[float] = []
    for _ in range(4):
        schedule.before()
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.after(torch.zeros(()))
    assert rates == pytest.approx([2.0, 2.0, 0.2, 0.02])


def test_a_plateau_halves_the_rate_and_a_falling_loss_does_not() -> None:
    optimizer = sgd()
    schedule = Plateau(optimizer, 1.0)
    for step in range(5 * WINDOW):
        schedule.after(torch.tensor(1.0 / (1 + step)))
    assert optimizer.param_groups[0]["lr"] == 1.0
    for _ in range(3 * WINDOW):
        schedule.after(torch.tensor(1.0))
    assert optimizer.param_groups[0]["lr"] == FACTOR


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match=f"schedule 'square': expected one of {', '.join(NAMES)}"):
        scheduled("square", sgd(), 0.1, 10)
