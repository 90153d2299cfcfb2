"""How a verb ends that cannot do its work: never with a verdict's exit code, nor in silence."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
from gate_rows import SLOWER, pairs, row, runs
from project import environment
from two_machines import A100, step, write

from traincost import cli
from traincost.data.ranges import DIVIDED, LEAST, MOST, ends_fault, range_fault
from traincost.judge.sides import MOST_PAIRS, planned_pairs


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a bad input gets."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def sides(**columns: Any) -> tuple[str, str]:
    """Files of pairs of two sides, HEAD's with other columns."""
    base, head = pairs("b", SLOWER), [replace(r, **columns) for r in pairs("h", SLOWER)]
    return str(write(Path("base.csv"), base)), str(write(Path("head.csv"), head))


def failing(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> NoReturn:
        raise error

    return run


def main_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """`traincost gate a b`, whose verb fails."""
    gate = next(verb for verb in cli.VERBS if verb.name == "gate")
    monkeypatch.setattr(cli, "VERBS", (replace(gate, run=failing(error)),))
    return cli.main(["gate", "a", "b"])


@pytest.mark.parametrize(
    "error", [ValueError("looks"), AssertionError(), MemoryError(), KeyError()]
)
def test_a_fault_of_traincost_itself_is_no_verdict_and_is_shown_whole(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_with(monkeypatch, error) == cli.FAILED_ITSELF == 70
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    last = said.splitlines()[-1]
    assert last.startswith(f"traincost gate: {type(error).__name__} in traincost")
    assert last.endswith("nothing was decided")


def test_what_the_system_refuses_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_with(monkeypatch, OSError(24, "Too many open files", "x.csv")) == 2
    said = capsys.readouterr().err
    assert said == "traincost gate: OSError: [Errno 24] Too many open files: 'x.csv'\n"


def test_standard_output_that_is_full_is_one_line_and_exit_2() -> None:
    a, b = (str(write(Path(f"{n}.csv"), [replace(step(A100, 1), run_id=n)])) for n in "ab")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "traincost", "compare", a, b],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "traincost compare: OSError: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("step_of_github", [False, True])
def test_no_message_runs_or_steers_anything(
    step_of_github: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", str(step_of_github).lower())
    evil = "k/\x1b[31mred\x9b\u202e\n::error::boo"
    with monkeypatch.context() as patch:
        assert main_with(patch, ValueError(evil)) == 70
    files = [
        str(write(Path(f"{n}.csv"), [replace(r, case_id=evil) for r in runs(n, SLOWER)]))
        for n in "ab"
    ]
    assert cli.main(["gate", *files]) == 0
    assert cli.main(["gate", files[0], files[0]]) == 2
    assert cli.main(["gate", str(write(Path(evil.replace("/", "")), [])), files[0]]) == 2
    out, err = capsys.readouterr()
    assert "red" in out and "red" in err
    for text in (out, err):
        assert not set(text) & set("\x1b\x9b\u202e")
        if step_of_github:
            lines = [line for line in text.splitlines() if line.lstrip().startswith("::")]
            assert all(line.startswith(("::notice title=", "::warning title=")) for line in lines)


@pytest.mark.parametrize("number", ["0", "-3", "x", "", "9" * 400, "9" * 5000, "²", "1000001"])
def test_a_number_of_pairs_that_cannot_be_is_bad_input_with_its_file_and_run(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base, head = sides(notes=f"flops: none; pair: one of at most {number}")
    said = refused(capsys, "gate", base, head)
    assert "head.csv, run 'h1', case 'batch/step', column notes: 'pair: one of at most" in said
    assert "expected a number of pairs from 1 to 1,000,000" in said
    assert len(said) < 300


@pytest.mark.parametrize("number", [1, 4, 24, MOST_PAIRS])
def test_a_number_of_pairs_that_can_be_is_read_back(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = f"pair: one of at most {number}"
    assert planned_pairs(row("r", notes=notes)) == number
    assert cli.main(["gate", *sides(notes=notes)]) in (0, 1, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("column", ["time_median_s", "gpu_energy_j", "cpu_energy_j"])
@pytest.mark.parametrize("value", [5e-324, 9.9e-101, 1.1e100, 1.7e308])
@pytest.mark.parametrize("verb", ["gate", "compare"])
def test_numbers_whose_ratios_no_cell_could_hold_are_bad_input(
    verb: str, column: str, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, verb, *sides(**{column: value}))
    assert f"head.csv, line 2, column {column}: {value!r}: expected a number from 1e-100" in said


@pytest.mark.parametrize("fmt", ["table", "csv", "json", "markdown"])
def test_the_most_extreme_times_that_can_be_are_gated_and_compared(
    fmt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [
        str(write(Path(f"{side}.csv"), runs(side, [value] * 6, gpu_energy_j=value)))
        for side, value in (("base", LEAST), ("head", MOST))
    ]
    assert cli.main(["gate", *names, "--format", fmt]) == 1
    assert cli.main(["gate", *reversed(names), "--format", fmt]) == 0
    assert cli.main(["compare", *names, "--format", fmt]) == 0
    assert cli.main(["gate", *names, "--exact-only", "--format", fmt]) == 0
    assert "inf" not in capsys.readouterr().out


def test_the_ends_of_a_column_tell_of_every_value_between() -> None:
    values = (0.0, 5e-324, LEAST, 1.0, MOST, 1.7e308)
    for column in ("time_median_s", "flops", "gpu_energy_j", "loss_last", *sorted(DIVIDED)[:3]):
        for low in values:
            for high in values:
                if low <= high:
                    found = ends_fault(column, low, high)
                    alone = [v for v in (low, high) if range_fault(column, v)]
                    assert (found[0] if found else None) == (alone[0] if alone else None)


def test_a_regression_that_nobody_reads_is_still_one() -> None:
    """As in `traincost gate base.csv head.csv | true`."""
    base = str(write(Path("base.csv"), pairs("b", SLOWER)))
    head = str(write(Path("head.csv"), pairs("h", [2 * t for t in SLOWER])))
    command = [sys.executable, "-m", "traincost", "gate", base, head]
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    )
    assert started.stdout is not None
    started.stdout.close()
    assert started.wait(timeout=60) == 1
