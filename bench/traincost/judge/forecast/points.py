"""Which rows tell of one kind of step, and what each of them says.

Rows are of one kind if they differ only in size: same family of models (`gpt` of `gpt-10M`), phase,
implementation, device, precision, sequence length and a suite's own axes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError
from traincost.data.record import Record, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_SIZE = re.compile(r"[-_]\d+(\.\d+)?[kKmMbB]?$")
_OF_THE_DATA = ("data", "data_sha256")
_COUNTED = ("ops", "compulsory")
"""Sources of `traffic_bytes` that the model decides, not the machine's caches."""
_DOUBTFUL = (Status.UNSTABLE, Status.THROTTLED)


@dataclass(frozen=True)
class Kind:
    """What rows of one kind share."""

    family: str
    phase: str | None
    impl: str | None
    device: str | None
    dtype: str | None
    matmul_precision: str | None
    seq_len: int | None
    world_size: int | None
    machine_id: str | None
    axes: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        known = (self.family, self.phase, self.impl, self.device, self.dtype)
        own = (f"{name}={value}" for name, value in self.axes)
        return " ".join([*(k for k in known if k is not None), *own])


@dataclass(frozen=True)
class Point:
    """One measured step. Amounts are those of a step, None where not measured."""

    n_params: int
    batch_size: int
    time_s: float
    flops: int
    aten_ops: int
    compulsory_bytes: int | None
    traffic_bytes: int | None
    live_bytes: int | None
    peak_bytes: int | None
    energy_j: float | None
    doubtful: bool


def family_of(model: str) -> str:
    """`gpt-10M` -> `gpt`."""
    return _SIZE.sub("", model)


def kinds(records: Iterable[Record]) -> dict[Kind, list[Point]]:
    """Every kind of step with its measurements; doubtful ones only where a case has no other."""
    rows = list(records)
    sure = {(r.machine_id, r.case_id) for r in rows if r.status == Status.OK}
    found: dict[Kind, list[Point]] = {}
    for row in rows:
        doubtful = row.status in _DOUBTFUL and (row.machine_id, row.case_id) not in sure
        if not (row.status == Status.OK or doubtful) or row.model is None:
            continue
        point = _point(row, doubtful=doubtful)
        if point is not None:
            found.setdefault(_kind(row, row.model), []).append(point)
    return found


def _kind(row: Record, model: str) -> Kind:
    own = sorted((k, v) for k, v in row.axes.items() if k not in _OF_THE_DATA)
    return Kind(
        *(family_of(model), row.phase, row.impl, row.device, row.dtype, row.matmul_precision),
        *(row.seq_len, row.world_size, row.machine_id, tuple(own)),
    )


def _point(row: Record, *, doubtful: bool) -> Point | None:
    n_params, batch_size, time_s = row.n_params, row.batch_size, row.time_median_s
    flops, ops = row.flops or row.model_flops, row.aten_ops or row.launches
    if not (n_params and batch_size and time_s and flops and ops) or row.dataset_samples:
        return None
    joules = [e for e in (row.gpu_energy_j, row.cpu_energy_j) if e is not None]
    return Point(
        *(n_params, batch_size, time_s, flops, ops, row.compulsory_bytes),
        traffic_bytes=row.traffic_bytes if row.traffic_source in _COUNTED else None,
        live_bytes=row.live_before_bytes,
        peak_bytes=row.step_peak_bytes,
        energy_j=sum(joules) if joules else None,
        doubtful=doubtful,
    )


@dataclass(frozen=True)
class Wanted:
    """What was asked for; None: whatever has most sizes."""

    family: str | None = None
    impl: str | None = None
    device: str | None = None
    dtype: str | None = None

    def fits(self, kind: Kind) -> bool:
        """Whether rows of a kind are what was asked for."""
        asked = (self.family, self.impl, self.device, self.dtype)
        has = (kind.family, kind.impl, kind.device, kind.dtype)
        return all(a is None or a == h for a, h in zip(asked, has, strict=True))


def choose(
    found: dict[Kind, list[Point]], wanted: Wanted, *, tokens: bool
) -> tuple[Kind, list[Point]]:
    """The kind of whole training steps with most sizes that fits.

    Raises:
        BadInputError: none does; it names those that there are.
    """
    steps = {k: p for k, p in found.items() if k.phase == "step"}
    fitting = {k: p for k, p in steps.items() if wanted.fits(k) and (k.seq_len or not tokens)}
    if not fitting:
        there = "; ".join(sorted({str(k) for k in steps})) or "none"
        what = " with tokens" if tokens else ""
        raise BadInputError(
            f"no measured training steps{what} of {_text(wanted)}; the file has: {there}; expected "
            "rows with n_params, batch_size, time_median_s, flops and aten_ops or launches"
        )
    return max(fitting.items(), key=lambda item: len(sizes(item[1])))


def _text(wanted: Wanted) -> str:
    asked = (wanted.family, wanted.impl, wanted.device, wanted.dtype)
    return " ".join(a for a in asked if a is not None) or "any model"


def sizes(points: Sequence[Point]) -> set[tuple[int, int]]:
    """Distinct (parameters, batch)."""
    return {(p.n_params, p.batch_size) for p in points}


def column(points: Sequence[Point], name: str) -> Floats:
    """An amount of every point; NaN where not measured."""
    import numpy as np

    return np.array([getattr(p, name) for p in points], dtype=np.float64)
