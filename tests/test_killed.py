"""A run that is killed at any moment keeps every finished row, and can be resumed."""

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from project import command, environment, run_pytest, write_project

from traincost.data.results import read_records

CASES = 40
SUITE = f"""
    @pytest.mark.parametrize("batch_size", range(1, {CASES + 1}))
    def test_step(train_cost, batch_size):
        train_cost(**work())
        print(f"FINISHED a/step[batch_size={{batch_size}}]", flush=True)
"""


def killed_run(project: Path, after_rows: int, delay_s: float) -> list[str]:
    """Start a run, kill it after that many cases and some time; the ids of the cases that ended."""
    process = subprocess.Popen(
        command("-s", "--cost-threads", "1"),
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    finished: list[str] = []
    for line in process.stdout:
        finished += announced(line)
        if len(finished) == after_rows:
            break
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    rest = process.communicate()[0]
    return finished + announced(rest)


def announced(output: str) -> list[str]:
    """Case ids after FINISHED."""
    return [s.split("FINISHED ")[1].strip() for s in output.splitlines() if "FINISHED" in s]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_all_finished_rows_are_readable_and_a_resumed_run_adds_only_the_missing(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    project = write_project(tmp_path, {"test_a.py": SUITE})
    finished = killed_run(project, rng.randint(1, CASES // 2), rng.uniform(0, 0.2))
    (file,) = (tmp_path / "results").glob("*.csv")
    rows = [r.case_id for r in read_records(file)]
    assert rows[: len(finished)] == finished
    assert len(rows) - len(finished) in (0, 1)  # one may have been saved and not yet announced
    resumed = run_pytest(project, "--cost-resume", str(file))
    assert resumed.code == 0, resumed.output
    union = [r.case_id for r in resumed.records]
    assert len(union) == CASES
    assert len(set(union)) == CASES
    assert f"{len(rows)} cases had their row" in resumed.output
