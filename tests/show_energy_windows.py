"""Prints how far energy windows can be trusted: `python tests/show_energy_windows.py [windows]`.

On the stub NVML, in virtual time: random windows against the true energy, with Zeus on the same
stub beside ours if it can be imported; the power sensor that averages a quarter of the time. In
real time: what the recorder costs, and a step timed with and without it.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

import stub_nvml  # noqa: E402
from stub_nvml import Constant, Ramp, Square, Step, Stub, StubConfig, StubGpu  # noqa: E402
from virtual_counter import watched  # noqa: E402

from traincost.instruments.edges import CounterEnergy, Refusal, energy_between  # noqa: E402
from traincost.instruments.power import IntegratedPower, PowerReading, integrate  # noqa: E402
from traincost.instruments.recorder import Recorder  # noqa: E402

IDLE_W, HIGH_W = 70.0, 400.0
PERIODS_S = (0.01, 0.02, 0.1)
SENSOR_S = (0.1, 0.025, 0.0)
Power = Constant | Step | Square | Ramp


def _power(shape: str, start_s: float, end_s: float, rng: random.Random) -> Power:
    if shape == "constant":
        return Constant(rng.uniform(IDLE_W, HIGH_W))
    if shape == "step":
        return Step(IDLE_W, HIGH_W, rng.uniform(start_s, end_s))
    if shape == "square":
        return Square(IDLE_W, HIGH_W, 2.0 ** rng.uniform(-9, 1))
    return Ramp(IDLE_W, HIGH_W, 0.0, rng.uniform(0.1, 5.0))


@dataclass
class VirtualNvml:
    """The stub in this process, in virtual time, read through the real `pynvml`."""

    stub: Stub
    nvml: Any
    gpu: Any

    @classmethod
    def load(cls) -> "VirtualNvml":
        stub = stub_nvml.load(stub_nvml.library(), StubConfig(virtual_call_s=0.0))
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
        return cls(stub, nvml, nvml.nvmlDeviceGetHandleByIndex(0))

    def set(self, power: Power, counter: tuple[float, float]) -> None:
        gpu = StubGpu(power=power, counter=counter, sensor=SENSOR_S)
        self.stub.set(StubConfig(gpus=(gpu,), virtual_call_s=0.0))

    def shown_j(self, t_s: float) -> float:
        self.stub.set_time_s(t_s)
        return float(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.gpu)) / 1e3

    def sensor(self, start_s: float, end_s: float) -> list[PowerReading]:
        """Read every 10 ms, once an update."""
        readings: list[PowerReading] = []
        for i in range(int((end_s - start_s) * 100)):
            now_s = start_s + i / 100
            self.stub.set_time_s(now_s)
            value = self.nvml.nvmlDeviceGetFieldValues(self.gpu, [(186, 0)])[0]
            if not readings or readings[-1].stamp_us != value.timestamp:
                power_w = value.value.uiVal / 1e3
                readings.append(PowerReading(value.timestamp, now_s - 0.01, now_s, power_w))
        return readings


class Zeus:
    """`ZeusMonitor` on the same stub: the difference of two readings."""

    def __init__(self, virtual: VirtualNvml) -> None:
        monitor = importlib.import_module("zeus.monitor").ZeusMonitor
        self.version: str = importlib.metadata.version("zeus")
        self._monitor = monitor(gpu_indices=[0], cpu_indices=[], approx_instant_energy=False)
        self._virtual = virtual

    def energy_j(self, start_s: float, end_s: float) -> float:
        self._virtual.stub.set_time_s(start_s)
        self._monitor.begin_window("window", sync_execution=False)
        self._virtual.stub.set_time_s(end_s)
        return float(self._monitor.end_window("window", sync_execution=False).gpu_energy[0])


@dataclass(frozen=True)
class Window:
    """One window: what it truly took, what the edges tell, what Zeus says."""

    length_s: float
    true_j: float
    ours: CounterEnergy | Refusal
    zeus_j: float | None

    def off(self, energy_j: float) -> float:
        return abs(energy_j / self.true_j - 1)


def windows(
    virtual: VirtualNvml,
    zeus: Zeus | None,
    shape: str,
    period_s: float,
    lengths_s: Iterator[float],
    rng: random.Random,
) -> list[Window]:
    found: list[Window] = []
    for length_s in lengths_s:
        start_s = 3 + rng.random()
        end_s = start_s + length_s
        counter = period_s, rng.random() * period_s
        virtual.set(_power(shape, start_s, end_s, rng), counter)
        before_s, after_s = start_s - max(0.5, 10 * period_s), end_s + 2.5 * period_s
        edges, _ = watched(virtual.shown_j, before_s, after_s, rng)
        seen_w = [IDLE_W, *(r.power_w for r in virtual.sensor(before_s, after_s))]
        ours = energy_between(edges, start_s, end_s, seen_w=seen_w)
        zeus_j = None if zeus is None else zeus.energy_j(start_s, end_s)
        found.append(Window(length_s, virtual.stub.true_energy_j(start_s, end_s), ours, zeus_j))
    return found


def show_windows(virtual: VirtualNvml, zeus: Zeus | None, n: int) -> None:
    """Show 1."""
    other = "Zeus" if zeus is None else f"Zeus {zeus.version}"
    print(
        f"\n{n} random windows each, 0.02 to 3 s; below T: as many shorter than the period, all of "
        f"them to be refused; long: {n // 10} of 50 to 80 periods"
    )
    print(
        f"{'period':>7} {'power':<9}{'stated':>7}{'truth in':>9}{'below T':>9}{'refused':>8}"
        f"{'long: worst':>12}{'period off':>11}{'mean off':>9}{'bound':>7}"
        f" | {other}: {'mean off':>8}{'worst':>8}{'long':>7}"
    )
    for period_s in PERIODS_S:
        for shape in ("constant", "step", "square", "ramp"):
            rng = random.Random(f"{period_s} {shape}")
            lengths = (math.exp(rng.uniform(math.log(0.02), math.log(3))) for _ in range(n))
            some = windows(virtual, zeus, shape, period_s, lengths, rng)
            lengths = (rng.uniform(0.1, 1) * period_s for _ in range(n))
            short = windows(virtual, zeus, shape, period_s, lengths, rng)
            lengths = (rng.uniform(50, 80) * period_s for _ in range(n // 10))
            long = windows(virtual, zeus, shape, period_s, lengths, rng)
            _print_row(period_s, shape, some, short, long)


def _print_row(
    period_s: float, shape: str, some: list[Window], short: list[Window], long: list[Window]
) -> None:
    stated = [(w, w.ours) for w in some if isinstance(w.ours, CounterEnergy)]
    short += [w for w in some if w.length_s < period_s]
    refused = sum(isinstance(w.ours, Refusal) for w in short)
    inside = sum(abs(e.energy_j - w.true_j) <= e.error_j for w, e in stated)
    worst = max(w.off(w.ours.energy_j) for w in long if isinstance(w.ours, CounterEnergy))
    period = max(abs(e.period_s / period_s - 1) for _, e in stated)
    mean = statistics.fmean(w.off(e.energy_j) for w, e in stated)
    bound = statistics.fmean(e.error_j / w.true_j for w, e in stated)
    line = (
        f"{period_s * 1e3:>4.0f} ms {shape:<9}{len(stated):>7}{inside / len(stated):>9.1%}"
        f"{len(short):>9}{refused / len(short):>8.0%}{worst:>12.2%}{period:>11.1%}{mean:>9.2%}"
        f"{bound:>7.1%} | "
    )
    zeus = [w.off(w.zeus_j) for w in some if w.zeus_j is not None]
    if zeus:
        zeus_long = max(w.off(w.zeus_j) for w in long if w.zeus_j is not None)
        line += f"{statistics.fmean(zeus):>20.1%}{max(zeus):>8.0%}{zeus_long:>7.1%}"
    print(line)


def show_boxcar(virtual: VirtualNvml, n: int) -> None:
    """Show 2."""
    print(f"\nsensor of 25 in 100 ms, 8 repetitions of 1 s with random pauses, {n} times each")
    print(f"{'power':<9}{'mean off':>9}{'worst':>8}{'coverage':>9}")
    everything: list[float] = []
    for shape in ("constant", "step", "square", "ramp"):
        rng, off, coverage = random.Random(shape), list[float](), 0.0
        for _ in range(n):
            parts: list[tuple[float, float]] = []
            for i in range(8):
                start_s = (parts[i - 1][1] if i else 3.0) + rng.uniform(0.1, 0.2)
                parts.append((start_s, start_s + 1.0))
            virtual.set(_power(shape, parts[0][0], parts[-1][1], rng), (0.02, 0.0))
            readings = virtual.sensor(2.9, parts[-1][1] + 0.1)
            found = integrate(readings, parts, averaging_s=SENSOR_S[1])
            assert isinstance(found, IntegratedPower)
            true_j = sum(virtual.stub.true_energy_j(*part) for part in parts)
            off.append(abs(found.energy_j / true_j - 1))
            coverage = found.coverage or 0.0
        everything += off
        print(f"{shape:<9}{statistics.fmean(off):>9.2%}{max(off):>8.1%}{coverage:>9.2f}")
    print(f"{'all':<9}{statistics.fmean(everything):>9.2%}{max(everything):>8.1%}")


def _recorder(period_s: float) -> Recorder:
    gpu = StubGpu(power=Square(IDLE_W, HIGH_W, 0.3), counter=(period_s, 0.003))
    os.environ |= stub_nvml.environment(stub_nvml.library(), StubConfig(gpus=(gpu,)))
    recorder = Recorder(gpu.uuid)
    recorder.open()
    return recorder


def show_cost(length_s: float) -> None:
    """Show 6, first half."""
    print(f"\nthe recorder's own time, over {length_s:.0f} s")
    for period_s in PERIODS_S:
        recorder = _recorder(period_s)
        recorder.on()
        time.sleep(1.0)
        begun_s, first = time.monotonic(), recorder.take()
        time.sleep(length_s)
        last = recorder.take()
        share = (last.cpu_s - first.cpu_s) / (time.monotonic() - begun_s)
        bracket_s = statistics.median(e.bracket_s for e in last.edges)
        print(
            f"{period_s * 1e3:>4.0f} ms period: {share:.2%} of a core, {len(last.edges)} edges, "
            f"known to {bracket_s * 1e3:.2f} ms"
        )
        recorder.close()


def show_step(pairs: int) -> None:
    """Show 6, second half: blocks of the same step, the recorder on and off in turns."""
    data = bytes(1 << 20)

    def block() -> float:
        times_s: list[float] = []
        for _ in range(100):
            begun_s = time.perf_counter()
            hashlib.sha256(data).digest()
            times_s.append(time.perf_counter() - begun_s)
        return statistics.median(times_s)

    recorder = _recorder(0.02)
    blocks_s: dict[str, list[float]] = {"off": [], "on": []}
    turns: dict[str, Callable[[], None]] = {"off": recorder.off, "on": recorder.on}
    for i in range(pairs):
        for state in ("off", "on") if i % 2 else ("on", "off"):
            turns[state]()
            time.sleep(0.05)
            blocks_s[state].append(block())
    recorder.close()
    off_s, on_s = (statistics.median(blocks_s[state]) for state in ("off", "on"))
    ratio = statistics.median(
        on / off for on, off in zip(blocks_s["on"], blocks_s["off"], strict=True)
    )
    print(
        f"\na step, {pairs} pairs of blocks of 100: {off_s * 1e6:.1f} us with the recorder asleep, "
        f"{on_s * 1e6:.1f} us while it reads; median of the pairs' ratios {ratio - 1:+.2%}"
    )


def main() -> None:
    """Everything."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    show_step(n // 10)
    show_cost(n / 25)
    virtual = VirtualNvml.load()
    zeus = None
    if importlib.util.find_spec("zeus") is not None:
        virtual.stub.set_time_s(1.0)
        zeus = Zeus(virtual)
    show_windows(virtual, zeus, n)
    show_boxcar(virtual, n // 5)


if __name__ == "__main__":
    main()
