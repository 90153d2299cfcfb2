"""Static costs as a table for those who tune kernels: one line a launch."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from traincost_kernels.static.cost import StaticCost, Widths

_COLUMNS = ("warps", "regs", "spill", "shared", "occ", "PTX", "loads", "stores", "B/elem", "least")


def cost_table(costs: Iterable[StaticCost]) -> Table:
    """One line a phase, under it one a launch where there are several.

    Widths in bytes: the main one, and narrowest to widest where they differ.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("kernel")
    for name in ("impl", "dtype", "n_cols", "arch"):
        table.add_column(name, no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for cost in costs:
        s = cost.subject
        moved = cost.moved
        table.add_row(
            f"{s.kernel} {cost.phase}",
            *(s.impl, s.dtype, str(s.n_cols), cost.arch),
            "/".join(sorted({str(b.num_warps) for b in cost.binaries}, key=int)),
            str(cost.registers),
            _alarm(cost.spill_bytes),
            str(cost.shared_bytes),
            f"{cost.occupancy:.0%}",
            str(cost.ptx_instructions),
            _widths(cost.loads),
            _widths(cost.stores),
            "" if moved is None else f"{moved.bytes_per_element:.4g}",
            "" if moved is None else f"{moved.least_per_element:.4g}",
        )
        for reason in filter(None, (cost.miscounted, cost.not_counted)):
            table.add_row(Text(f"  {reason}", style="red"))
        if len(cost.binaries) > 1:
            for b in cost.binaries:
                table.add_row(
                    Text(f"  {b.name}", style="dim"),
                    *("", "", "", ""),
                    str(b.num_warps),
                    str(b.resources.registers),
                    _alarm(b.resources.spill_bytes),
                    str(b.shared_bytes),
                    f"{b.occupancy:.0%}",
                    str(b.ptx.instructions),
                )
    return table


def _alarm(spill_bytes: int) -> Text:
    return Text(str(spill_bytes), style="red" if spill_bytes else "")


def _widths(widths: Widths) -> str:
    if widths.widest_bytes is None:
        return "-"
    main = "?" if widths.main_bytes is None else str(widths.main_bytes)
    if widths.narrowest_bytes == widths.widest_bytes:
        return main
    return f"{main} ({widths.narrowest_bytes}-{widths.widest_bytes})"
