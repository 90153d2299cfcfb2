"""RAPL on made-up powercap trees: exact to 1 µJ, or None with the reason; never 0 J."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fake_host import write_host

from traincost.data.profile import PROFILES
from traincost.instruments import rapl
from traincost.instruments.edges import Refusal
from traincost.instruments.energy_source import open_meter, open_source
from traincost.instruments.rapl import RaplMeter, RaplReader, open_reader
from traincost.machine.device import CpuDevice

RANGE_UJ = 262_143_328_850
DRAM_RANGE_UJ = 65_712_999_613
SERVER = {  # two packages; name and range of each zone
    "intel-rapl:0": ("package-0", RANGE_UJ),
    "intel-rapl:0:0": ("core", RANGE_UJ),
    "intel-rapl:0:1": ("dram", DRAM_RANGE_UJ),
    "intel-rapl:1": ("package-1", RANGE_UJ),
    "intel-rapl:1:0": ("core", RANGE_UJ),
    "intel-rapl:1:1": ("dram", DRAM_RANGE_UJ),
    "intel-rapl:2": ("psys", RANGE_UJ),
    "intel-rapl-mmio:0": ("package-0", RANGE_UJ),
}
COUNTED = ("intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl:1:1")
AMD = {"intel-rapl:0": ("package-0", 65_532_610_987), "intel-rapl:0:0": ("core", 65_532_610_987)}


@dataclass
class Tree:
    """Counters that a test moves on."""

    sys: Path
    ranges_uj: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def make(
        cls, root: Path, zones: dict[str, tuple[str, int]], start_uj: int = 1_000_000
    ) -> "Tree":
        tree = cls(write_host(root, {"sys/class/powercap/intel-rapl/enabled": "1\n"}).sys)
        for zone, (name, range_uj) in zones.items():
            tree.ranges_uj[zone] = range_uj
            folder = tree.sys / "class/powercap" / zone
            folder.mkdir()
            (folder / "name").write_text(f"{name}\n")
            (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
            tree.set(zone, start_uj)
        return tree

    def file(self, zone: str, name: str = "energy_uj") -> Path:
        return self.sys / "class/powercap" / zone / name

    def set(self, zone: str, energy_uj: int) -> None:
        self.file(zone).write_text(f"{energy_uj}\n")

    def add(self, zone: str, energy_uj: int) -> None:
        now = int(self.file(zone).read_text()) + energy_uj
        self.set(zone, now % self.ranges_uj[zone])

    def add_to_all(self, energy_uj: int) -> None:
        for zone in self.ranges_uj:
            self.add(zone, energy_uj)


def reader(tree: Tree, step_s: float = 1.0) -> RaplReader:
    """On a clock that moves on by `step_s` at each reading."""
    opened = open_reader(tree.sys)
    assert isinstance(opened, RaplReader)
    ticks: Iterator[float] = itertools.count(0.0, step_s)
    return RaplReader(opened.zones, lambda: next(ticks))


def refused(found: float | Refusal) -> str:
    assert isinstance(found, Refusal), found
    return found.reason


def test_packages_and_dram_are_added_up_and_what_they_contain_or_repeat_is_not(
    tmp_path: Path,
) -> None:
    tree = Tree.make(tmp_path, SERVER)
    counters = reader(tree)
    assert [z.path.name for z in counters.zones] == list(COUNTED)
    first = counters.read()
    for i, zone in enumerate(SERVER):
        tree.add(zone, 10**i)
    wanted_uj = sum(10**i for i, zone in enumerate(SERVER) if zone in COUNTED)
    assert counters.joules(first, counters.read()) == wanted_uj / 1e6


def test_a_package_that_only_the_memory_mapped_way_shows_is_counted(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path, {"intel-rapl-mmio:0": ("package-0", RANGE_UJ)})
    assert [z.name for z in reader(tree).zones] == ["package-0"]


def test_ten_packages_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    zones = {f"intel-rapl:{i}": (f"package-{i}", RANGE_UJ) for i in (10, 2, 0)}
    names = [z.name for z in reader(Tree.make(tmp_path, zones)).zones]
    assert names == ["package-0", "package-2", "package-10"]


def test_dies_of_one_package_are_counters_of_their_own(tmp_path: Path) -> None:
    zones = {
        "intel-rapl:0": ("package-0-die-0", RANGE_UJ),
        "intel-rapl:0:0": ("dram", RANGE_UJ),
        "intel-rapl:1": ("package-0-die-1", RANGE_UJ),
        "intel-rapl:1:0": ("dram", RANGE_UJ),
    }
    assert len(reader(Tree.make(tmp_path, zones)).zones) == 4


def test_a_wrap_between_any_two_readings_is_exact_to_a_microjoule(tmp_path: Path) -> None:
    """Each zone wraps at a reading of its own; any two of eight readings are compared."""
    rng = random.Random(0)
    tree = Tree.make(tmp_path, SERVER, start_uj=0)
    steps_uj = [{zone: rng.randrange(1, 9_000_000) for zone in SERVER} for _ in range(7)]
    for wrap, zone in enumerate(COUNTED, start=1):
        before_uj = sum(step[zone] for step in steps_uj[:wrap])
        tree.set(zone, tree.ranges_uj[zone] - before_uj + rng.randrange(steps_uj[wrap - 1][zone]))
    counters = reader(tree)
    readings, wrapped = [counters.read()], 0
    for step in steps_uj:
        for zone, energy_uj in step.items():
            before = int(tree.file(zone).read_text())
            tree.add(zone, energy_uj)
            wrapped += zone in COUNTED and int(tree.file(zone).read_text()) < before
        readings.append(counters.read())
    assert wrapped == len(COUNTED)
    for i, j in itertools.combinations(range(8), 2):
        wanted_uj = sum(step[zone] for step in steps_uj[i:j] for zone in COUNTED)
        joules = counters.joules(readings[i], readings[j])
        assert isinstance(joules, float)
        assert abs(joules - wanted_uj / 1e6) < 0.5e-6


def test_a_counter_that_may_have_wrapped_twice_is_refused(tmp_path: Path) -> None:
    """At 1 kW, 65.7 kJ take 66 s."""
    tree = Tree.make(tmp_path, SERVER)
    for length_s, known in ((65.0, True), (67.0, False)):
        counters = reader(tree, length_s)
        first = counters.read()
        tree.add_to_all(1_000_000)
        joules = counters.joules(first, counters.read())
        assert isinstance(joules, float) is known
        assert known or "package-0 dram: its counter of 65713 J may have" in refused(joules)


def test_a_counter_that_goes_backwards_without_a_known_range_is_refused(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path, AMD, start_uj=5_000_000)
    tree.file("intel-rapl:0", "max_energy_range_uj").unlink()
    counters = reader(tree)
    first = counters.read()
    tree.set("intel-rapl:0", 3_000_000)
    says = refused(counters.joules(first, counters.read()))
    assert says == "package-0: the counter went backwards by 2 J"


def test_a_counter_beyond_its_range_is_broken_and_not_wrapped(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path, AMD, start_uj=200_000_000_000)
    counters = reader(tree)
    first = counters.read()
    tree.set("intel-rapl:0", 1_000_000)
    assert "went backwards" in refused(counters.joules(first, counters.read()))


def test_a_zone_that_limits_power_but_counts_nothing_is_left_alone(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path, SERVER)
    tree.file("intel-rapl:1").unlink()
    names = [z.name for z in reader(tree).zones]
    assert names == ["package-0", "package-0 dram", "package-1 dram"]


def test_a_counter_that_stands_still_is_refused_and_never_0_j(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path, SERVER)
    counters = reader(tree)
    first = counters.read()
    for zone in COUNTED[:-1]:
        tree.add(zone, 1_000_000)
    says = refused(counters.joules(first, counters.read()))
    assert says == "package-1 dram: the counter stood still for 1 s"


@pytest.mark.parametrize("zone", COUNTED)
@pytest.mark.parametrize("midway", [False, True])
def test_a_counter_that_may_not_be_read_makes_the_sum_unknown_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, midway: bool
) -> None:
    """Root may read everything, so the error is made here."""
    tree = Tree.make(tmp_path, SERVER)
    counters = reader(tree)
    first = counters.read()
    tree.add_to_all(1_000_000)
    real = Path.read_text

    def refuse(path: Path, **how: str) -> str:
        if path == tree.file(zone):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **how)

    monkeypatch.setattr(Path, "read_text", refuse)
    [name] = [z.name for z in counters.zones if z.path.name == zone]
    wanted = f"{zone} ({name}): Permission denied"
    if midway:
        assert refused(counters.joules(first, counters.read())) == wanted
        return
    opened = open_reader(tree.sys)
    assert isinstance(opened, Refusal)
    assert opened.reason == wanted
    [found] = rapl.capabilities(tree.sys)
    assert not found.available
    assert found.remedy == rapl.READ_REMEDY


def test_a_counter_that_goes_backwards_is_no_wrap(tmp_path: Path) -> None:
    """A wrap is as far as the range; from near its start back to it is not."""
    tree = Tree.make(tmp_path, AMD)
    counters = reader(tree)
    first = counters.read()
    tree.set("intel-rapl:0", 999_995)
    says = refused(counters.joules(first, counters.read()))
    assert says == (
        "package-0: the counter says 65532.6 J in 1 s, over 1000 W: it went backwards, or is broken"
    )


@pytest.mark.parametrize("text", ["", "lots\n", "-5\n", "\ufffd"])
def test_a_counter_that_holds_no_number_is_a_reason(tmp_path: Path, text: str) -> None:
    tree = Tree.make(tmp_path, AMD)
    counters = reader(tree)
    first = counters.read()
    tree.file("intel-rapl:0").write_text(text)
    assert "intel-rapl:0 (package-0): " in refused(counters.joules(first, counters.read()))


def test_a_counter_that_vanishes_is_a_reason(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path, AMD)
    counters = reader(tree)
    first = counters.read()
    tree.file("intel-rapl:0").unlink()
    says = refused(counters.joules(first, counters.read()))
    assert says == "intel-rapl:0 (package-0): No such file or directory"


def test_a_machine_without_zones_says_so(tmp_path: Path) -> None:
    opened = open_reader(tmp_path)
    assert isinstance(opened, Refusal)
    assert opened.reason == rapl.NO_ZONES


def test_without_a_dram_zone_the_package_is_exact_and_a_note_says_what_it_is(
    tmp_path: Path,
) -> None:
    tree = Tree.make(tmp_path, AMD)
    source = open_source(CpuDevice(), tree.sys)
    energy = source.window(lambda: tree.add_to_all(1_234), 0.1, PROFILES["quick"])
    assert energy.cpu_energy_j == pytest.approx(1_234e-6, rel=1e-12)
    assert energy.energy_source == "rapl"
    assert energy.notes["cpu_energy_j"] == rapl.NO_DRAM
    [found] = rapl.capabilities(tree.sys)
    assert found.available
    assert rapl.NO_DRAM in found.detail


def test_with_a_dram_zone_there_is_nothing_to_note(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path, SERVER)
    energy = open_source(CpuDevice(), tree.sys).window(
        lambda: tree.add_to_all(1_000), 0.1, PROFILES["quick"]
    )
    assert energy.cpu_energy_j == pytest.approx(4e-3, rel=1e-12)
    assert "cpu_energy_j" not in energy.notes


def test_a_step_whose_energy_is_not_known_leaves_the_column_empty_with_the_reason(
    tmp_path: Path,
) -> None:
    tree = Tree.make(tmp_path, AMD)
    energy = open_source(CpuDevice(), tree.sys).window(lambda: None, 0.1, PROFILES["quick"])
    assert energy.cpu_energy_j is None
    assert energy.energy_source is None
    assert energy.notes["cpu_energy_j"].startswith("package-0: the counter stood still for")


def test_the_meter_of_a_window_has_joules_or_a_reason(tmp_path: Path) -> None:
    tree = Tree.make(tmp_path, SERVER)
    meter, note = open_meter(tree.sys)
    assert isinstance(meter, RaplMeter)
    assert note is None
    meter.start()
    tree.add_to_all(2_500_000)
    assert meter.stop() == 10.0
    meter.start()
    assert isinstance(meter.stop(), str)
