"""The cost table at the end of a run, and where its wall time went. Fits 100 columns."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from traincost.data.record import Record, Status
from traincost.passes import WallTime
from traincost.show.units import amount

WIDTH = 100
REASONS = 8  # lines of reasons at most; all are in the CSV
_STYLES = {Status.OK: "green", Status.UNSTABLE: "yellow", Status.UNAVAILABLE: "dim"}


def cost_table(records: Sequence[Record]) -> Table:
    """One line a case under its test's name; energy and steps only where some case has them."""
    energy = any(r.gpu_energy_j is not None or r.cpu_energy_j is not None for r in records)
    target = any(r.target is not None for r in records)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("case", overflow="fold", ratio=1)
    optional = [*(["energy"] if energy else []), *(["steps"] if target else [])]
    for name in ("time", "samples/s", "FLOP/s", "MFU", "peak", *optional):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for test, group in groupby(records, key=lambda r: r.case_id.partition("[")[0]):
        rows = list(group)
        shared = _shared_axes(rows)
        table.add_row(Text.assemble((test, "bold"), "".join(f" {a}" for a in shared)))
        for r in rows:
            own = [a for a in _axes(r) if a not in shared]
            label = Text("  " + (" ".join(own) or "·"))
            table.add_row(label, *_numbers(r, energy), *_steps(r, target), status_text(r))
    return table


def _axes(record: Record) -> list[str]:
    """The axes in a case id: `suite/test[a=1,b=2]` -> a=1, b=2."""
    inside = record.case_id.partition("[")[2].removesuffix("]")
    return inside.split(",") if inside else []


def _shared_axes(records: Sequence[Record]) -> list[str]:
    """What all measured cases of a test have in common, said once in its heading."""
    measured = [r for r in records if r.status != Status.UNAVAILABLE]
    if len(measured) < 2:
        return []
    return [a for a in _axes(measured[0]) if all(a in _axes(r) for r in measured)]


def _numbers(record: Record, energy: bool) -> list[str]:
    joules = record.gpu_energy_j if record.gpu_energy_j is not None else record.cpu_energy_j
    return [
        amount(record.time_median_s, "s"),
        amount(record.samples_per_s),
        amount(record.flops_per_s),
        "" if record.mfu is None else f"{record.mfu:.1%}",
        amount(record.step_peak_bytes, "B"),
        *([amount(joules, "J")] if energy else []),
    ]


def _steps(record: Record, target: bool) -> list[str]:
    """Steps to the target; a dash where it was missed."""
    if not target:
        return []
    if record.target is None:
        return [""]
    return ["-" if record.steps_to_target is None else str(record.steps_to_target)]


def status_text(record: Record) -> Text:
    """The status, coloured."""
    return Text(record.status, style=_STYLES.get(Status(record.status), "red"))


def reason_lines(records: Sequence[Record]) -> list[str]:
    """Each reason of a row that is not ok, once, with how many rows have it."""
    counted: dict[str, int] = {}
    for r in records:
        if r.status != Status.OK and (reason := _reason(r)):
            line = f"{r.status}: {reason}"
            counted[line] = counted.get(line, 0) + 1
    lines = [f"{line} ({n} rows)" if n > 1 else line for line, n in counted.items()]
    return [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines[:REASONS]]


def _reason(record: Record) -> str | None:
    """The note that the status comes from."""
    for note in (record.notes or "").split("; "):
        column, _, reason = note.partition(": ")
        if column in ("status", "time_median_s", "loss_last"):
            return reason
    return None


def status_line(records: Sequence[Record]) -> str:
    """How many rows of which status: "45 ok, 2 unstable"."""
    count = {s: sum(r.status == s for r in records) for s in Status}
    return ", ".join(f"{n} {s}" for s, n in count.items() if n)


def wall_time_line(wall: WallTime) -> str:
    """Shares of the wall time."""
    parts: Mapping[str, float] = {
        "measuring": wall.measuring_s,
        "warm-up": wall.warm_up_s,
        "untimed passes": wall.untimed_s,
        "building": wall.building_s,
        "overhead": wall.overhead_s,
    }
    shares = ", ".join(f"{name} {s / wall.total_s:.0%}" for name, s in parts.items())
    return f"{wall.total_s:.0f} s: {shares}"
