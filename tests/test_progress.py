"""The bar of a run, on a terminal and off it."""

import os
import pty
import subprocess
from pathlib import Path

import pytest
from project import command, environment, run_pytest, write_project

SUITE = """
    @pytest.mark.parametrize("batch_size", [1, 2])
    def test_step(train_cost, batch_size):
        train_cost(**work())
"""


@pytest.mark.thorough
def test_on_a_terminal_the_bar_names_case_pass_and_count_and_is_wiped_at_the_end(
    tmp_path: Path,
) -> None:
    project = write_project(tmp_path, {"test_a.py": SUITE})
    main, side = pty.openpty()
    process = subprocess.Popen(
        command("--cost-threads", "1"),
        cwd=project,
        env=environment(TERM="xterm", COLUMNS="100"),
        stdout=side,
        stderr=side,
    )
    os.close(side)
    shown = b""
    while True:
        try:
            shown += os.read(main, 4096)
        except OSError:  # the other end is closed: the run is over
            break
    assert process.wait() == 0
    text = shown.decode()
    assert "timed rounds · a/step[batch_size=2]" in text
    assert "1/2" in text
    assert "2/2" in text
    summary = text[text.index("training cost") :]
    assert "timed rounds ·" not in summary


@pytest.mark.thorough
def test_off_a_terminal_there_is_no_bar(tmp_path: Path) -> None:
    outcome = run_pytest(write_project(tmp_path, {"test_a.py": SUITE}))
    assert "timed rounds ·" not in outcome.output
    assert "test_a.py .." in outcome.output
