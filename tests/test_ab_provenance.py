"""A comparison of code with itself is found out."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from traincost.ab.provenance import Provenance, provenance
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
    found = provenance(plan, {"pkg.fast": module(tmp_path / "head/src/pkg/fast.py")})
    assert [*found.inside] == ["src/pkg/fast.py"]
    assert found.outside == {}
    (tmp_path / "head/src/pkg/fast.py").write_text("# another\n")
    again = ModuleType("m")
    again.__file__ = str(tmp_path / "head/src/pkg/fast.py")
    assert provenance(plan, {"pkg.fast": again}).inside != found.inside


@pytest.mark.parametrize("place", ["original/src/pkg/fast.py", "base/src/other/fast.py"])
def test_a_module_of_the_original_or_the_other_side_is_outside(
    place: str, plan: SidePlan, tmp_path: Path
) -> None:
    found = provenance(plan, {"other.fast": module(tmp_path / place)})
    assert found.inside == {}
    assert found.outside == {"other.fast": str(tmp_path / place)}


def test_a_package_of_the_tree_that_came_from_an_installation_is_outside(
    plan: SidePlan, tmp_path: Path
) -> None:
    place = tmp_path / "venv/lib/python3/site-packages/pkg/fast.py"
    assert [*provenance(plan, {"pkg.fast": module(place)}).outside] == ["pkg.fast"]


@pytest.mark.parametrize("stands_in", ["lib/deep/odd/__init__.py", "lib/odd.py", "lib/odd/a.py"])
def test_what_is_named_like_something_of_the_tree_and_came_from_elsewhere_is_suspect(
    stands_in: str, plan: SidePlan, tmp_path: Path
) -> None:
    """An installed project of unusual layout, or a vendored copy that is not used."""
    module(tmp_path / "head" / stands_in)
    installed = module(tmp_path / "venv/lib/python3/site-packages/odd/__init__.py")
    found = provenance(plan, {"odd": installed})
    assert [*found.suspect] == ["odd"]
    assert found.outside == {}


def test_other_peoples_packages_are_nobodys_business(plan: SidePlan, tmp_path: Path) -> None:
    place = tmp_path / "original/.venv/lib/python3/site-packages/numpy/core.py"
    modules = {"numpy.core": module(place), "traincost.cli": module(tmp_path / "original/b/cli.py")}
    assert provenance(plan, modules) == Provenance({}, {}, {})


def test_what_is_no_file_is_passed_over(plan: SidePlan) -> None:
    relative = ModuleType("torch.ops")
    relative.__file__ = "_ops.py"  # as torch has it
    modules = {"torch.ops": relative, "builtins": sys.modules["builtins"], "gone": None}
    assert provenance(plan, modules) == Provenance({}, {}, {})
