"""Time normalised by what each machine can do at most, as it was measured there.

    bound_s = max(flops / peak_flops_per_s, compulsory_bytes / peak_bytes_per_s)
    time_over_roofline = time_median_s / bound_s

1 would be a step at the machine's limit. A ratio of 1 between two machines says that one is faster
by as much as its peaks promise. Peaks are the best that the suite `machine` reached on a side (its
matrix products by dtype, its copies), or else the measured peak that its rows were divided by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from traincost.data.record import Status
from traincost.machine.peaks import rate_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

MEASURE = "pytest suites/test_machine.py"
PEAK_COLUMNS = (
    *("suite", "case_id", "status", "peak_source", "dtype", "matmul_precision", "flops"),
    *("traffic_bytes", "time_min_s", "peak_flops_per_s", "peak_bytes_per_s"),
)
"""What a frame must have for its peaks to be found."""

OWN_PEAK_COLUMNS = ("dtype", "matmul_precision", "peak_flops_per_s", "peak_bytes_per_s")
"""Of those, what a row tells of the peak that it was divided by."""


@dataclass(frozen=True)
class Measured:
    """Peaks of one side: FLOP/s by dtype, and bytes/s; None where nobody measured it."""

    flops_per_s: Mapping[str, float] = field(default_factory=dict[str, float])
    bytes_per_s: float | None = None


def measured_peaks(frame: pd.DataFrame, side: Integers, n_sides: int) -> list[Measured]:
    """Of every side; rows of the suite `machine` first, then the rows' own measured peaks."""
    chosen, own = machine_rows(frame), own_peak_rows(frame)
    theirs = frame.loc[own, list(OWN_PEAK_COLUMNS)]
    return peaks_of(frame[chosen], side[chosen], theirs, side[own], n_sides)


def peaks_of(
    reached: pd.DataFrame, side: Integers, own: pd.DataFrame, own_side: Integers, n_sides: int
) -> list[Measured]:
    """Of every side, from `machine_rows` and `own_peak_rows`; equal ones of these may be one."""
    found: list[Measured] = []
    for i in range(n_sides):
        here, rows = reached[side == i], own[own_side == i]
        stated = _rates(rows, rows["peak_flops_per_s"])
        reached_here = _rates(*_of_case(here, "machine/matmul", "flops"))
        copies, moved = _of_case(here, "machine/copy", "traffic_bytes")
        bytes_per_s = [*moved[: len(copies)].dropna(), *rows["peak_bytes_per_s"].dropna()[:1]]
        found.append(Measured({**stated, **reached_here}, max(bytes_per_s, default=None)))
    return found


def machine_rows(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Rows of the suite `machine` that say what a machine reached."""
    fits = (frame["suite"] == "machine") & frame["status"].isin([Status.OK, Status.UNSTABLE])
    return fits.to_numpy(dtype=bool)


def own_peak_rows(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Other rows, that say which measured peak they were divided by."""
    return (frame["peak_source"] == "measured").to_numpy(dtype=bool) & ~machine_rows(frame)


def _of_case(rows: pd.DataFrame, case: str, count: str) -> tuple[pd.DataFrame, pd.Series[float]]:
    """The rows of a case of the suite `machine`, and their rates in the fastest round."""
    here = rows[rows["case_id"].astype(str).str.startswith(case)]
    return here, here[count] / here["time_min_s"]


def _rates(rows: pd.DataFrame, rates: pd.Series[float]) -> dict[str, float]:
    """The highest rate of each dtype."""
    found: dict[str, float] = {}
    if rows.empty:
        return found
    keys = [rows["dtype"].astype(object), rows["matmul_precision"].astype(object)]
    for both, rate in rates.groupby(keys, dropna=False).max().dropna().items():
        known: list[Any] = list(both) if isinstance(both, tuple) else []
        name = rate_name(*(v if isinstance(v, str) else None for v in known))
        if name is not None:
            found[name] = max(float(rate), found.get(name, 0.0))
    return found


@dataclass(frozen=True)
class Limits:
    """What binds each group, and how much of that limit it reaches."""

    name: Sequence[str | None]  # "arithmetic", "memory", "neither: overhead"; None where unknown
    share: Floats  # (n_groups,) the shortest possible time over the measured one


OVERHEAD_SHARE = 0.1
"""Below a tenth of what its nearest limit allows, a step waits for something else: for launches,
Python, small or strided work."""


def binding(
    rates: list[str | None],  # (n_groups,) the dtype whose peak rate bounds the group
    side: Integers,  # (n_groups,)
    flops: Floats,  # (n_groups,)
    moved_bytes: Floats,  # (n_groups,) that cannot be avoided
    time_s: Floats,  # (n_groups,) measured
    peaks: Sequence[Measured],
) -> Limits:
    """Which of a machine's limits is the nearest to each group."""
    import numpy as np

    arithmetic_s, memory_s = _times_s(rates, side, flops, moved_bytes, peaks)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.maximum(arithmetic_s, memory_s) / time_s
    share[~((share > 0) & (share < np.inf))] = np.nan
    names = [
        None
        if s != s
        else "neither: overhead"
        if s < OVERHEAD_SHARE
        else "arithmetic"
        if a > m
        else "memory"
        for s, a, m in zip(share.tolist(), arithmetic_s.tolist(), memory_s.tolist(), strict=True)
    ]
    return Limits(names, share)


def bounds_s(
    rates: list[str | None],  # (n_groups,) the dtype whose peak rate bounds the group
    side: Integers,  # (n_groups,)
    flops: Floats,  # (n_groups,)
    moved_bytes: Floats,  # (n_groups,) that cannot be avoided
    peaks: Sequence[Measured],
) -> Floats:
    """The shortest time that a step could take; NaN unless both parts are known."""
    import numpy as np

    bound = np.maximum(*_times_s(rates, side, flops, moved_bytes, peaks))
    bound[~(bound > 0)] = np.nan
    return np.asarray(bound, np.float64)


def _times_s(
    rates: list[str | None],
    side: Integers,
    flops: Floats,
    moved_bytes: Floats,
    peaks: Sequence[Measured],
) -> tuple[Floats, Floats]:
    """Of the arithmetic alone, and of moving the bytes alone."""
    import numpy as np

    flops_per_s = np.array(
        [
            peaks[s].flops_per_s.get(r or "", np.nan)
            for s, r in zip(side.tolist(), rates, strict=True)
        ]
    )
    known = [np.nan if p.bytes_per_s is None else p.bytes_per_s for p in peaks]
    with np.errstate(divide="ignore", invalid="ignore"):
        return flops / flops_per_s, moved_bytes / np.array(known)[side]
