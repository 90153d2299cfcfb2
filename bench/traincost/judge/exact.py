"""Metrics that are counted, not measured: equal or smaller passes, any growth is named.

A count means the same only where what counts, and what is counted, is the same. So each metric has
the columns that must be equal on both sides: torch, triton and the architecture always, and more
where the count depends on more:

- kernels are chosen and fused by toolkit, GPU and, for compiled code, the version of Python;
- which attention runs, and with it ops, FLOPs and bytes, is chosen by the GPU;
- the peak of a CPU step has buffers of each thread in it, and those of its instruction set.

Counts don't suffer from a slow machine, so rows that are throttled or unstable count as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from traincost.data.record import Record
from traincost.judge.line import Outcome

BUILD = ("torch", "triton", "arch")
SOURCES = ("ops", "compulsory")
"""Sources of `traffic_bytes` that count; `gpm` and `counter` measure."""
NAMED_MACHINE = "machine"
"""Stands for the GPU and its toolkit, or for the CPU and the threads of a row without a GPU."""

_COUNTED = (*BUILD, "gpu")
SAME = MappingProxyType(
    {
        "aten_ops": _COUNTED,
        "launches": (*BUILD, "gpu", "cuda", "python"),
        "flops": (*_COUNTED, "flops_convention"),
        "model_flops": (*BUILD, "flops_convention"),
        "traffic_bytes": (*_COUNTED, "traffic_source"),
        "compulsory_bytes": BUILD,
        "live_before_bytes": (*BUILD, "gpu", "cuda"),
        "step_peak_bytes": (*BUILD, NAMED_MACHINE),
        "registers": BUILD,
        "spill_bytes": BUILD,
        "shared_bytes": BUILD,
        "ptx_instructions": BUILD,
        "bytes_per_element": BUILD,
    }
)
"""Exact metric -> columns that must be equal on both sides."""
EXACT = tuple(SAME)
ROUNDING_REL = 1e-9
"""`bytes_per_element` is a quotient: its last digit is no growth."""


@dataclass(frozen=True)
class Compared:
    """An exact metric on both sides."""

    outcome: Outcome
    base: float
    head: float
    n: int  # runs of the side that has fewer
    growth_rel: float | None  # None from 0
    reason: str


def environment(metric: str, record: Record) -> tuple[tuple[str, str], ...]:
    """What `metric` of this row depends on, as column and value; empty where unknown."""
    columns = [c for column in SAME[metric] for c in _columns(column, record)]
    return tuple((c, _value(c, record)) for c in columns)


def _columns(column: str, record: Record) -> tuple[str, ...]:
    if column != NAMED_MACHINE:
        return (column,)
    return ("gpu", "cuda") if record.gpu is not None else ("cpu", "threads")


def _value(column: str, record: Record) -> str:
    value = getattr(record, column)
    if column == "python" and value is not None:
        return ".".join(str(value).split(".")[:2])
    return "" if value is None else str(value)


def counted(metric: str, record: Record) -> float | None:
    """The value of `metric` in this row, None where it is empty or was measured, not counted."""
    if metric == "traffic_bytes" and record.traffic_source not in SOURCES:
        return None
    value: float | None = getattr(record, metric)
    return value


def compare(metric: str, base: Sequence[float], head: Sequence[float]) -> Compared:
    """The values of all runs of each side; both have at least one.

    Where runs of one side differ among themselves the count isn't exact in this case: it grew if
    the smallest of HEAD is above the largest of BASE, and shrank the other way round.
    """
    n = min(len(base), len(head))
    varies = [
        f"{side} varies: {_number(min(values))} to {_number(max(values))}"
        for side, values in (("BASE", base), ("HEAD", head))
        if max(values) > min(values)
    ]
    if _above(min(head), max(base)):
        outcome, old, new = Outcome.GREW, max(base), min(head)
    elif _above(min(base), max(head)):
        outcome, old, new = Outcome.SHRANK, min(base), max(head)
    else:
        outcome, old, new = Outcome.EQUAL, max(base), max(head) if varies else max(base)
    reason = "; ".join([_change(metric, old, new), *varies])
    return Compared(outcome, old, new, n, _growth_rel(old, new), reason)


def _above(value: float, other: float) -> bool:
    if isinstance(value, int) and isinstance(other, int):
        return value > other
    return value - other > ROUNDING_REL * abs(other)


def _growth_rel(old: float, new: float) -> float | None:
    """Exact for integers of any size; None where there is nothing to divide by."""
    try:
        return (new - old) / old
    except (ZeroDivisionError, OverflowError):
        return None


def _change(metric: str, old: float, new: float) -> str:
    """`31 → 32 (+1, +3.2%)`; bytes are named."""
    if new == old:
        return ""
    unit = " B" if metric.endswith("_bytes") else ""
    growth_rel = _growth_rel(old, new)
    relative = "" if growth_rel is None else f", {growth_rel:+.2%}"
    return (
        f"{_number(old)}{unit} → {_number(new)}{unit} ({_number(new - old, '+')}{unit}{relative})"
    )


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign},}" if isinstance(value, int) else f"{value:{sign},.6g}"
