"""Looks: what is decided drops out, and no error is spent twice."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traincost.judge.family import Family
from traincost.judge.rule import Judged, Rule, Verdict
from traincost.judge.sequential import Looks, Sequential


def ratios(**effects: float) -> dict[str, list[float]]:
    """24 log ratios a case, with a spread of 1.4%."""
    rng = np.random.default_rng(3)
    return {c: list(math.log1p(e) + 0.014 * rng.standard_normal(24)) for c, e in effects.items()}


@given(st.lists(st.integers(1, 200), min_size=1, unique=True).map(sorted), st.floats(0.5, 3))
def test_the_looks_share_out_the_whole_error_and_no_more(pairs: list[int], rho: float) -> None:
    looks = Looks(tuple(pairs), rho)
    spent = [looks.spent(i) for i in range(len(pairs))]
    for number, first in ((0, 6), (1, 4)):
        shares = [s[number] for s in spent]
        assert all(s >= 0 for s in shares)
        assert sum(shares) == pytest.approx(1.0 if pairs[-1] >= first else 0.0)
        assert all(s == 0 for s, n in zip(shares, pairs, strict=True) if n < first)


def test_looks_within_a_budget_end_at_it() -> None:
    assert Looks().within(10).pairs == (4, 6, 8, 10)
    assert Looks().within(3).pairs == (3,)
    assert Looks().within(100) == Looks()


@pytest.mark.parametrize("pairs", [(), (0, 4), (4, 4), (6, 4)])
def test_looks_that_do_not_rise_are_refused(pairs: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rising"):
        Looks(pairs)


def test_decided_cases_drop_out_and_the_slow_one_is_called() -> None:
    d = ratios(a=0.0, b=0.0, c=0.0, slow=0.08, d=0.0)
    sequential = Sequential(list(d), Rule())
    needed: list[int] = []
    while sequential.undecided:
        needed.append(sequential.pairs_needed)
        sequential.look({c: d[c] for c in sequential.undecided})
    verdicts = {case: judged.verdict for case, judged in sequential.verdicts.items()}
    assert verdicts.pop("slow") is Verdict.REGRESSION
    assert set(verdicts.values()) == {Verdict.HELD}
    assert needed[0] == 4
    assert needed[-1] < 24


def test_what_is_left_after_the_last_look_stays_inconclusive() -> None:
    d = {"case": list(0.2 * np.random.default_rng(1).standard_normal(24))}
    sequential = Sequential(["case"], Rule())
    looks = 0
    while sequential.undecided:
        sequential.look(d)
        looks += 1
    assert looks == 6
    assert sequential.verdicts["case"].verdict is Verdict.INCONCLUSIVE


def test_a_case_that_failed_in_the_meantime_drops_out() -> None:
    d = ratios(a=0.035, b=0.035)
    sequential = Sequential(["a", "b", "never"], Rule())
    sequential.look(d)
    assert sequential.undecided == ("a", "b")
    sequential.look({"a": d["a"]})
    assert set(sequential.verdicts) == {"a", "b"}
    assert "b" not in sequential.undecided


def test_pairs_beyond_those_needed_are_not_looked_at() -> None:
    assert Sequential(["a"], Rule()).look(ratios(a=0.0))["a"].n == 4


def test_a_case_with_pairs_left_out_is_judged_on_what_it_has_and_goes_on() -> None:
    d = ratios(a=0.0, b=0.0, c=0.0)
    sequential = Sequential(["a", "b", "c"], Rule())
    seen = sequential.look({"a": d["a"], "b": d["b"][:3], "c": []})
    assert seen["b"].n == 3
    assert seen["b"].verdict is Verdict.INCONCLUSIVE
    assert "c" not in seen
    assert {"b", "c"} <= {*sequential.undecided}


def test_the_order_of_the_cases_changes_no_verdict() -> None:
    d = ratios(a=0.0, b=0.04, c=0.08, d=-0.05)
    one, other = Sequential(list(d), Rule()), Sequential(list(d)[::-1], Rule())
    while one.undecided:
        one.look(d)
        other.look(dict(reversed(d.items())))
    assert one.verdicts == other.verdicts


def test_cases_of_two_margins_share_one_alpha() -> None:
    """The bounds of a case are the same whatever margins the others have."""
    log_ratios = [0.03 + 0.01 * math.sin(i) for i in range(6)]

    def judged(*rules: Rule) -> Judged:
        cases = dict(zip("abc", rules, strict=True))
        family = Family(cases, Looks((6,)))
        family.look(dict.fromkeys(cases, log_ratios))
        return family.verdicts["a"]

    alike = judged(Rule(), Rule(), Rule())
    mixed = judged(Rule(), Rule(margin_rel=0.08), Rule(margin_rel=0.1))
    assert mixed.lower_rel == pytest.approx(alike.lower_rel)
    assert mixed.upper_rel == pytest.approx(alike.upper_rel)
