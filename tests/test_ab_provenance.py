"""A comparison of code with itself is found out."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from traincost.ab.provenance import provenance
from traincost.data.side_plan import SidePlan


def module(file: Path) -> ModuleType:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"# {file.name}\n")
    made = ModuleType("m")
    made.__file__ = str(file)
    return made


@pytest.fixture
def plan(tmp_path: Path) -> SidePlan:
    (tmp_path / "head/src/pkg").mkdir(parents=True)
    (tmp_path / "head/src/pkg/__init__.py").write_text("")
    tree = str(tmp_path / "head")
    foreign = (str(tmp_path / "original"), str(tmp_path / "base"))
    return SidePlan(report="", tree=tree, roots=(f"{tree}/src",), foreign=foreign)


def test_modules_of_the_tree_are_told_with_their_hash(plan: SidePlan, tmp_path: Path) -> None:
    inside, outside = provenance(plan, {"pkg.fast": module(tmp_path / "head/src/pkg/fast.py")})
    assert [*inside] == ["src/pkg/fast.py"]
    assert outside == {}
    (tmp_path / "head/src/pkg/fast.py").write_text("# another\n")
    again = ModuleType("m")
    again.__file__ = str(tmp_path / "head/src/pkg/fast.py")
    assert provenance(plan, {"pkg.fast": again})[0] != inside


@pytest.mark.parametrize("place", ["original/src/pkg/fast.py", "base/src/other/fast.py"])
def test_a_module_of_the_original_or_the_other_side_is_outside(
    place: str, plan: SidePlan, tmp_path: Path
) -> None:
    inside, outside = provenance(plan, {"other.fast": module(tmp_path / place)})
    assert inside == {}
    assert outside == {"other.fast": str(tmp_path / place)}


def test_a_package_of_the_tree_that_came_from_an_installation_is_outside(
    plan: SidePlan, tmp_path: Path
) -> None:
    place = tmp_path / "venv/lib/python3/site-packages/pkg/fast.py"
    assert [*provenance(plan, {"pkg.fast": module(place)})[1]] == ["pkg.fast"]


def test_an_installed_package_of_an_unusual_layout_is_outside_where_nothing_else_ran(
    plan: SidePlan, tmp_path: Path
) -> None:
    (tmp_path / "head/lib/deep/odd").mkdir(parents=True)
    (tmp_path / "head/lib/deep/odd/__init__.py").write_text("")
    installed = module(tmp_path / "venv/lib/python3/site-packages/odd/__init__.py")
    tests = {"test_it": module(tmp_path / "head/suites/test_it.py"), "odd": installed}
    assert [*provenance(plan, tests)[1]] == ["odd"]
    ran = {**tests, "pkg.fast": module(tmp_path / "head/src/pkg/fast.py")}
    assert provenance(plan, ran)[1] == {}, "a vendored copy that is not used is no fault"


def test_other_peoples_packages_are_nobodys_business(plan: SidePlan, tmp_path: Path) -> None:
    place = tmp_path / "original/.venv/lib/python3/site-packages/numpy/core.py"
    modules = {"numpy.core": module(place), "traincost.cli": module(tmp_path / "original/b/cli.py")}
    assert provenance(plan, modules) == ({}, {})


def test_what_is_no_file_is_passed_over(plan: SidePlan) -> None:
    relative = ModuleType("torch.ops")
    relative.__file__ = "_ops.py"  # as torch has it
    modules = {"torch.ops": relative, "builtins": sys.modules["builtins"], "gone": None}
    assert provenance(plan, modules) == ({}, {})
