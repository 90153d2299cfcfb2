"""A repository of two revisions in a src layout, whose work is sleep: its times are no noise."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from project import SHORT_CASES, environment

PACKAGE = """
import time
LENGTH_S = {lengths}

def work(kind):
    time.sleep(LENGTH_S[kind])
"""
SUITE = """
import pytest
from nap import work

@pytest.mark.gate
@pytest.mark.parametrize("kind", ["a", "b"])
def test_nap(train_cost, kind):
    train_cost(lambda: work(kind), samples=1, phase="op")
"""
SAME = {"a": 0.005, "b": 0.005}
SLOWER = {"a": 0.005, "b": 0.010}


@dataclass(frozen=True)
class Said:
    """What `traincost ab` answered."""

    code: int
    output: str
    errors: str


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def write_package(folder: Path, lengths: dict[str, float]) -> None:
    package = folder / "src" / "nap"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(PACKAGE.format(lengths=lengths))


def commit(folder: Path, message: str) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "-qm", message)


def write_repository(folder: Path, base: dict[str, float], head: dict[str, float]) -> Path:
    """Two commits: `base`, and the one that is checked out."""
    (folder / "suites").mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text("\n".join(s[4:] for s in SHORT_CASES.splitlines()))
    (folder / "suites" / "test_nap.py").write_text(SUITE)
    (folder / ".gitignore").write_text("results/\n__pycache__/\n")
    write_package(folder, base)
    git(folder, "init", "-q")
    commit(folder, "base")
    git(folder, "tag", "base")
    write_package(folder, head)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "head", "--allow-empty")
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "traincost", *arguments]


def run_ab(folder: Path, *arguments: str, **variables: str) -> Said:
    """Run it in a process of its own."""
    done = subprocess.run(
        command("ab", *arguments),
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def processes_in(folder: Path) -> list[str]:
    """Command lines of processes that work below a folder."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
