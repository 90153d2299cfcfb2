"""CPU energy through RAPL, the counters in `/sys/class/powercap`: what can be read here."""

from __future__ import annotations

from pathlib import Path

from traincost.machine.capability import Capability

WHAT = "CPU energy (RAPL)"
READ_REMEDY = (
    "sudo chmod a+r /sys/class/powercap/*/energy_uj (until reboot; for good, a udev rule: "
    'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod a+r /sys%p/energy_uj")'
)


def capabilities(sys: Path = Path("/sys")) -> list[Capability]:
    """One line: the zones whose counters can be read, or why none can."""
    readable: list[str] = []
    refused: dict[str, OSError] = {}
    for zone in sorted(sys.glob("class/powercap/*:*")):
        try:
            name = (zone / "name").read_text().strip()
            (zone / "energy_uj").read_text()
        except FileNotFoundError:  # a zone that limits power but counts no energy
            continue
        except OSError as e:
            refused[zone.name] = e
        else:
            readable.append(name)
    if readable:
        return [Capability(WHAT, True, ", ".join(readable))]
    if not refused:
        return [
            Capability(
                WHAT,
                False,
                "no zones in /sys/class/powercap: a virtual machine, or a CPU without RAPL",
                "on the host itself: sudo modprobe intel_rapl_msr (AMD, too)",
            )
        ]
    zones, error = ", ".join(refused), next(iter(refused.values()))
    remedy = READ_REMEDY if isinstance(error, PermissionError) else None
    return [Capability(WHAT, False, f"{zones}: {error.strerror or error}", remedy)]
