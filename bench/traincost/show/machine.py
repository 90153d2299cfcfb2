"""What `traincost machine` shows: the facts, what can be measured here, and the peaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from traincost.data.record import Record
from traincost.machine.capability import Capability
from traincost.machine.identity import Machine
from traincost.machine.peaks import Peak, figures, peak_for, rate_name
from traincost.show.tables import Row
from traincost.show.units import amount

COLUMNS = ("section", "what", "available", "value", "remedy")
MEASURE_PEAKS = "pytest suites/test_machine.py"
# dtype and matmul_precision of a row.
_RATES = {
    "cpu": (("fp64", None), ("fp32", None), ("bf16", None), ("fp16", None)),
    "cuda": (
        ("fp64", None),
        ("fp32", "ieee"),
        ("fp32", "tf32"),
        ("bf16", None),
        ("fp16", None),
        ("fp8", None),
    ),
}


def machine_rows(
    machines: Iterable[Machine], capabilities: Iterable[Capability], records: Sequence[Record]
) -> list[Row]:
    """Rows under `COLUMNS`.

    `machines` holds this machine as each kind of device sees it, `records` may hold measured peaks.
    """
    seen = list(machines)
    return [
        *(row for machine in seen for row in _facts(machine)),
        *_capabilities(capabilities),
        *(row for machine in seen for row in _peaks(machine, records)),
    ]


def _facts(machine: Machine) -> list[Row]:
    section = f"this machine, to a {machine.device} row"
    facts: dict[str, object] = dict(machine.columns())
    facts |= {
        "gpu_memory": amount(machine.gpu_memory_bytes, "B") or None,
        "gpu_capability": machine.gpu_capability,
        "cpus": f"{len(machine.cpu_set)} measured on, of {machine.cpus_online} online",
        "memory": amount(machine.memory_bytes, "B") or None,
        "system": f"{machine.os}, kernel {machine.kernel}, {machine.architecture}",
        "container": machine.container,
        "packages": ", ".join(f"{name} {version}" for name, version in machine.packages.items()),
    }
    return [(section, name, None, str(v), None) for name, v in facts.items() if v is not None]


def _capabilities(capabilities: Iterable[Capability]) -> list[Row]:
    section = "what can be measured here"
    return [(section, c.what, c.available, c.detail, c.remedy) for c in capabilities]


def _peaks(machine: Machine, records: Sequence[Record]) -> list[Row]:
    section = f"peaks of {machine.gpu or machine.cpu}"
    find = partial(peak_for, rows=records, machine_id=machine.machine_id, device=machine.device)
    rows: list[Row] = []
    for dtype, precision in _RATES[machine.device]:
        peak = find(machine.gpu, dtype, precision)
        name = rate_name(dtype, precision)
        rate = peak.flops_per_s if peak else None
        rows.append(_peak(section, f"{name} rate", machine.gpu, name, peak, amount(rate, "FLOP/s")))
    peak = find(machine.gpu, "", None)
    rate = peak.bytes_per_s if peak else None
    return [*rows, _peak(section, "memory", machine.gpu, None, peak, amount(rate, "B/s"))]


def _peak(
    section: str, what: str, gpu: str | None, name: str | None, peak: Peak | None, rate: str
) -> Row:
    """A line for one figure; `rate` is empty where it is unknown."""
    if peak is None or not rate:
        return (section, what, False, "unknown", MEASURE_PEAKS)
    figure = figures().get((gpu or "", name))
    if peak.source == "measured" or figure is None:
        return (section, what, True, f"{rate}, {peak.source}", None)
    return (
        section,
        what,
        True,
        f"{rate}, {figure.source} ({figure.read_in}, {figure.checked})",
        None,
    )
