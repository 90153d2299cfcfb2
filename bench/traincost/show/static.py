"""The table of static kernel costs at the end of a run: one line a kernel, targets side by side.

Of each number the targets' values are joined where they differ, in the order of the heading.
"""

from collections.abc import Callable, Sequence

from rich.table import Table
from rich.text import Text

from traincost.data.record import Record, Status
from traincost.show.summary import status_text

_COLUMNS: dict[str, Callable[[Record], str]] = {
    "regs": lambda r: _shown(r.registers),
    "spill": lambda r: _shown(r.spill_bytes),
    "occupancy": lambda r: "" if r.occupancy is None else f"{r.occupancy:.0%}",
    "load": lambda r: _shown(r.load_width_bytes),
    "store": lambda r: _shown(r.store_width_bytes),
    "B/elem": lambda r: _shown(r.bytes_per_element),
    "least": lambda r: _shown(r.least_bytes_per_element),
}


def static_table(records: Sequence[Record]) -> Table:
    """One line a case without its target, under its kernel; spills and widths in bytes.

    Shared memory and whatever else a row has is in the CSV.
    """
    targets = sorted({r.arch or "" for r in records}, key=lambda a: (len(a), a))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("/".join(targets), overflow="fold", ratio=1)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for kernel, of_kernel in _grouped(records, _kernel).items():
        table.add_row(Text(kernel, style="bold"))
        for line, found in _grouped(of_kernel, _line).items():
            found.sort(key=lambda r: targets.index(r.arch or ""))
            cells = (_joined([show(r) for r in found]) for show in _COLUMNS.values())
            table.add_row(Text(f"  {line}"), *cells, _status(found))
    return table


def _grouped(records: Sequence[Record], key: Callable[[Record], str]) -> dict[str, list[Record]]:
    """Records by key, in the order in which each is first met."""
    groups: dict[str, list[Record]] = {}
    for r in records:
        groups.setdefault(key(r), []).append(r)
    return groups


def _kernel(record: Record) -> str:
    return record.axes.get("kernel", record.case_id.partition("[")[0])


def _line(record: Record) -> str:
    """What tells a case from others of its kernel, the target left out."""
    own = [value for name, value in sorted(record.axes.items()) if name != "kernel"]
    return " ".join(filter(None, (record.phase, record.dtype, *own, record.impl)))


def _joined(values: Sequence[str]) -> str:
    """One value where all targets agree, else each."""
    return values[0] if len(set(values)) == 1 else "/".join(v or "-" for v in values)


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.4g}"


def _status(records: Sequence[Record]) -> Text:
    worst = max(records, key=lambda r: r.status != Status.OK)
    return status_text(worst)
