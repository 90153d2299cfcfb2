"""Cases that an A/B met on one side only: the gate says of its files what the A/B said."""

from pathlib import Path

import pytest
from gate_rows import REQUIRED, SLOWER, line, pairs, runs

from traincost.data.record import Record
from traincost.data.results import read_records, to_csv
from traincost.judge.alone import alone_row
from traincost.judge.gate import GateReport, gate
from traincost.judge.line import Outcome
from traincost.judge.policy import Policy

BASE, HEAD = pairs("b", SLOWER), pairs("h", SLOWER)
NOT_COMPARED = "not compared: BASE's code does not fit HEAD's suites/test_batch.py"


def report(case_id: str, why: str, policy: Policy, tmp_path: Path) -> GateReport:
    """The gate on an A/B's files that say it of one case."""
    sides: list[list[Record]] = []
    for name, rows in (("base", BASE), ("head", HEAD)):
        mine = (name == "base") == (why == "on BASE only")
        alone = [alone_row(case_id, why, rows[0])] if mine else []
        (tmp_path / f"{name}.csv").write_text(to_csv([*rows, *alone]))
        sides.append(list(read_records(tmp_path / f"{name}.csv")))
    return gate(sides[0], sides[1], policy, same_suites=True)


@pytest.mark.parametrize(
    ("why", "outcome", "code"),
    [
        ("on BASE only", Outcome.MISSING, 1),
        (NOT_COMPARED, Outcome.NOT_COMPARABLE, 3),
        ("on HEAD only", Outcome.NEW, 0),
        ("on HEAD only: BASE's code does not fit suites/test_batch.py", Outcome.NEW, 0),
    ],
)
def test_a_required_case_that_is_lost_or_not_compared_cannot_pass(
    why: str, outcome: Outcome, code: int, tmp_path: Path
) -> None:
    required = report("batch/x", why, REQUIRED, tmp_path)
    found = line(required, "", "batch/x")
    assert (found.verdict, found.reason, found.required) == (outcome, why, True)
    assert found.exit_code == required.exit_code == code
    other = report("other/x", why, REQUIRED, tmp_path)
    assert (line(other, "", "other/x").verdict, other.exit_code) == (outcome, 0)


def test_every_case_must_be_compared_where_nothing_may_stay_undecided(tmp_path: Path) -> None:
    strict = Policy(inconclusive="fail")
    assert report("other/x", NOT_COMPARED, strict, tmp_path).exit_code == 3


def test_a_required_case_of_head_alone_is_not_new_where_both_sides_ran_the_same_suites() -> None:
    """Else a suite that BASE's code does not fit any more would pass as a new one."""
    base = runs("b", SLOWER, case_id="other/step")
    head = [
        *runs("h", SLOWER, case_id="other/step"),
        *runs("n", SLOWER, case_id="batch/renamed"),
    ]
    same, own = (gate(base, head, REQUIRED, same_suites=same) for same in (True, False))
    found = line(same, "", "batch/renamed")
    assert (found.verdict, found.exit_code, same.exit_code) == (Outcome.NOT_COMPARABLE, 3, 3)
    assert (line(own, "", "batch/renamed").verdict, own.exit_code) == (Outcome.NEW, 0)
    assert gate(base, head, Policy(), same_suites=True).exit_code == 0


def test_a_required_case_that_heads_code_adds_to_a_suite_that_base_ran_is_new() -> None:
    """As a new operator of a catalog that the suite goes through."""
    head = [*runs("h", SLOWER), *runs("n", SLOWER, case_id="batch/new")]
    report = gate(runs("b", SLOWER), head, REQUIRED, same_suites=True, exact_only=True)
    assert line(report, "", "batch/new").verdict == Outcome.NEW
    assert report.exit_code == gate(runs("b", SLOWER), head, REQUIRED, same_suites=True).exit_code
    assert report.exit_code == 0
