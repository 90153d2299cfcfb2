"""The most that a device can do: FLOP/s for a dtype, and bytes/s of its memory.

Datasheet peaks stand in `peaks.csv`, one figure a row: a GPU's memory bandwidth, or its rate for
one dtype, with the maker's document, how it was read (`copy`: as others quote that document;
`secondary`: from tables that only point to it) and when. They are dense rates: where a document
prints only the rate "with sparsity", half of it. fp16, bf16 and fp8 are the rates with fp32
accumulation, which is how torch multiplies; on GeForce cards that is half of another figure in the
same table. fp64 is the rate of the tensor cores where they have one, fp32 that of the CUDA cores.

A GPU's name must match exactly: "NVIDIA L40S" is neither an L40 nor an L4. An unknown GPU has no
datasheet peak. What no datasheet serves (every CPU) is measured by `suites/test_machine.py`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from traincost.data.record import Record, Status

Source = Literal["datasheet", "measured"]
_MEASURED_STATUS = (Status.OK, Status.UNSTABLE)


@dataclass(frozen=True)
class Peak:
    """The denominators of a row. Both come from `source`; None is unknown."""

    flops_per_s: float | None
    bytes_per_s: float | None
    source: Source


@dataclass(frozen=True)
class Figure:
    """One row of `peaks.csv`: a rate for a dtype, or (`dtype` None) the memory bandwidth."""

    gpu: str
    dtype: str | None
    flops_per_s: float | None
    bytes_per_s: float | None
    source: str  # the maker's document
    url: str
    read_in: str  # copy, secondary
    checked: str  # date, ISO 8601


@cache
def figures() -> Mapping[tuple[str, str | None], Figure]:
    """`peaks.csv` by GPU and dtype; dtype None holds the bandwidth."""
    with files("traincost.machine").joinpath("peaks.csv").open(encoding="utf-8") as f:
        found = {(row["gpu"], row["dtype"] or None): _figure(row) for row in csv.DictReader(f)}
    return MappingProxyType(found)


def _figure(row: Mapping[str, str]) -> Figure:
    return Figure(
        gpu=row["gpu"],
        dtype=row["dtype"] or None,
        flops_per_s=float(row["flops_per_s"]) if row["flops_per_s"] else None,
        bytes_per_s=float(row["bytes_per_s"]) if row["bytes_per_s"] else None,
        source=row["source"],
        url=row["url"],
        read_in=row["read_in"],
        checked=row["checked"],
    )


def rate_name(dtype: str | None, matmul_precision: str | None) -> str | None:
    """The dtype whose peak rate bounds a row: autocast runs at its lower dtype, TF32 is its own."""
    if dtype == "fp32" and matmul_precision == "tf32":
        return "tf32"
    return dtype.removeprefix("autocast-") if dtype else None


def datasheet(gpu: str, dtype: str, matmul_precision: str | None) -> Peak | None:
    """The maker's figures; None for a GPU that is not in the table under exactly this name.

    A known GPU without a figure for this dtype still has its bandwidth.
    """
    bandwidth = figures().get((gpu, None))
    rate = figures().get((gpu, rate_name(dtype, matmul_precision)))
    if bandwidth is None and rate is None:
        return None
    return Peak(
        flops_per_s=rate.flops_per_s if rate else None,
        bytes_per_s=bandwidth.bytes_per_s if bandwidth else None,
        source="datasheet",
    )


def measured(
    rows: Iterable[Record],
    machine_id: str,
    device: str,
    dtype: str,
    matmul_precision: str | None,
) -> Peak | None:
    """The highest rates that the suite `machine` reached on this machine; None without any.

    FLOP/s from its matrix products of the same dtype, bytes/s from its copies of any dtype, each in
    its fastest round: a neighbour's load must not lower the peak that others are divided by.
    """
    here = [
        row
        for row in rows
        if row.suite == "machine"
        and row.machine_id == machine_id
        and row.device == device
        and row.status in _MEASURED_STATUS
    ]
    name = rate_name(dtype, matmul_precision)
    flops_per_s = max(_matmul_rates(here, name), default=None)
    bytes_per_s = max(_copy_rates(here), default=None)
    if flops_per_s is None and bytes_per_s is None:
        return None
    return Peak(flops_per_s, bytes_per_s, "measured")


def _matmul_rates(rows: Iterable[Record], name: str | None) -> Iterator[float]:
    for row in rows:
        same = rate_name(row.dtype, row.matmul_precision) == name
        if row.case_id.startswith("machine/matmul") and same and row.flops and row.time_min_s:
            yield row.flops / row.time_min_s


def _copy_rates(rows: Iterable[Record]) -> Iterator[float]:
    for row in rows:
        if row.case_id.startswith("machine/copy") and row.traffic_bytes and row.time_min_s:
            yield row.traffic_bytes / row.time_min_s


def peak_for(
    gpu: str | None,
    dtype: str,
    matmul_precision: str | None,
    *,
    rows: Iterable[Record] = (),
    machine_id: str = "",
    device: str = "cpu",
) -> Peak | None:
    """The peak to divide by: the datasheet's if it knows this dtype, else the measured one.

    Never a rate from one and a bandwidth from the other: a row has one `peak_source`, and its
    roofline must not mix a figure that can be reached with one that cannot. Where neither knows the
    dtype, the bandwidth alone remains, the datasheet's first.
    """
    found = [
        datasheet(gpu, dtype, matmul_precision) if gpu else None,
        measured(rows, machine_id, device, dtype, matmul_precision),
    ]
    known = [peak for peak in found if peak is not None]
    with_rate = [peak for peak in known if peak.flops_per_s is not None]
    return next(iter(with_rate or known), None)
