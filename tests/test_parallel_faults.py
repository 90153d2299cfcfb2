"""Ranks that fail or go: a row with the reason, nobody left over, and the suite goes on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from project import SHORT_CASES, environment, run_pytest, write_project
from ranks_project import SUITE, alive

from traincost.data.results import read_records
from traincost.machine.processor import measuring_cpus

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(len(measuring_cpus()) < 2, reason="a rank needs a core of its own"),
]


def test_a_rank_that_goes_or_fails_is_a_row_and_leaves_nobody_behind(tmp_path: Path) -> None:
    project = write_project(tmp_path, {"test_ranks.py": SUITE})
    begun_s = time.monotonic()
    outcome = run_pytest(project, "--cost-threads", "2")
    length_s = time.monotonic() - begun_s
    rows = {r.axes.get("fault", "wide"): r for r in outcome.records}
    measured = ("ok", "unstable")  # as busy as this machine is
    assert {f: "measured" if r.status in measured else r.status for f, r in rows.items()} == {
        "none": "measured",
        "killed": "error",
        "raises": "error",
        "memory": "oom",
        "late": "measured",
        "wide": "unavailable",
    }, outcome.output
    assert "rank 1 ended with SIGKILL" in str(rows["killed"].notes)
    assert "rank 1: ArithmeticError: of rank 1" in str(rows["raises"].notes)
    assert "world_size 10000, and here are" in str(rows["wide"].notes)
    assert length_s < 120  # no case waited for a collective of a rank that had gone
    assert outcome.code == 1
    assert alive(tmp_path / "pids") == []


def test_no_rank_outlives_a_pytest_that_is_killed(tmp_path: Path) -> None:
    project = write_project(tmp_path, {"test_ranks.py": SUITE}, SHORT_CASES)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "traincost.plugin", "-k", "none and step"],
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pids = tmp_path / "pids"
    deadline_s = time.monotonic() + 60
    while not (pids.exists() and len(list(pids.iterdir())) == 2) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while alive(pids) and time.monotonic() < deadline_s + 60:
        time.sleep(0.05)
    assert len(list(pids.iterdir())) == 2
    assert alive(pids) == []
    assert not Path("/proc", str(process.pid)).exists()


def test_under_torchrun_one_file_has_the_rows_and_a_rank_that_goes_ends_the_job(
    tmp_path: Path,
) -> None:
    project = write_project(tmp_path, {"test_ranks.py": SUITE})
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    pytest_s = ["-p", "traincost.plugin", "-k", "none or killed or late"]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "traincost.parallel", *pytest_s],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    (file,) = (tmp_path / "results").glob("*.csv")
    rows = {r.axes.get("fault", "wide"): r for r in read_records(file)}
    assert rows["none"].status in ("ok", "unstable"), done.stdout + done.stderr
    assert rows["none"].metrics["comm_payload_bytes"] == (8 * 8 + 8) * 4
    assert rows["killed"].status == "error"
    assert "late" not in rows  # so that a resumed run takes it
    assert done.returncode != 0
    assert len(list((tmp_path / "pids").iterdir())) == 2
    assert alive(tmp_path / "pids") == []


def test_ranks_of_nobody_say_how_to_be_started() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "traincost.parallel"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "RANK, LOCAL_RANK, WORLD_SIZE" in done.stderr
    assert "expected to be started by torchrun" in done.stderr
