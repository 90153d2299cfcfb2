"""CPU energy through RAPL, the counters in `/sys/class/powercap`: joules between two readings.

    intel-rapl:0      package-0: cores, caches and what is on the die with them
    intel-rapl:0:0    core, a part of it          intel-rapl:0:2    dram, beside it
    intel-rapl:1      package-1 ...               intel-rapl:2      psys, all of it again

Packages and DRAM are added up; core, uncore and psys are parts of them or contain them, and
`intel-rapl-mmio:0` is another way to the counter of package-0. AMD's zones have the same names.
The counters are updated about every millisecond and wrap around at `max_energy_range_uj` (65 kJ or
262 kJ on most CPUs): once between two readings is put right, twice cannot be seen.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from traincost.instruments.edges import Refusal
from traincost.machine.capability import Capability

WHAT = "CPU energy (RAPL)"
READ_REMEDY = (
    "sudo chmod a+r /sys/class/powercap/*/energy_uj (until reboot; for good, a udev rule: "
    'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod a+r /sys%p/energy_uj")'
)
LOAD_REMEDY = "on the host itself: sudo modprobe intel_rapl_msr (AMD, too)"
NO_ZONES = "no zones in /sys/class/powercap: a virtual machine, or a CPU without RAPL"
NO_DRAM = "of the CPU package alone: this CPU counts no DRAM energy"
MOST_W = 1000.0
"""More than a package or its DRAM takes: tells broken counters, and how soon one may wrap twice."""
UPDATE_S = 0.01
"""A counter may show the energy of so long before: it is updated every millisecond or so."""

_PACKAGE = re.compile(r"package-\d+")  # package-0-die-1, too


@dataclass(frozen=True)
class Zone:
    """A counter that is added up: a package, or the DRAM beside it."""

    path: Path
    name: str  # `package-0`, `package-0 dram`
    range_uj: int | None  # where it wraps around; None if that is not told


@dataclass(frozen=True)
class Reading:
    """All counters at one moment, by the zone's name, or why one of them could not be read."""

    time_s: float
    energy_uj: Mapping[str, int] = field(default_factory=dict[str, int])
    fault: str | None = None


@dataclass(frozen=True)
class RaplReader:
    """Reads the counters of these zones."""

    zones: Sequence[Zone]
    now_s: Callable[[], float] = time.monotonic

    @property
    def note(self) -> str | None:
        """What the joules leave out."""
        return None if any(z.name.endswith("dram") for z in self.zones) else NO_DRAM

    def read(self) -> Reading:
        """Every counter now; never raises."""
        time_s, energy_uj = self.now_s(), dict[str, int]()
        for zone in self.zones:
            try:
                energy_uj[zone.name] = _counter_uj(zone.path / "energy_uj")
            except (OSError, ValueError) as e:
                return Reading(time_s, fault=_fault(zone, e))
        return Reading(time_s, energy_uj)

    def joules(self, first: Reading, last: Reading) -> float | Refusal:
        """Energy from one reading to another, exact to the counters' 1 µJ."""
        if fault := first.fault or last.fault:
            return Refusal(fault)
        total_uj = 0
        for zone in self.zones:
            length_s = last.time_s - first.time_s
            rise_uj = _rise_uj(zone, first.energy_uj[zone.name], last.energy_uj[zone.name])
            if isinstance(rise_uj, Refusal):
                return rise_uj
            if rise_uj > MOST_W * (length_s + UPDATE_S) * 1e6:
                return Refusal(
                    f"{zone.name}: the counter says {rise_uj / 1e6:.6g} J in {length_s:.3g} s, "
                    f"over {MOST_W:.0f} W: it went backwards, or is broken"
                )
            if rise_uj == 0:
                return Refusal(f"{zone.name}: the counter stood still for {length_s:.3g} s")
            if zone.range_uj is not None and length_s * MOST_W * 1e6 > zone.range_uj:
                return Refusal(
                    f"{zone.name}: its counter of {zone.range_uj / 1e6:.0f} J may have wrapped "
                    f"around more than once in {length_s:.0f} s"
                )
            total_uj += rise_uj
        return total_uj / 1e6


