"""What the driver of a fleet costs with many slots, on one machine and without a cluster.

python tests/show_fleet_scale.py [--slots 10 100 1000] [--cases-a-slot 10]

Planner, loop and writer are those of `traincost fleet`; the slots are simulated. They greet and
answer with messages as long as real ones, in a time that is the driver's own CPU time, and skips
ahead when the driver has nothing to do: so slots wait for the driver as they would on a cluster. A
process each, and a line each, of the table in `docs/scale.md`. What Ray takes, and the disk, is not
in it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from show_compare_speed import record

from traincost.data.fleet_messages import Hello, Offer, Order, Reply
from traincost.data.record import Record
from traincost.fleet.drive import Drive, Event, Row
from traincost.fleet.plan import FleetPlan
from traincost.fleet.results import FleetFile

CASE_S = 5.0
SERIES = 50  # test functions
ROUNDS_S = tuple(1e-3 + i * 1.234567e-9 for i in range(380))
HOST = "the-host"
GREET_S = 10.0  # the slots are ready within so long of each other
HEADER = (
    "| slots | cases | greeting, s | planning, s | saving, s | a row, ms | a slot waits, ms "
    "| memory, MiB | written, MB |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass
class ManySlots:
    """`Slots` that answer in virtual time."""

    count: int
    greeting: str
    random: random.Random
    greeting_s: float = field(default=0.0, init=False)  # CPU time of the driver
    own_s: float = field(default=0.0, init=False)  # CPU time of the simulation
    waits_s: list[float] = field(default_factory=list[float], init=False)  # between two cases
    _free_s: dict[str, float] = field(default_factory=dict[str, float], init=False)
    _skipped_s: float = field(default=0.0, init=False)
    _later: list[tuple[float, str, str]] = field(
        default_factory=list[tuple[float, str, str]], init=False
    )

    def now_s(self) -> float:
        """The driver's CPU time, and when it had nothing to do."""
        return self._skipped_s + time.process_time() - self.own_s

    def places(self) -> Mapping[str, str]:
        """A slot a node."""
        return {f"s{n}": f"n{n}" for n in range(self.count)}

    def start(self, slot: str) -> None:
        """Ready after a while."""
        heapq.heappush(self._later, (self.now_s() + self.random.uniform(0, GREET_S), slot, ""))

    def run(self, slot: str, order: Order) -> None:
        """Ends after about the same time everywhere."""
        order.to_text()
        if slot in self._free_s:
            self.waits_s.append(self.now_s() - self._free_s[slot])
        end_s = self.now_s() + CASE_S * self.random.uniform(0.5, 1.5)
        heapq.heappush(self._later, (end_s, slot, order.case_id))

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """What has happened while the driver was busy; else the next, or the time."""
        if self._later:
            ahead_s = self._later[0][0] - self.now_s()
            self._skipped_s += min(max(0.0, ahead_s), timeout_s)
        now_s, events = self.now_s(), list[Event]()
        while self._later and self._later[0][0] <= now_s:
            at_s, slot, case_id = heapq.heappop(self._later)
            events.append(self._replies(slot, case_id, at_s) if case_id else self._greets(slot))
        return events

    def _replies(self, slot: str, case_id: str, at_s: float) -> Event:
        self._free_s[slot] = at_s
        begun_s = time.process_time()
        text = Reply(case_id, _row(_number(case_id)), ROUNDS_S, CASE_S).to_text()
        self.own_s += time.process_time() - begun_s
        return Event(slot, reply=Reply.of_text(text))

    def _greets(self, slot: str) -> Event:
        begun_s = time.process_time()
        text = self.greeting.replace(HOST, slot)
        greeted_s = time.process_time()
        hello = Hello.of_text(text)
        self.own_s += greeted_s - begun_s
        self.greeting_s += time.process_time() - greeted_s
        return Event(slot, hello=hello)


def fleet_of(slots: int, cases: int, folder: Path) -> str:
    """One run; a line of the table."""
    offers = [Offer(_row(i).case_id, "batch", {"n": "1"}, {"impl": "eager"}) for i in range(cases)]
    machines = {"cpu": {"machine_id": "m0", "host": HOST}}
    engine = ManySlots(
        slots, Hello(machines, {"cpu": _facts()}, offers).to_text(), random.Random(1)
    )
    del offers
    file, saving_s = FleetFile(folder, None), list[float]()

    def save(rows: Sequence[Row]) -> None:
        begun_s = time.process_time()
        file.save(rows)
        saving_s.append(time.process_time() - begun_s)

    begun_s = time.process_time()
    Drive(
        engine,
        FleetPlan(),
        save=save,
        give_up=file.give_up,
        welcome=file.keep_machine,
        tell=print,
        progress=lambda drive: None,
        now_s=engine.now_s,
    ).run()
    cpu_s = time.process_time() - begun_s - engine.own_s
    counts = Counter(r.case_id for r in file.records)
    assert len(counts) == cases == sum(counts.values()), f"{counts.total()} rows of {cases} cases"
    planning_s = cpu_s - engine.greeting_s - sum(saving_s)
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return (
        f"| {slots:,} | {cases:,} | {engine.greeting_s:.1f} | {planning_s:.1f} "
        f"| {sum(saving_s):.1f} | {1e3 * cpu_s / cases:.1f} "
        f"| {1e3 * statistics.mean(engine.waits_s):.0f} | {memory_mib:.0f} "
        f"| {_written_bytes() / 1e6:,.0f} |"
    )


def _number(case_id: str) -> int:
    return int(case_id.partition("batch_size=")[2].partition(",")[0])


def _written_bytes() -> int:
    told = Path("/proc/self/io").read_text().split()
    return int(told[told.index("wchar:") + 1])


def _row(i: int) -> Record:
    series = f"batch/train_step_{i % SERIES}"
    return replace(record(i), case_id=f"{series}[batch_size={i},model=gpt-100k]", machine_id="m0")


def _facts() -> str:
    return json.dumps({"host": HOST, "machine_id": "m0"} | {f"f_{n}": "x" * 40 for n in range(60)})


def main() -> None:
    """Print the table; AssertionError where a row is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--cases-a-slot", type=int, default=10)
    parser.add_argument("--one", action="store_true", help="in this process, a line alone")
    options = parser.parse_args()
    if options.one:
        (slots,) = options.slots
        with tempfile.TemporaryDirectory(prefix="show-fleet-scale-") as folder:
            print(fleet_of(slots, slots * options.cases_a_slot, Path(folder)))
        return
    print(HEADER, flush=True)
    for slots in options.slots:
        words = ["--one", "--slots", str(slots), "--cases-a-slot", str(options.cases_a_slot)]
        subprocess.run([sys.executable, __file__, *words], check=True)


if __name__ == "__main__":
    main()
