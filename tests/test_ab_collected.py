"""Which cases of an A/B stand on one side only, and why: new ones are none that were lost."""

from pathlib import Path

import pytest

from traincost.ab.collected import cases_alone, common_cases
from traincost.ab.process import Ran
from traincost.ab.trees import BASE, HEAD, Tree, Trees
from traincost.data.errors import BadInputError
from traincost.data.side_plan import SideReport

HERE = Path("/nowhere")
SUITES = ("suites/conftest.py", "suites/test_deep.py", "suites/test_nap.py", "suites/in/test_x.py")


def trees(*new: str) -> Trees:
    """Both sides with the same suites, some of which BASE has not got of its own."""
    base, head = (Tree(side, side, HERE, HERE, None) for side in (BASE, HEAD))
    return Trees(base, head, HERE, HERE, SUITES, (), new, HEAD)


def alone(base: SideReport, *head: str, new: tuple[str, ...] = ()) -> dict[str, str]:
    """Why cases are alone that BASE reports so, and HEAD has."""
    found = {BASE: Ran((), base, 1.0), HEAD: Ran((), SideReport(("other/a", *head)), 1.0)}
    return cases_alone(found, trees(*new))


def test_a_suite_that_base_has_too_and_cannot_import_any_more_has_no_new_cases() -> None:
    base = SideReport(("other/a",), uncollected=("suites/test_nap.py",))
    assert alone(base, "nap/a", "nap/b") == dict.fromkeys(
        ("nap/a", "nap/b"),
        "not compared: BASE's code does not fit HEAD's suites/test_nap.py, a suite that BASE has, "
        "too",
    )


def test_a_suite_that_only_head_has_and_base_cannot_import_is_new() -> None:
    base = SideReport(("other/a",), uncollected=("suites/test_deep.py",))
    assert alone(base, "deep/a", new=("suites/test_deep.py",)) == {
        "deep/a": "on HEAD only: BASE's code does not fit suites/test_deep.py"
    }


def test_a_folder_that_base_cannot_collect_takes_its_suites_along() -> None:
    base = SideReport(("other/a",), uncollected=("suites/in",))
    assert "does not fit HEAD's suites/in/test_x.py" in alone(base, "x/a")["x/a"]


def test_a_suite_that_base_skips_as_a_whole_is_not_compared() -> None:
    base = SideReport(("other/a",), skipped=("suites/test_nap.py",))
    assert alone(base, "nap/a")["nap/a"].startswith("not compared: BASE skips HEAD's suites/")


def test_a_suite_that_no_side_got_from_the_other_is_found_by_its_name() -> None:
    base = SideReport(("other/a",), uncollected=("more/test_far.py",))
    assert alone(base, "far/a")["far/a"].startswith("not compared: ")


def test_cases_that_the_code_makes_are_new_or_lost() -> None:
    base = SideReport(("other/a", "nap/old"))
    assert alone(base, "nap/new") == {"nap/new": "on HEAD only", "nap/old": "on BASE only"}


def test_no_case_in_common_is_said_with_the_suites_that_base_does_not_fit() -> None:
    base = SideReport(("a/1",), uncollected=("suites/test_nap.py",))
    found = {BASE: Ran((), base, 1.0), HEAD: Ran((), SideReport(("nap/a",)), 1.0)}
    with pytest.raises(BadInputError, match=r"BASE's code does not fit HEAD's suites/test_nap.py"):
        common_cases(found)
