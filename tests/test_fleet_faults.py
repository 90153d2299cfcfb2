"""What users and machines do to a fleet: each is one line, or a run that goes on."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fleet_engine import Engine, driven, offers
from project import environment, write_project

from traincost.data.errors import BadInputError
from traincost.data.record import Record, Status
from traincost.data.results import ResultFile
from traincost.fleet.drive import SLOW_START_S
from traincost.fleet.on_ray import connect
from traincost.fleet.results import FleetFile, resumed_from
from traincost.verbs import fleet as verb

LEAVES = """
    import subprocess, time

    @pytest.mark.parametrize("arch", ["sm_80"])
    def test_leaves(static_cost, arch):
        print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("scheme", ["ray://", ""])
def test_an_address_where_nothing_answers_is_bad_input_at_once(scheme: str, tmp_path: Path) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]  # nobody listens
        with pytest.raises(BadInputError, match=rf"--address {scheme}127.0.0.1:{port}: nothing"):
            connect(SimpleNamespace(init=pytest.fail), f"{scheme}127.0.0.1:{port}", tmp_path)


def test_what_ray_raises_is_bad_input_with_its_first_line(tmp_path: Path) -> None:
    def init(*_: object, **__: object) -> None:
        raise ConnectionError("no cluster\nlong advice")

    with pytest.raises(
        BadInputError, match="--address auto: ConnectionError: no cluster; expected"
    ):
        connect(SimpleNamespace(init=init), "auto", tmp_path)


def test_a_run_that_measures_nothing_leaves_no_folder_and_one_that_cannot_write_says_so(
    tmp_path: Path,
) -> None:
    FleetFile(tmp_path / "a" / "b", None).check_writable()
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match=r"--cost-results .*file: .*expected a folder"):
        FleetFile(tmp_path / "file", None).check_writable()


def test_slots_that_are_held_by_another_run_are_waited_for_and_it_is_said() -> None:
    fleet = Engine({"n0": "m", "n1": "m"}, {"m": offers("a/x[n=1]", "a/x[n=2]")}, start_s=500.0)
    home = driven(fleet)
    assert len(home.case_ids) == 2
    (said,) = home.said
    assert said.startswith(f"none of 2 slots is ready after {SLOW_START_S:g} s: another run")


@pytest.mark.parametrize(
    ("resumed", "said"),
    [
        ("b/y[n=1]", "no case of this run has its row in the resumed file"),
        ("a/x[n=1]", "1 case had their row in the resumed file, 1 of them failed there"),
    ],
)
def test_what_a_resumed_file_had_of_the_plan_is_said(
    resumed: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = Record(
        run_id="r", started_at="t", suite="s", case_id=resumed, machine_id="m", status=Status.ERROR
    )
    ResultFile(tmp_path / "old.csv").put(old)
    fleet = Engine({"n0": "m"}, {"m": offers("a/x[n=1]", "a/x[n=2]")})
    options = SimpleNamespace(patience=5.0, format="table")
    verb.drive(
        fleet,
        FleetFile(tmp_path / "results", None),
        resumed_from([tmp_path / "old.csv"]),
        options,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )
    assert said in capsys.readouterr().err


def test_what_a_case_has_started_ends_with_the_slot(tmp_path: Path) -> None:
    folder = write_project(tmp_path, {"test_leaves.py": LEAVES}, "")
    code = (
        "from traincost.fleet.process import SlotProcess\n"
        "from traincost.data.fleet_messages import Order\n"
        "import os, threading, time\n"
        "slot = SlotProcess(['.', '-s'])\n"
        "assert slot.hello()[0] == 'hello'\n"
        "order = Order('leaves/leaves[arch=sm_80]').to_text()\n"
        "threading.Thread(target=slot.run, args=[order], daemon=True).start()\n"
        "def said(): return [x for x in slot._said.read_text().split() if x.isdigit()]\n"
        "while not said(): time.sleep(0.05)\n"
        "print(said()[-1], flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    child = Path("/proc") / done.stdout.strip()
    deadline_s = time.monotonic() + 20
    while child.exists() and "sleep" in (child / "cmdline").read_text():
        assert time.monotonic() < deadline_s, "it goes on"
        time.sleep(0.05)
    assert child.name.isdigit(), done.stderr
