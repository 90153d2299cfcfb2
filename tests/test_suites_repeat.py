"""The suites that train: two runs of one seed give identical losses on a CPU, row by row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

from traincost.data.record import Record
from traincost.data.results import read_records

CASES = {
    "gradients": "4-none or 4-residual or 16-clipping",
    "data_requirements": "64-dropout or 64-augmentation or 64-early",
    "optimizers": "to_target and (momentum or adamw)",
}
LOSSES = ("loss_first", "loss_last", "loss_steps", "loss_heldout", "accuracy_heldout")
SAME = (*LOSSES, "grad_norm_ratio", "steps_to_target", "flops", "workload", "metrics")


@pytest.mark.slow
@pytest.mark.parametrize("suite", CASES)
def test_two_processes_leave_rows_of_identical_losses(suite: str, tmp_path: Path) -> None:
    first, second = (rows(suite, tmp_path / name) for name in ("first", "second"))
    assert first.keys() == second.keys()
    assert len(first) >= 2
    for case_id, one in first.items():
        assert one.loss_first is not None
        for name in SAME:
            assert told(one, name) == told(second[case_id], name), (case_id, name)


def told(record: Record, name: str) -> object:
    """A column; of the suite's own results those that are no time."""
    if name != "metrics":
        return getattr(record, name)
    return {k: v for k, v in record.metrics.items() if not k.endswith("_s")}


def rows(suite: str, results: Path) -> dict[str, Record]:
    """The rows of a process that ran some cases of the suite, by case."""
    command = [sys.executable, "-m", "pytest", "-q", f"suites/test_{suite}.py", "-k", CASES[suite]]
    options = ["--cost-device", "cpu", "--cost-threads", "1", "--cost-results", str(results)]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {r.case_id: r for f in results.glob("*.csv") for r in read_records(f)}
