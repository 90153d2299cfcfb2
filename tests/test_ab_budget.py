"""The budget of an A/B is kept whatever the machine does: a fake side, and a clock of its own."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from gate_rows import row

from traincost.ab import run
from traincost.ab.process import Ran, Sides
from traincost.ab.run import GRACE_S, HANGS, AbRun, Measured, result_files
from traincost.ab.trees import BASE
from traincost.cli import main
from traincost.data.errors import BadInputError
from traincost.data.side_plan import SideReport
from traincost.judge.rule import Rule
from traincost.verbs import ab

CASES = ("batch/a", "batch/b")
COLLECTING_S = 5.0


@dataclass
class FakeSides:
    """A process takes `process_s`, more from `slower_from` on; it says what it was allowed."""

    process_s: float
    slower_from: int = 10_000
    slower_s: float = 0.0
    now_s: float = 0.0
    threads: int = 1
    allowed_s: list[float] = field(default_factory=list[float])
    own: dict[str, bytes | None] = field(default_factory=dict[str, bytes | None])

    @property
    def trees(self) -> "FakeSides":
        return self

    def of(self, side: str) -> SimpleNamespace:
        return SimpleNamespace(commit=None)

    def collect(self, side: str, timeout_s: float) -> Ran:
        self.now_s += COLLECTING_S / 2
        self.allowed_s.append(timeout_s)
        return Ran((), SideReport(CASES), COLLECTING_S / 2)

    def run(
        self, side: str, pair: int, cases: Sequence[str], timeout_s: float, **others: Any
    ) -> Ran:
        self.allowed_s.append(timeout_s)
        length_s = self.slower_s if pair >= self.slower_from else self.process_s
        self.now_s += length_s
        noise = random.Random(f"{side}{pair}").gauss(0, 0.2)  # so wide that nothing is decided
        rows = (
            row(f"{side}{pair}", case_id=c, pair=pair, time_median_s=1e-3 * (1 + noise / 2))
            for c in cases
        )
        return Ran(tuple(rows), SideReport(CASES), length_s)


def measured(
    sides: FakeSides, budget_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Measured:
    """The A/B of the fake sides."""
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: sides.now_s))
    real = cast("Sides", sides)
    one = AbRun(real, budget_s, [0], random.Random(1), result_files(tmp_path))
    cases = one.collect().cases
    rules: Mapping[str, Rule] = dict.fromkeys(cases, Rule())
    return one.measure(rules)


def test_the_budget_holds_the_collecting_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = FakeSides(process_s=5.0)
    assert measured(sides, 100.0, tmp_path, monkeypatch).pairs == 9  # of 95 s, 10 s each
    assert sides.now_s <= 100.0


def test_the_first_pair_which_counts_too_does_not_plan_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = FakeSides(process_s=15.0, slower_from=2, slower_s=5.0)
    assert measured(sides, 120.0, tmp_path, monkeypatch).pairs == 9  # 5 + 30 + 8·10 s


def test_no_pair_is_begun_that_would_end_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = FakeSides(process_s=5.0, slower_from=4, slower_s=15.0)
    found = measured(sides, 100.0, tmp_path, monkeypatch)
    assert found.pairs == 5  # 5 + 3·10 + 2·30 s
    assert sides.now_s <= 100.0


def test_a_process_may_take_what_is_left_or_some_times_what_it_took_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = FakeSides(process_s=5.0)
    measured(sides, 100.0, tmp_path, monkeypatch)
    assert sides.allowed_s[:4] == [100.0, 97.5, 95.0, 90.0]
    assert sides.allowed_s[-1] == pytest.approx(HANGS * 5.0)


def test_a_budget_without_room_says_what_would_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = FakeSides(process_s=5.0)
    with pytest.raises(BadInputError, match=r"--budget 30 s: a pair takes 10 s.* 45 s"):
        measured(sides, 30.0, tmp_path, monkeypatch)
    assert sides.allowed_s[0] == GRACE_S
    assert measured(FakeSides(process_s=5.0), 45.0, tmp_path / "again", monkeypatch).pairs == 4


@pytest.mark.parametrize("threads", ["0", "-1", "9999"])
def test_a_number_of_threads_that_cannot_be_is_said_by_the_name_of_the_option(
    threads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ab", BASE, "--threads", threads]) == 2
    assert f"--threads {threads}: expected 1 to" in capsys.readouterr().err


def test_what_it_says_on_the_way_is_no_command_to_the_runner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    ab._say("::error::forged", "plain")
    said = capsys.readouterr().err.splitlines()
    assert not said[0].startswith("::") and said[1] == "plain"
