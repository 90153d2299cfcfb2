"""The comparison of clocks: what it reports, not how long anything takes."""

import argparse
import subprocess
import sys
from collections.abc import Callable

import pytest
from project import environment

from traincost import cli
from traincost.calibrate import agreements
from traincost.verbs import calibrate


@pytest.mark.thorough
def test_both_clocks_time_the_same_block_and_the_ratio_is_of_their_medians() -> None:
    seen: list[tuple[int, int]] = []
    found = list(agreements(1, (50e-6, 2e-3), trials=3, watch=lambda n, of: seen.append((n, of))))
    assert [a.block > 1 for a in found] == [True, False]
    for a in found:
        assert a.ratio == a.ours_s / a.torch_s
        assert a.ratio_min <= a.ratio_max
        assert a.trials == 3
    assert seen == [(0, 2), (1, 2)]


@pytest.mark.thorough
def test_a_thread_count_that_the_machine_has_not_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "traincost", "calibrate", "--cost-threads", "9999"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--cost-threads 9999: expected 1 to" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("only", "given"),
    [
        ("real", "--noise gaussian"),
        ("real", "--full"),
        ("real", "--cost-threads 1"),
        ("simulation", "--cost-threads 1"),
        ("clock", "--noise gaussian"),
        ("clock", "--full"),
    ],
)
def test_an_option_that_does_nothing_in_the_part_that_is_run_is_refused(
    only: str, given: str, capsys: pytest.CaptureFixture[str], parts: list[str]
) -> None:
    assert cli.main(["calibrate", "--only", only, *given.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"traincost calibrate: {given.split()[0]} with --only {only}: ")
    assert "; expected --only " in said and said.count("\n") == 1
    assert parts == []


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ("", ["_clock", "_simulation"]),
        ("--only clock --cost-threads 1", ["_clock"]),
        ("--only simulation --noise drift --full", ["_simulation"]),
        ("--noise drift --full --cost-threads 1", ["_clock", "_simulation"]),
        ("--only real", ["_real"]),
    ],
)
def test_any_other_option_is_taken(given: str, run: list[str], parts: list[str]) -> None:
    assert cli.main(["calibrate", *given.split()]) == 0
    assert parts == run


@pytest.mark.parametrize("threads", ["0", "-1", "9999"])
def test_a_thread_count_is_looked_at_before_anything_is_run(
    threads: str, capsys: pytest.CaptureFixture[str], parts: list[str]
) -> None:
    assert cli.main(["calibrate", "--cost-threads", threads]) == 2
    assert f"--cost-threads {threads}: expected 1 to" in capsys.readouterr().err
    assert parts == []


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts that are run, of which none is."""
    found: list[str] = []

    def noting(name: str) -> Callable[[argparse.Namespace], None]:
        return lambda options: found.append(name)

    for name in ("_clock", "_simulation", "_real"):
        monkeypatch.setattr(calibrate, name, noting(name))
    return found
