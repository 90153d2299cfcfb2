"""Prints what `traincost watch` tells and what is true: `python tests/show_watch.py`.

On the stub NVML in real time: eight GPUs at once, each with a power and a counter of its own, under
commands of several lengths. On made-up powercap trees: counters that wrap at any reading.
"""

import importlib
import itertools
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

import stub_nvml  # noqa: E402
from stub_nvml import UUIDS, Constant, Ramp, Square, Step, StubConfig, StubGpu  # noqa: E402

from traincost.child import Child  # noqa: E402
from traincost.instruments.rapl import RaplReader, open_reader  # noqa: E402
from traincost.watch import Watched, watch  # noqa: E402

LENGTHS_S = (0.02, 0.1, 0.5, 2.0, 8.0)
POWERS = (Constant(300.0), Square(100.0, 400.0, 0.7), Step(70.0, 400.0, 3.0), Ramp(70, 400, 1, 9))
PERIODS_S = (0.02, 0.1)
RANGE_UJ = 65_532_610_987
TRIALS = 5000


def gpus() -> tuple[StubGpu, ...]:
    """Every power with every counter."""
    pairs = [(power, period_s) for power in POWERS for period_s in PERIODS_S]
    return tuple(
        StubGpu(
            UUIDS[i], f"00000000:{i + 1:02x}:00.0", power=power, counter=(period_s, 0.3 * period_s)
        )
        for i, (power, period_s) in enumerate(pairs)
    )


def watched(command: list[str]) -> tuple[Watched, float]:
    """A command that has ended, and when it was started."""
    started: list[float] = []
    start: Any = Child.start

    def remembered(argv: list[str]) -> Child:
        child: Child = start(argv)
        started.append(child.started_s)
        return child

    with mock.patch.object(Child, "start", remembered):
        return watch(command, 1.0, lambda _: None), started[0]


def show_gpus() -> None:
    """What was told of each GPU beside the truth."""
    importlib.import_module("pynvml")
    print("traincost watch -- sleep S on the stub, energy of the command in J")
    print(f"{'S':>5} {'power':<9} {'period':>7} {'true':>9} {'told':>9} {'±':>7} {'off':>8}  held")
    for length_s in LENGTHS_S:
        config = StubConfig(gpus(), time.monotonic_ns())
        os.environ |= stub_nvml.environment(stub_nvml.library(), config)
        with stub_nvml.loaded(config) as stub:
            told, start_s = watched(["sleep", str(length_s)])
            for i, (gpu, use) in enumerate(zip(gpus(), told.gpus, strict=True)):
                true_j = stub.true_energy_j(start_s, start_s + told.host.time_s, i)
                shape = type(gpu.power).__name__.lower()
                head = f"{length_s:>5g} {shape:<9} {gpu.counter[0] * 1e3:>4g} ms {true_j:>9.3f}"
                if use.gpu_energy_j is None or use.gpu_energy_error_j is None:
                    print(head, use.notes["gpu_energy_j"])
                    continue
                off_j = use.gpu_energy_j - true_j
                held = "yes" if abs(off_j) <= use.gpu_energy_error_j else "NO"
                numbers = f"{use.gpu_energy_j:>9.3f} {use.gpu_energy_error_j:>7.3f} {off_j:>8.3f}"
                print(head, f"{numbers}  {held}")


def show_rapl() -> None:
    """Random rises of four zones, a third of them across the end of a counter."""
    rng, worst_uj, wraps, refused = random.Random(0), 0.0, 0, 0
    names = ("package-0", "dram", "package-1", "dram")
    places = ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1", "intel-rapl:1:0")
    with tempfile.TemporaryDirectory() as folder:
        zones = [Path(folder) / "class/powercap" / place for place in places]
        for zone, name in zip(zones, names, strict=True):
            zone.mkdir(parents=True)
            (zone / "name").write_text(name)
            (zone / "max_energy_range_uj").write_text(str(RANGE_UJ))
            (zone / "energy_uj").write_text("0")
        opened = open_reader(Path(folder))
        assert isinstance(opened, RaplReader)
        minutes_s = itertools.count(0.0, 60.0)
        reader = RaplReader(opened.zones, lambda: next(minutes_s))
        for _ in range(TRIALS):
            total_uj, after_uj = 0, list[int]()
            for zone in zones:
                rise_uj = rng.randrange(1, 20_000_000_000)
                before_uj = rng.randrange(RANGE_UJ)
                zone.joinpath("energy_uj").write_text(str(before_uj))
                total_uj, wraps = total_uj + rise_uj, wraps + (before_uj + rise_uj >= RANGE_UJ)
                after_uj.append((before_uj + rise_uj) % RANGE_UJ)
            first = reader.read()
            for zone, energy_uj in zip(zones, after_uj, strict=True):
                zone.joinpath("energy_uj").write_text(str(energy_uj))
            joules = reader.joules(first, reader.read())
            if isinstance(joules, float):
                worst_uj = max(worst_uj, abs(joules * 1e6 - total_uj))
            else:
                refused += 1
    print(f"RAPL: {TRIALS} pairs of readings of 4 zones, {wraps} wraps: ", end="")
    print(f"off by {worst_uj:.2g} µJ at most, {refused} refused")


if __name__ == "__main__":
    show_rapl()
    show_gpus()
