"""Versions and commits: of copies too, outside git too, and never an error."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from traincost.machine import versions


def git(folder: Path, *arguments: str) -> None:
    identity_options = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", *identity_options, *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init")
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-m", "a")
    return tmp_path


def test_the_commit_is_twelve_digits_and_dirty_only_by_tracked_files(checkout: Path) -> None:
    clean = versions.commit(checkout)
    assert clean is not None
    assert len(clean) == 12
    assert int(clean, 16) >= 0
    (checkout / "results.csv").write_text("untracked")
    assert versions.commit(checkout) == clean
    (checkout / "a.txt").write_text("b")
    assert versions.commit(checkout) == f"{clean}-dirty"


def test_outside_a_repository_and_before_a_first_commit_there_is_none(tmp_path: Path) -> None:
    assert versions.commit(tmp_path) is None
    assert versions.commit(tmp_path / "missing") is None
    git(tmp_path, "init")
    assert versions.commit(tmp_path) is None


def test_without_git_there_is_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout / "bin"))
    assert versions.commit(checkout) is None


def test_a_git_that_hangs_is_cut_off(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = checkout / "bin/git"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    assert versions.commit(checkout, timeout_s=0.2) is None


def test_a_copy_that_was_never_installed_tells_its_own_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = ModuleType("never_installed")
    copy.__dict__["__version__"] = "9.9+copy"
    monkeypatch.setitem(sys.modules, "never_installed", copy)
    assert versions.package_version("never_installed") == "9.9+copy"
    assert versions.package_version("never-seen") is None


def test_torch_tells_its_build_whatever_its_metadata_say(monkeypatch: pytest.MonkeyPatch) -> None:
    copy = ModuleType("torch")
    copy.__dict__["__version__"] = "2.11.0+cu130"
    monkeypatch.setitem(sys.modules, "torch", copy)
    assert versions.torch_version() == "2.11.0+cu130"