def _counter_uj(path: Path) -> int:
    """The counter now; OSError or ValueError if it cannot be read."""
    energy_uj = int(path.read_text())
    if energy_uj < 0:
        raise ValueError(f"{energy_uj} µJ")
    return energy_uj


def _rise_uj(zone: Zone, before_uj: int, after_uj: int) -> int | Refusal:
    if after_uj >= before_uj:
        return after_uj - before_uj
    if zone.range_uj is None or max(before_uj, after_uj) > zone.range_uj:
        back_uj = before_uj - after_uj
        return Refusal(f"{zone.name}: the counter went backwards by {back_uj / 1e6:.6g} J")
    return after_uj + zone.range_uj - before_uj


def _fault(zone: Zone, error: OSError | ValueError) -> str:
    """In words; the counter's place tells what to change the permissions of."""
    return f"{zone.path.name} ({zone.name}): {_reason(error)}"


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@dataclass
class RaplMeter:
    """Joules of the CPU and its memory, read at the start and at the end."""

    reader: RaplReader
    _first: Reading | None = field(default=None, init=False)

    def start(self) -> None:
        """Read the counters before the work."""
        self._first = self.reader.read()

    def stop(self) -> float | str:
        """Joules since `start`, or the reason why they are not known."""
        assert self._first is not None  # started before it is stopped
        joules = self.reader.joules(self._first, self.reader.read())
        return joules.reason if isinstance(joules, Refusal) else joules


def open_reader(sys: Path = Path("/sys")) -> RaplReader | Refusal:
    """A reader of all zones, or why there is none: the parts of a sum are no sum."""
    reader = RaplReader(tuple(_zones(sys)))
    if not reader.zones:
        return Refusal(NO_ZONES)
    fault = reader.read().fault
    return reader if fault is None else Refusal(fault)


def _zones(sys: Path) -> Iterator[Zone]:
    """Packages and DRAM, each once; where there are two ways, not the memory-mapped one."""
    names: dict[str, str] = {}  # of a zone, by its folder's name
    found: set[str] = set()
    for path in sorted(sys.glob("class/powercap/*:*"), key=_place):
        try:
            own = names[path.name] = (path / "name").read_text(errors="replace").strip()
        except OSError:
            continue  # it went away with its driver
        package = names.get(path.name.rpartition(":")[0], "")
        name = f"{package} {own}" if own == "dram" and _PACKAGE.match(package) else own
        counted = _PACKAGE.match(own) or own == "dram"
        if counted and name not in found and (path / "energy_uj").exists():
            found.add(name)
            yield Zone(path, name, _range_uj(path))


def _place(path: Path) -> tuple[str, list[int]]:
    """Sorted as numbers, a zone before its parts, `intel-rapl` before `intel-rapl-mmio`."""
    kind, *numbers = path.name.split(":")
    return kind, [int(n) if n.isdigit() else 0 for n in numbers]


def _range_uj(path: Path) -> int | None:
    try:
        return int((path / "max_energy_range_uj").read_text())
    except (OSError, ValueError):
        return None


def capabilities(sys: Path = Path("/sys")) -> list[Capability]:
    """One line: the zones that are added up, or why they cannot be."""
    zones = tuple(_zones(sys))
    if not zones:
        return [Capability(WHAT, False, NO_ZONES, LOAD_REMEDY)]
    refused: dict[str, OSError | ValueError] = {}
    for zone in zones:
        try:
            _counter_uj(zone.path / "energy_uj")
        except (OSError, ValueError) as e:
            refused[zone.path.name] = e
    if not refused:
        names, note = ", ".join(zone.name for zone in zones), RaplReader(zones).note
        return [Capability(WHAT, True, names if note is None else f"{names} ({note})")]
    error = next(iter(refused.values()))
    remedy = READ_REMEDY if isinstance(error, PermissionError) else None
    return [Capability(WHAT, False, f"{', '.join(refused)}: {_reason(error)}", remedy)]
