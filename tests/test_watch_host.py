"""The host under a command: joules that add up, memory that is looked at often enough and no more.

Time stands where a test puts it.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_host import write_host

from traincost import watch_host
from traincost.instruments.process_tree import Tree
from traincost.instruments.rapl import RaplReader, open_reader
from traincost.watch import watch
from traincost.watch_host import CPU_EVERY_S, FEWEST_LOOKS, Cpu, Memory, WatchedHost
from traincost.watch_sample import HOST, Sample

ZONE = "sys/class/powercap/intel-rapl:0"
RANGE_UJ = 65_532_610_987


@dataclass
class Clock:
    """Stands in for the module `time`."""

    now_s: float = 0.0
    cpu_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def thread_time(self) -> float:
        return self.cpu_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(watch_host, "time", found)
    return found


@dataclass
class Counter:
    """A CPU that takes 50 W on a made-up host."""

    root: Path
    clock: Clock

    def open(self) -> Cpu:
        """Write its files, and read them by its clock."""
        files = {"name": "package-0", "max_energy_range_uj": str(RANGE_UJ), "energy_uj": "0"}
        host = write_host(self.root, {f"{ZONE}/{name}": text for name, text in files.items()})
        opened = open_reader(host.sys)
        assert isinstance(opened, RaplReader)
        return Cpu(RaplReader(opened.zones, self.clock.monotonic))

    def at(self, now_s: float, text: str | None = None) -> None:
        """Move on to a moment."""
        self.clock.now_s = now_s
        energy_uj = round(50e6 * now_s) % RANGE_UJ
        (self.root / ZONE / "energy_uj").write_text(text or str(energy_uj))


@pytest.fixture
def counter(tmp_path: Path, clock: Clock) -> Counter:
    return Counter(tmp_path, clock)


# Energy of the CPU.


@pytest.mark.parametrize("every_s", [1.0, 20.0, 21.0, 30.0, 60.0])
def test_joules_add_up_however_far_apart_the_readings_are(counter: Counter, every_s: float) -> None:
    cpu = counter.open()
    for i in range(9):
        counter.at(i * every_s)
        cpu.read()
        expected = 50 * i * every_s
        assert i == 0 or cpu.joules() == pytest.approx(expected), cpu.joules()


def test_hours_of_a_counter_that_wraps_every_minute_add_up_to_the_microjoule(
    counter: Counter,
) -> None:
    """Also if the end comes right after a sample, when the counter has not moved since."""
    cpu, energy_uj = counter.open(), 0
    cpu.read()
    for i in range(1, 2001):
        energy_uj += 6_300_000_007
        counter.at(7.0 * i, str(energy_uj % RANGE_UJ))
        cpu.read()
    cpu.read()
    joules = cpu.joules()
    assert isinstance(joules, float)
    assert abs(joules - energy_uj / 1e6) < 1e-6


@pytest.mark.thorough
def test_the_counters_are_read_in_time_whatever_the_interval(
    monkeypatch: pytest.MonkeyPatch, counter: Counter
) -> None:
    """Nothing but `look` is called here, as between two lines of the trace."""

    def look(pid: int) -> Tree:
        return Tree((pid,), 1, 1)

    monkeypatch.setattr(watch_host, "look", look)
    cpu = counter.open()
    host = WatchedHost(cpu)
    host.begin()
    while counter.clock.now_s < 3600:
        assert host.due_s <= counter.clock.now_s + CPU_EVERY_S
        counter.at(max(host.due_s, counter.clock.now_s + 1.0))
        host.look()
    cpu.read()
    assert cpu.joules() == pytest.approx(50 * counter.clock.now_s)


def test_power_after_a_reading_that_failed_is_that_since_the_last_one_that_did_not(
    counter: Counter,
) -> None:
    lines = list[Sample]()
    host = WatchedHost(counter.open())
    host.begin()
    for at_s, text in ((1, None), (2, None), (3, "none"), (4, None), (5, None)):
        counter.at(at_s, text)
        host.sample(at_s, lines.append)
    assert [line.energy_j for line in lines] == [50, 100, None, 200, 250]
    assert [line.power_mean_w for line in lines] == [50, 50, None, 50, 50]
    assert "cpu_energy_j" not in host.notes


def test_a_reading_that_failed_takes_nothing_from_the_sum(counter: Counter) -> None:
    cpu = counter.open()
    for i in range(100):
        counter.at(7.0 * i, "none" if i % 3 == 1 else None)
        cpu.read()
    assert cpu.joules() == pytest.approx(50 * 7.0 * 99)


# Memory.


@pytest.mark.parametrize(("look_s", "share"), [(0.0005, 0.0051), (0.01, 0.0101), (2.0, 0.0101)])
def test_looks_at_a_tree_of_any_size_cost_a_hundredth_of_the_time(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, look_s: float, share: float
) -> None:
    def look(pid: int) -> Tree:
        clock.cpu_s += look_s
        return Tree((pid,), 1, 1)

    monkeypatch.setattr(watch_host, "look", look)
    memory = Memory(1)
    while clock.now_s < 3600:
        memory.read()
        clock.now_s = memory.due_s
    assert clock.cpu_s / clock.now_s < share
    assert memory.looks > 3600 * 0.9 * min(10.0, 0.01 / look_s)


def looked_at(monkeypatch: pytest.MonkeyPatch, *sizes: int | None) -> Memory:
    trees = iter([Tree((1,), size, size) for size in sizes])

    def look(_: int) -> Tree:
        return next(trees)

    monkeypatch.setattr(watch_host, "look", look)
    memory = Memory(1)
    for _ in sizes:
        memory.read()
    return memory


def test_a_few_looks_at_a_program_that_starts_are_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    for sizes in ((), (None,), (5,), (5, 9)):
        memory = looked_at(monkeypatch, *sizes)
        assert memory.peak(None)[0] is None
        assert "too soon" in memory.peak(None)[1]
        assert memory.peak(70) == (70, "of its largest process, by the kernel")
    assert looked_at(monkeypatch, *range(1, FEWEST_LOOKS + 1)).peak(None)[0] == FEWEST_LOOKS


def test_the_note_on_the_peak_says_how_often_it_was_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    peak_bytes, note = looked_at(monkeypatch, 5, 9, 7, 8).peak(3)
    assert (peak_bytes, note) == (9, "of all its processes together, the highest of 4 looks")


# Lines of the trace.


def lines_of(command: tuple[str, ...], interval_s: float) -> tuple[list[Sample], float]:
    lines = list[Sample]()
    told = watch(command, interval_s, lines.append)
    return [line for line in lines if line.device == HOST], told.host.time_s


def test_the_last_line_of_the_host_is_of_the_commands_end() -> None:
    for command, interval_s in ((("true",), 60.0), (("sleep", "0.3"), 0.1)):
        lines, time_s = lines_of(command, interval_s)
        assert lines[-1].time_s == time_s
        assert lines[-1].time_s > (lines[-2].time_s if len(lines) > 1 else 0)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("traincost.watch_host.look", "host_peak_bytes"),
        ("traincost.watch_host.Cpu.read", "cpu_energy_j"),
        ("traincost.watch_host.Cpu.joules", "cpu_energy_j"),
        ("traincost.watch.open_reader", "cpu_energy_j"),
        ("traincost.watch.listed_gpus", "gpu"),
    ],
)
def test_an_error_that_nobody_expected_is_a_note_and_the_command_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, column: str
) -> None:
    Counter(tmp_path, Clock()).open()

    def odd(*_: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(name, odd)
    told = watch(("sh", "-c", "sleep 0.2; exit 3"), 0.1, lambda _: None, tmp_path / "sys")
    assert told.host.exit_code == 3
    notes = {**told.host.notes, "gpu": told.gpu_note}
    assert notes[column] == "RuntimeError: odd"


def test_a_sample_that_cannot_be_told_is_a_note_and_the_command_is_run() -> None:
    def odd(_: Sample) -> None:
        raise RuntimeError("odd")

    told = watch(("sh", "-c", "sleep 0.2; exit 3"), 0.1, odd)
    assert (told.host.exit_code, told.host.notes["trace"]) == (3, "RuntimeError: odd")
