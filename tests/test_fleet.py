"""A slot's pytest, run without a cluster; the command; on Ray where it is installed."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import ROOT, environment, write_project

from traincost.data.fleet_messages import Hello, Offer, Order, Reply
from traincost.data.record import Record, Status
from traincost.data.results import read_records
from traincost.fleet.drive import Row
from traincost.fleet.plan import GivenUp
from traincost.fleet.process import SlotProcess
from traincost.fleet.results import FleetFile, resumed_from
from traincost.verbs import fleet as verb

SUITE = """
    import os

    @pytest.fixture(scope="module")
    def made_once(tmp_path_factory):
        return str(tmp_path_factory.mktemp("made"))

    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.parametrize("arch", ["sm_80"])
    def test_kept(static_cost, arch, number, made_once):
        print("noise on stdout")
        static_cost(registers=int(made_once[-1]) + 1, spill_bytes=os.getpid(), shared_bytes=0,
                    occupancy=1.0, ptx_instructions=1)

    @pytest.mark.parametrize("arch", ["sm_80"])
    def test_raises(static_cost, arch):
        raise RuntimeError("no such luck")

    @pytest.mark.parametrize("arch", ["sm_80"])
    def test_kills(static_cost, arch):
        os.kill(os.getpid(), 9)

    def test_of_nothing():
        pass
"""
KEPT = [f"slot/kept[arch=sm_80,number={n}]" for n in (1, 2)]
RAISES, KILLS = "slot/raises[arch=sm_80]", "slot/kills[arch=sm_80]"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of cases that are not timed."""
    return write_project(tmp_path_factory.mktemp("fleet"), {"test_slot.py": SUITE}, "")


@pytest.fixture(scope="module")
def slot(project: Path) -> Iterator[SlotProcess]:
    """A slot that is ready."""
    process = SlotProcess(["."], folder=project)
    yield process
    process.close()


def reply(slot: SlotProcess, case_id: str) -> Reply:
    """Of a case that ends."""
    kind, text = slot.run(Order(case_id).to_text())
    assert kind == "reply", text
    return Reply.of_text(text)


def test_a_slot_names_its_cases_and_its_machine_and_keeps_its_process(slot: SlotProcess) -> None:
    kind, text = slot.hello()
    assert kind == "hello", text
    hello = Hello.of_text(text)
    assert [o.case_id for o in hello.offers] == [*KEPT, RAISES, KILLS]
    records = [r for case in KEPT if (r := reply(slot, case).record) is not None]
    assert [r.case_id for r in records] == KEPT
    assert {r.machine_id for r in records} == set(hello.machine_ids)
    assert len({r.spill_bytes for r in records}) == 1  # the process id
    assert len({r.registers for r in records}) == 1  # the fixture of the module was made once


def test_a_case_that_raises_is_a_row_and_one_that_kills_its_worker_leaves_a_slot_that_goes_on(
    slot: SlotProcess,
) -> None:
    raised = reply(slot, RAISES).record
    assert raised is not None
    assert raised.status == Status.ERROR
    assert slot.run(Order(KILLS).to_text()) == ("died", "SIGKILL")
    assert reply(slot, KEPT[0]).record is not None


