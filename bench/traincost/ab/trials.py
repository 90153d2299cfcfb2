"""Real comparisons of code that is known: `traincost ab`, run as anybody would run it.

Each is a process of its own on a repository of `planted.py`: revisions of identical code, or one
with 8% more work in one case. What it says is taken from its JSON, and its pairs from its files.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import traincost
from traincost.ab.planted import BATCH_SIZES, PLAIN, SLOWER, WIDTHS, write_repository
from traincost.data.errors import BadInputError
from traincost.data.results import read_records
from traincost.judge.policy import TIME
from traincost.judge.replay import pairs_of
from traincost.judge.rule import typical_sd
from traincost.judge.sides import cases_of
from traincost.judge.verdict import Verdict

JUDGED = (0, 1, 3)
"""Exit codes of an A/B that came to verdicts."""
PUT_AWAY_S = 60.0


@dataclass(frozen=True)
class Trial:
    """What is to be compared."""

    base: str  # `PLAIN` or `SLOWER`, as head
    head: str
    n_cases: int
    budget_s: float
    margin_rel: float

    @property
    def planted(self) -> bool:
        """Whether HEAD does more work in one case."""
        return self.base != self.head


@dataclass(frozen=True)
class Tried:
    """What became of it."""

    trial: Trial
    exit_code: int
    length_s: float  # of the whole command
    fault: str = ""  # what it said where it came to no verdict
    verdicts: Mapping[str, Verdict] = field(default_factory=dict[str, Verdict])  # by case id
    estimates_rel: Mapping[str, float] = field(default_factory=dict[str, float])  # by case id
    log_ratios: Mapping[str, Mapping[int, float]] = field(
        default_factory=dict[str, Mapping[int, float]]
    )  # by case id and pair
    machine: str = ""

    @property
    def slow_case(self) -> str | None:
        """The case that does more work."""
        named = f"batch_size={BATCH_SIZES[0]},width={WIDTHS[0]}]"
        return next((c for c in self.verdicts if c.endswith(named) and self.trial.planted), None)

    @property
    def called(self) -> bool:
        """Whether the slow case, by its name, is a REGRESSION."""
        return self.slow_case is not None and self.verdicts[self.slow_case] is Verdict.REGRESSION

    @property
    def false_alarms(self) -> tuple[str, ...]:
        """What is called and did not change; the mean of a suite with a slow case did."""
        return tuple(
            case
            for case, verdict in self.verdicts.items()
            if verdict is Verdict.REGRESSION
            and case != self.slow_case
            and not (self.trial.planted and case.endswith("/*"))
        )

    @property
    def sd_rel(self) -> float | None:
        """The standard deviation of a pair's log ratio, in the typical case."""
        return typical_sd([list(ratios.values()) for ratios in self.log_ratios.values()])

    @property
    def pairs(self) -> int:
        """Pairs until the last case was decided."""
        return max((pair for ratios in self.log_ratios.values() for pair in ratios), default=0)


@dataclass(frozen=True)
class Sizes:
    """How many comparisons, and how long each may take."""

    identical: int = 6
    planted: int = 5
    n_cases: int = 6
    budget_s: float = 120.0
    many_cases: int = 20
    many_budget_s: float = 600.0

    def trials(self) -> list[Trial]:
        """All, the long one first: it never holds anything, so it takes all the pairs there are."""
        long = Trial(PLAIN, PLAIN, self.many_cases, self.many_budget_s, margin_rel=0.001)
        same = Trial(PLAIN, PLAIN, self.n_cases, self.budget_s, margin_rel=0.05)
        slow = Trial(PLAIN, SLOWER, self.n_cases, self.budget_s, margin_rel=0.05)
        return [long, *[same] * self.identical, *[slow] * self.planted]


def run_trials(
    trials: Sequence[Trial], tell: Callable[[Sequence[Tried]], None] = lambda tried: None
) -> Iterator[Tried]:
    """One after another; `tell` hears of what is done before each. Nothing is left behind."""
    done: list[Tried] = []
    with tempfile.TemporaryDirectory(prefix="traincost-trials-") as made:
        for n_cases in {trial.n_cases for trial in trials}:
            write_repository(Path(made) / f"of-{n_cases}", n_cases)
        for number, trial in enumerate(trials):
            tell(done)
            tried = _run(trial, Path(made) / f"of-{trial.n_cases}", seed=number)
            if number == 0 and tried.fault:
                raise BadInputError(tried.fault)
            done.append(tried)
            yield tried


def _run(trial: Trial, folder: Path, seed: int) -> Tried:
    results = folder.with_name(f"results-{seed}")
    command = [
        *(sys.executable, "-m", "traincost", "ab", trial.base, trial.head),
        *("--budget", f"{trial.budget_s:g}s", "--fail-if-slower", f"{trial.margin_rel:.3%}"),
        *("--seed", str(seed), "--output", str(results), "--format", "json"),
    ]
    begun_s = time.monotonic()
    code, said, errors = _call(command, folder)
    length_s = time.monotonic() - begun_s
    if code not in JUDGED:
        return Tried(trial, code, length_s, errors.strip().rpartition("\n")[2])
    lines: list[dict[str, Any]] = [r for r in json.loads(said)["rows"] if r["metric"] == TIME]
    judged = [r for r in lines if r["verdict"] in set(Verdict)]
    base, head = (read_records(results / f"{side}.csv") for side in ("base", "head"))
    return Tried(
        trial,
        code,
        length_s,
        verdicts={r["case_id"]: Verdict(r["verdict"]) for r in judged},
        estimates_rel={r["case_id"]: float(r["estimate_rel"]) for r in judged},
        log_ratios={case.case_id: pairs_of(case).log_ratios for case in cases_of(base, head)},
        machine=f"{base[0].cpu}, torch {base[0].torch}, Python {base[0].python}",
    )


def _call(command: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """Exit code, output and errors; what ends this process lets that one put away its trees."""
    source = str(Path(traincost.__file__).parents[1])
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")]))
    kept = {k: v for k, v in os.environ.items() if k != "GITHUB_ACTIONS"}
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**kept, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said, errors = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.wait(PUT_AWAY_S)
            raise
    return process.returncode, said, errors
