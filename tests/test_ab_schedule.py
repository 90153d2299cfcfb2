"""The order of an A/B: neither side comes first more often, and both have the same CPUs."""

import random
from itertools import islice
from pathlib import Path

import pytest

from traincost.ab.schedule import estimate, turns
from traincost.data.errors import BadInputError
from traincost.judge.rule import Rule
from traincost.show.ab import duration_s, plan_lines
from traincost.verbs.ab import pytest_arguments


def test_two_pairs_are_abba_or_baab_each_drawn_anew() -> None:
    orders = [t.order for t in islice(turns([0, 1], 1, random.Random(1)), 40)]
    for first, second in zip(orders[::2], orders[1::2], strict=True):
        assert first == second[::-1]
    assert {*orders[::2]} == {("base", "head"), ("head", "base")}


def test_both_sides_of_a_pair_have_the_same_cpus_and_pairs_take_turns() -> None:
    used = [t.cpus for t in islice(turns([3, 1, 2, 0], 2, random.Random(1)), 4)]
    assert used == [frozenset({0, 1}), frozenset({2, 3})] * 2


def test_a_seed_gives_the_same_turns_again() -> None:
    def some(seed: int) -> list[object]:
        return list(islice(turns([0, 1], 1, random.Random(seed)), 10))

    assert some(7) == some(7)
    assert some(7) != some(8)


def test_the_budget_has_room_for_pairs_that_end_in_it() -> None:
    assert estimate(20, 25.0, 600.0).pairs == 24
    assert estimate(20, 601.0, 600.0).pairs == 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), (" 2 m", 120)]
)
def test_a_budget_is_a_time(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "0", "0s", "ten", "5d", "nan", "1e3"])
def test_a_budget_that_is_no_time_is_named(text: str) -> None:
    with pytest.raises(BadInputError, match="--budget"):
        duration_s(text)


@pytest.mark.parametrize(
    ("budget_s", "pair_s", "said"),
    [
        (600.0, 10.0, "about 10 s a pair: about 60 pairs in 10 min; fails"),
        (5400.0, 60.0, "about 90 pairs in 90 min; fails"),
        (2.0, 9.0, "no pair fits (--budget 38s has room for 4) in 2 s; fails"),
        (90.0, 60.0, "1 pair fits (--budget 5m has room for 4) in 1.5 min; fails"),
        (36.0, 10.0, "3 pairs fit (--budget 42s has room for 4) in 36 s; fails"),
    ],
)
def test_what_the_budget_has_room_for_is_said_as_people_write_it(
    budget_s: float, pair_s: float, said: str
) -> None:
    expected = estimate(3, pair_s, budget_s, spent_s=2.0)
    line, *_ = plan_lines(Rule(), expected, budget_s, lambda pairs, spread_rel: 0.05)
    assert said in line


def test_a_budget_that_collecting_used_up_has_room_for_no_pair() -> None:
    assert estimate(3, 10.0, -5.0).pairs == 0


@pytest.mark.parametrize(
    ("given", "k", "arguments", "suites"),
    [
        ([], None, ["suites", "-m", "gate"], ["suites"]),
        ([], "gpt", ["suites", "-k", "gpt"], ["suites"]),
        (["-k", "gpt"], None, ["suites", "-k", "gpt"], ["suites"]),
        (
            ["bench/test_a.py::test_x"],
            None,
            ["bench/test_a.py::test_x", "-m", "gate"],
            ["bench/test_a.py"],
        ),
        (["a", "b", "-m", "slow"], None, ["a", "b", "-m", "slow"], ["a", "b"]),
        (["a", "-kx"], None, ["a", "-kx"], ["a"]),
        (["a", "--tb", "short"], "x", ["a", "--tb", "short", "-k", "x"], ["a"]),
    ],
)
def test_cases_marked_gate_are_run_unless_others_are_chosen(
    given: list[str],
    k: str | None,
    arguments: list[str],
    suites: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What exists as a path is a suite; the values of pytest's options are none."""
    for name in ("a", "b", "bench"):
        (tmp_path / name).mkdir()
    (tmp_path / "bench" / "test_a.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert pytest_arguments(given, k) == (arguments, suites)
