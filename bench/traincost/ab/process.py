"""One process of one side: pytest in the side's tree, with its code first on the path."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import traincost
from traincost.ab.trees import BASE, HEAD, Tree, Trees, import_roots, own_suites
from traincost.data.errors import BadInputError
from traincost.data.record import Record
from traincost.data.results import read_records
from traincost.data.side_plan import SidePlan, SideReport

PYTEST_FAILED, NO_TESTS = 1, 5
_TIMED = ("--benchmark-enable", "--maxfail=0", *(["-n0"] if find_spec("xdist") else []))
"""Over what a project's own options may say: without timing there is nothing to compare, and a case
that fails leaves the others to be run."""
LINES_SHOWN = 5


class SideFailedError(BadInputError):
    """A process of a side ended without the rows it was started for."""


@dataclass(frozen=True)
class Ran:
    """What one process left."""

    records: tuple[Record, ...]
    report: SideReport
    length_s: float


@dataclass(frozen=True)
class Sides:
    """Starts processes of either side."""

    trees: Trees
    arguments: Sequence[str]  # pytest's, from the command line
    scratch: Path
    threads: int
    pythons: dict[str, str]  # by side

    def collect(self, side: str, timeout_s: float) -> Ran:
        """The cases of a side, none of them run; BASE may have none."""
        return self._collect(side, self.arguments, timeout_s)

    def collect_own(self, timeout_s: float) -> SideReport | None:
        """The cases of BASE's own suites where they are others; None where they can't be told."""
        base, head = (self.trees.of(side).workdir for side in (BASE, HEAD))
        with own_suites(self.trees):
            paths = {a: a.partition("::")[0] for a in self.arguments}
            gone = {a for a, p in paths.items() if (head / p).exists() and not (base / p).exists()}
            known = [a for a in self.arguments if a not in gone]
            if gone and not any((base / paths[a]).exists() for a in known):
                return SideReport(())  # all that was named is new on HEAD
            try:
                return self._collect(BASE, known, timeout_s).report
            except SideFailedError:
                return None

    def _collect(self, side: str, arguments: Sequence[str], timeout_s: float) -> Ran:
        return replace(self, arguments=arguments)._run(
            side,
            None,
            None,
            seed=0,
            untimed=False,
            cpus=None,
            timeout_s=timeout_s,
            collect=True,
        )

    def run(
        self,
        side: str,
        pair: int,
        cases: Sequence[str],
        *,
        seed: int,
        untimed: bool,
        cpus: frozenset[int] | None,
        timeout_s: float,
    ) -> Ran:
        """These cases, in an order that the seed gives; killed when it takes too long."""
        return self._run(
            side,
            pair,
            tuple(cases),
            seed=seed,
            untimed=untimed,
            cpus=cpus,
            timeout_s=timeout_s,
        )

    def _run(
        self,
        side: str,
        pair: int | None,
        cases: tuple[str, ...] | None,
        *,
        seed: int,
        untimed: bool,
        cpus: frozenset[int] | None,
        timeout_s: float,
        collect: bool = False,
    ) -> Ran:
        tree = self.trees.of(side)
        with tempfile.TemporaryDirectory(dir=self.scratch) as made:
            folder = Path(made)
            plan = self._plan(tree, folder / "report.json", pair, cases, seed, untimed)
            plan.write(folder / "plan.json")
            command = [
                *(self.pythons[side], "-m", "pytest", "-p", "traincost.plugin"),
                *("-p", "no:cacheprovider", "--cost-threads", str(self.threads)),
                *("--cost-ab", str(folder / "plan.json"), "--cost-results", str(folder)),
                *(["--collect-only", "-q"] if collect else []),
                *(["--continue-on-collection-errors"] if side == BASE else []),  # suites of HEAD's
                *self.arguments,
                *_TIMED,
            ]
            begun_s = time.monotonic()
            code, output = call(command, tree.workdir, self._environment(plan), cpus, timeout_s)
            length_s = time.monotonic() - begun_s
            report = SideReport.read(Path(plan.report))
            nothing = collect and side == BASE  # its code may fit none of the suites
            fine = (0, PYTEST_FAILED, *([NO_TESTS] if nothing else []))
            if report is None or code not in fine or not (report.cases or nothing):
                why = _why(code, output, report, self.arguments)
                raise SideFailedError(f"{_who(tree)} {why}")
            files = sorted(folder.glob("*.csv"))
            records = tuple(r for file in files for r in read_records(file))
            return Ran(records, report, length_s)

    def _plan(
        self,
        tree: Tree,
        report: Path,
        pair: int | None,
        cases: tuple[str, ...] | None,
        seed: int,
        untimed: bool,
    ) -> SidePlan:
        other = self.trees.of(HEAD if tree.name == BASE else BASE)
        foreign = {str(p) for p in (self.trees.project, self.trees.origin, other.folder)}
        return SidePlan(
            report=str(report),
            tree=str(tree.folder),
            roots=import_roots(tree, self.trees),
            foreign=tuple(sorted(foreign)),
            pair=pair,
            cases=cases,
            seed=seed,
            untimed=untimed,
        )

    def _environment(self, plan: SidePlan) -> dict[str, str]:
        """The harness first, then the side's own code, before anything that is installed."""
        harness = Path(traincost.__file__).parents[1]
        path = [*plan.roots]
        if harness.name not in ("site-packages", "dist-packages"):
            path.insert(0, str(harness))
        for entry in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
            place, trees = Path(entry).resolve(), self.trees
            if not any(place.is_relative_to(p) for p in (trees.project, trees.origin)):
                path.append(entry)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        return {**kept, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}


def call(
    command: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    cpus: frozenset[int] | None,
    timeout_s: float,
) -> tuple[int, str]:
    """Exit code and output; whatever ends this process ends the whole group of that one."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=None if cpus is None else lambda: os.sched_setaffinity(0, cpus),
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        output = process.communicate()[0]
        return -signal.SIGKILL, f"{output}\nit did not end within {timeout_s:.0f} s"
    except BaseException:
        _kill(process)
        process.wait()
        raise
    return process.returncode, output


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _who(tree: Tree) -> str:
    return f"{tree.name.upper()} ({tree.what})"


def _why(code: int, output: str, report: SideReport | None, arguments: Sequence[str]) -> str:
    """What the process said last."""
    failed = report is not None and report.uncollected
    if code == NO_TESTS or (report is not None and not report.cases and not failed):
        last = {option: given for option, given in pairwise(arguments) if option in ("-k", "-m")}
        chosen = " ".join(f"{option} {given}" for option, given in last.items())
        asked = f"no case fits {chosen}; " if chosen else ""
        return f"has no case to run: {asked}expected cases marked `gate`, or others chosen by -k"
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    marks = ("E  ", "ERROR", "Exit:", "!!")
    said = [line for line in lines if line.startswith(marks) or "error:" in line] or lines
    end = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    tail = "\n  ".join(said[-LINES_SHOWN:])
    return f"did not run ({end}):\n  {tail}"