def test_a_slot_ends_its_pytest_when_its_own_process_goes(project: Path) -> None:
    code = (
        "from traincost.fleet.process import SlotProcess\n"
        "slot = SlotProcess(['.'])\n"
        "print(slot.hello()[0], slot._process.pid, flush=True)\n"
        "import os; os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    kind, pid = done.stdout.split()
    assert kind == "hello", done.stderr
    deadline_s = time.monotonic() + 20
    while alive(int(pid)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not alive(int(pid))


def alive(pid: int) -> bool:
    """A process that runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_slot_without_cases_says_what_pytest_said(project: Path) -> None:
    kind, text = SlotProcess(["-k", "nothing_like_it"], folder=project).hello()
    assert (kind, "-k nothing_like_it has no case to run" in text) == ("refused", True)
    kind, text = SlotProcess(["--no-such-option"], folder=project).hello()
    assert (kind, "unrecognized arguments: --no-such-option" in text) == ("refused", True)
    kind, text = SlotProcess(["no_such_folder"], folder=project).hello()
    assert kind == "refused"
    assert "no_such_folder" in text


def test_messages_are_read_as_they_were_written() -> None:
    record = Record(run_id="r", started_at="t", suite="s", case_id="s/a", loss_first=0.1,
                    axes={"width": "8"}, metrics={"x_s": 2.5})  # fmt: skip
    offer = Offer("s/a", "s", {"width": "8"}, {"impl": "eager"}, first=True)
    hello = Hello({"cpu": {"machine_id": "m"}}, {"cpu": "{}"}, (offer,))
    order, ended = Order("s/a", (record,)), Reply("s/a", record, (0.1, 0.2), 1.5)
    assert Hello.of_text(hello.to_text()) == hello
    assert Order.of_text(order.to_text()) == order
    assert Reply.of_text(ended.to_text()) == ended
    assert Reply.of_text(Reply("s/a", None).to_text()) == Reply("s/a", None)
    bare = Reply("s/a", Record(run_id="r", started_at="t", suite="s", case_id="s/a"))
    assert Reply.of_text(bare.to_text()) == bare
    assert Hello.of_text(hello.to_text()).offers is Hello.of_text(hello.to_text()).offers


def test_rows_of_all_slots_have_one_run_and_come_back_when_resumed(tmp_path: Path) -> None:
    file = FleetFile(tmp_path / "results", commit="c0ffee")
    hello = Hello({"cpu": {"machine_id": "m", "host": "h"}},
                  {"cpu": json.dumps({"host": "h", "machine_id": "m"})}, ())  # fmt: skip
    file.keep_machine(hello)
    row = Record(run_id="slot", started_at="t", suite="s", case_id="s/a", machine_id="m")
    given_up = file.give_up(GivenUp(Offer("s/b[n=1]", "s", {"n": "1"}), "killed"), hello)
    file.save([Row("s1", row, (0.1,), 0.0), Row("s2", given_up, (), 0.0)])
    read = read_records(file.path)
    assert [(r.case_id, r.status, r.run_id, r.commit) for r in read] == [
        ("s/a", "ok", file.run_id, "c0ffee"), ("s/b[n=1]", "error", file.run_id, "c0ffee"),
    ]  # fmt: skip
    assert (read[1].notes, read[1].host, read[1].axes) == ("status: killed", "h", {"n": "1"})
    assert resumed_from([file.path]).machine_ids == {"s/a": "m", "s/b[n=1]": "m"}


def fleet(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command."""
    return subprocess.run(
        [sys.executable, "-m", "traincost", "fleet", *words],
        cwd=folder, env=environment(**env), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def test_without_ray_the_command_says_what_to_install_and_others_work(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('blocked')")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = fleet(tmp_path, "--", "suites", PYTHONPATH=path)
    assert done.returncode == 2
    assert "pip install 'traincost[fleet]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "results").exists()
    for words in (["--help"], ["fleet", "--help"], ["machine"]):
        other = subprocess.run(
            [sys.executable, "-m", "traincost", *words],
            cwd=tmp_path, env=environment(PYTHONPATH=path), capture_output=True, check=False,
        )  # fmt: skip
        assert other.returncode == 0, other.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--", "suites", "--cost-results=x"], "--cost-results before --"),
        (["--", "--cost-resume", "x"], "--resume before --"),
        (["--patience", "-1"], "--patience -1"),
        (["--patience", "nan"], "--patience nan"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(tmp_path: Path, words: list[str], said: str) -> None:
    done = fleet(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_manifests_and_the_job_script_of_the_documentation_are_well_formed() -> None:
    folder = ROOT / "docs/how-to/fleet"
    for file in sorted(folder.glob("*.yaml")):
        (document,) = re.findall(r"^kind: (\w+)$", file.read_text(), re.M)
        assert document.lower() == file.stem
        if importlib.util.find_spec("yaml"):
            spec = importlib.import_module("yaml").safe_load(file.read_text())["spec"]
            cluster = spec.get("rayClusterSpec", spec)
            assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
            assert cluster["rayVersion"] in (ROOT / "constraints.txt").read_text()
            pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
            for pod in pods:
                (container,) = pod["template"]["spec"]["containers"]
                assert container["resources"]["requests"] == container["resources"]["limits"]
                mounted = {m["name"] for m in container.get("volumeMounts", ())}
                assert mounted == {v["name"] for v in pod["template"]["spec"].get("volumes", ())}
    subprocess.run(["bash", "-n", str(folder / "fleet.sbatch")], check=True)


@pytest.mark.parametrize("file", ["rayjob.yaml", "raycluster.yaml", "fleet.sbatch"])
def test_the_command_in_the_files_of_the_documentation_is_one_that_is_understood(file: str) -> None:
    text = (ROOT / "docs/how-to/fleet" / file).read_text()
    words = re.sub(r"[\\\n#]", " ", text[text.index("traincost fleet ") :]).split(" -- ")[0].split()
    parser = argparse.ArgumentParser()
    verb.add_options(parser)
    assert parser.parse_args(words[2:]).address is not None


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs traincost[fleet]")
def test_on_ray_every_case_has_its_row_and_the_killer_an_error(project: Path) -> None:
    done = fleet(project, "--", ".", RAY_ADDRESS="")
    assert done.returncode == 1, done.stderr
    (file,) = (project / "results").glob("*.csv")
    statuses = {r.case_id: r.status for r in read_records(file)}
    assert statuses == dict.fromkeys(KEPT, "ok") | {RAISES: "error", KILLS: "error"}
    again = fleet(project, "--resume", str(file), "--", ".", RAY_ADDRESS="")
    assert again.returncode == 0, again.stderr
    assert "4 cases had their row" in again.stderr
