"""What a fleet of three local Ray nodes loses when one is killed: nothing; and what it costs.

python tests/show_fleet.py [--trials 10] [--cases 60] [--case-s 0.3] [--seed 1]

Each trial runs a planted suite of sleeps and kills one node at a random moment; a last one kills
the driver and resumes. The rows must equal the plan, none twice. Needs `traincost[fleet]`.
"""

from __future__ import annotations

import argparse
import importlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from project import environment, write_project

from traincost.data.results import read_records
from traincost.fleet.drive import Drive
from traincost.fleet.on_ray import RaySlots, connect, load_ray
from traincost.fleet.plan import FleetPlan
from traincost.fleet.results import FleetFile

CASE_TO_COMPARE_S = 5.0
MOST_OVERHEAD_SHARE = 0.1
STORE_BYTES = 80 * 2**20


def planted(cases: int, case_s: float) -> str:
    """A suite of sleeps."""
    return f"""
    import time

    @pytest.mark.parametrize("arch", ["sm_80"])
    @pytest.mark.parametrize("number", range({cases}))
    def test_sleep(static_cost, arch, number):
        time.sleep({case_s})
        static_cost(registers=number, spill_bytes=0, shared_bytes=0, occupancy=1.0,
                    ptx_instructions=1)
    """


class OneSlot(RaySlots):
    """The same cluster with one node used."""

    def places(self) -> dict[str, str]:
        """The first."""
        return dict(list(super().places().items())[:1])


class Show:
    """A cluster, and runs on it."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder, self.ray = options, folder, load_ray()
        self.random = random.Random(options.seed)
        self.cluster: Any = importlib.import_module("ray.cluster_utils").Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "object_store_memory": STORE_BYTES,
                "include_dashboard": False,
            },
        )
        self.others = [self.add(), self.add()]

    def add(self) -> Any:
        """One more node."""
        return self.cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)

    def run(
        self, kind: type[RaySlots] = RaySlots, meanwhile: Callable[[Drive], None] | None = None
    ) -> tuple[Drive, FleetFile, float]:
        """One fleet over the suite; the time from its first case to its end."""
        file = FleetFile(self.folder / "results" / str(time.time_ns()), None)
        connect(self.ray, self.cluster.address, self.folder)
        slots = kind(self.ray, ["."], per_device=False)
        drive = Drive(
            slots,
            FleetPlan(),
            save=file.save,
            give_up=file.give_up,
            welcome=file.keep_machine,
            tell=lambda line: print("   ", line, flush=True),
            progress=lambda drive: None,
        )
        if meanwhile is not None:
            threading.Thread(target=meanwhile, args=(drive,), daemon=True).start()
        try:
            drive.run()
        finally:
            slots.close()
        assert drive.begun_s is not None
        return drive, file, time.monotonic() - drive.begun_s

    def kill_one(self, at_s: float) -> Callable[[Drive], None]:
        """Kill a node so long after the first case."""

        def kill(drive: Drive) -> None:
            while drive.begun_s is None or time.monotonic() - drive.begun_s < at_s:
                time.sleep(0.01)
            self.cluster.remove_node(self.others.pop(0), allow_graceful=False)

        return kill

    def check(self, case_ids: list[str], what: str) -> None:
        """Rows equal the plan, none twice."""
        expected = {f"sleep/sleep[arch=sm_80,number={n}]" for n in range(self.options.cases)}
        counts = Counter(case_ids)
        doubled = [c for c, n in counts.items() if n > 1]
        assert set(counts) == expected, f"{what}: {len(expected - set(counts))} missing"
        assert not doubled, f"{what}: doubled {doubled}"

    def killed_driver(self) -> None:
        """The command killed by SIGKILL midway, then resumed."""
        results = self.folder / "results" / "driver"
        words = ["--address", self.cluster.address, "--cost-results", str(results)]
        command = [sys.executable, "-m", "traincost", "fleet", *words]
        first = subprocess.Popen(
            [*command, "--", "."], cwd=self.folder, env=environment(), stderr=subprocess.DEVNULL
        )
        while len(rows(results)) <= 5:
            time.sleep(0.2)
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = len(rows(results))
        (resumed,) = results.glob("*.csv")
        done = subprocess.run(
            [*command, "--resume", str(resumed), "--", "."],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.check(rows(results), "driver")
        print(f"driver killed after {before} rows and resumed: union equals the plan, no doubles")


def rows(folder: Path) -> list[str]:
    """Case ids of all rows in a folder."""
    return [r.case_id for f in sorted(folder.glob("*.csv")) for r in read_records(f)]


def main() -> None:
    """Print the figures; AssertionError where a bound is passed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--case-s", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="show-fleet-") as made:
        folder = write_project(
            Path(made), {"test_sleep.py": planted(options.cases, options.case_s)}, ""
        )
        show = Show(options, folder)
        try:
            measure(show, options)
        finally:
            show.cluster.shutdown()


def measure(show: Show, options: argparse.Namespace) -> None:
    """One node, three, three of which one is killed, a driver killed."""
    _, file, alone_s = show.run(OneSlot)
    show.check([r.case_id for r in file.records], "one node")
    drive, file, three_s = show.run()
    show.check([r.case_id for r in file.records], "three nodes")
    overhead_s = statistics.mean(drive.overheads_s)
    print(
        f"one node {alone_s:.1f} s, three nodes {three_s:.1f} s: speed-up {alone_s / three_s:.2f}"
    )
    print(
        f"overhead of a case: mean {overhead_s * 1e3:.1f} ms, median "
        f"{statistics.median(drive.overheads_s) * 1e3:.1f} ms, most "
        f"{max(drive.overheads_s) * 1e3:.1f} ms; of a {CASE_TO_COMPARE_S:g} s case "
        f"{overhead_s / CASE_TO_COMPARE_S:.2%}",
        flush=True,
    )
    assert overhead_s < MOST_OVERHEAD_SHARE * CASE_TO_COMPARE_S
    for trial in range(options.trials):
        at_s = show.random.uniform(0, three_s)
        drive, file, length_s = show.run(meanwhile=show.kill_one(at_s))
        show.check([r.case_id for r in file.records], f"trial {trial}")
        print(
            f"trial {trial}: a node killed at {at_s:.1f} of {three_s:.1f} s, "
            f"{len(drive.lost_nodes)} seen lost, {len(file.records)} rows in {length_s:.1f} s: "
            "union equals the plan, no doubles",
            flush=True,
        )
        show.others.append(show.add())
    show.killed_driver()


if __name__ == "__main__":
    main()
