"""A user's project in a temporary folder, and pytest run on it in a process of its own."""

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from traincost.data.record import Record
from traincost.data.results import read_records

ROOT = Path(__file__).parents[1]
SOURCES = os.pathsep.join(str(ROOT / folder) for folder in ("bench", "kernels", "suites"))

SHORT_CASES = """
    from dataclasses import replace
    from traincost.data import profile
    for name, p in profile.PROFILES.items():
        profile.PROFILES[name] = replace(p, timed_s=0.02, warmup_s=0.02)
    from traincost.instruments import clock
    clock.UNSTABLE_REL = clock.DRIFT_REL = clock.WAITED_REL = float("inf")
"""
"""A conftest that makes cases short, and stable however busy the machine is.

What is tested is the behaviour, not the precision.
"""

STEP = """
    import pytest, torch

    def work(width=8):
        model = torch.nn.Linear(width, width)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.ones(4, width)
        def step():
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()
        return dict(step=step, samples=4, model=model, optimizer=optimizer)
"""
"""The head of a suite file: a training step of a tiny model."""

ONE = {"test_one.py": "\ndef test_it(train_cost):\n    train_cost(**work())\n"}
"""A project of one case, `one/it`."""


@dataclass(frozen=True)
class Outcome:
    """What a pytest run left."""

    code: int
    output: str
    results: Path

    @property
    def records(self) -> list[Record]:
        """The rows of all result CSVs, in the order of the files' names."""
        return [r for f in sorted(self.results.glob("*.csv")) for r in read_records(f)]

    @property
    def statuses(self) -> dict[str, str]:
        """Status by case id."""
        return {r.case_id: r.status for r in self.records}


def write_project(folder: Path, suites: dict[str, str], conftest: str = SHORT_CASES) -> Path:
    """Write suite files, each under the common head, and a conftest."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(textwrap.dedent(conftest))
    for name, body in suites.items():
        (folder / name).write_text(textwrap.dedent(STEP) + textwrap.dedent(body))
    return folder


def command(*arguments: str) -> list[str]:
    """The command line that runs pytest with the plugin of this checkout."""
    return [sys.executable, "-m", "pytest", "-p", "traincost.plugin", *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of that command: this checkout's sources, and one thread."""
    ours = ("PYTEST_", "TRAINCOST_", "PYTHONUNBUFFERED")  # nobody else's settings
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return {**kept, "PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1", "COLUMNS": "100", **more}


def run_pytest(folder: Path, *arguments: str, timeout_s: float = 120, **env: str) -> Outcome:
    """Run pytest on the project."""
    done = subprocess.run(
        command("--cost-threads", "1", *arguments),
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr, folder / "results")
