"""Which rows tell of one kind of step, and what each of them says.

Rows are of one kind if they differ only in size: same family of models (`gpt` of `gpt-10M`), phase,
implementation, device, precision, sequence length, number of ranks, machine and a suite's own axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from traincost.data.case import family_of
from traincost.data.record import Record, Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

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

    @property
    def work(self) -> Kind:
        """The same on any machine and device."""
        return replace(self, device=None, machine_id=None)


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
    gpu_energy_j: float | None
    cpu_energy_j: float | None
    doubtful: bool

    @property
    def memory_bytes(self) -> int | None:
        """Live tensors and the peak above them."""
        if not (self.live_bytes and self.peak_bytes):
            return None
        return self.live_bytes + self.peak_bytes


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
            found.setdefault(kind_of(row, row.model), []).append(point)
    return found


def kind_of(row: Record, model: str) -> Kind:
    """The kind of a row's step."""
    return Kind(
        family=family_of(model),
        phase=row.phase,
        impl=row.impl,
        device=row.device,
        dtype=row.dtype,
        matmul_precision=row.matmul_precision,
        seq_len=row.seq_len,
        world_size=row.world_size,
        machine_id=row.machine_id,
        axes=tuple(sorted((k, v) for k, v in row.axes.items() if k not in _OF_THE_DATA)),
    )


def _point(row: Record, *, doubtful: bool) -> Point | None:
    n_params, batch_size, time_s = row.n_params, row.batch_size, row.time_median_s
    flops, ops = row.flops or row.model_flops, row.aten_ops or row.launches
    if not (n_params and batch_size and time_s and flops and ops) or row.dataset_samples:
        return None
    return Point(
        n_params=n_params,
        batch_size=batch_size,
        time_s=time_s,
        flops=flops,
        aten_ops=ops,
        compulsory_bytes=row.compulsory_bytes,
        traffic_bytes=row.traffic_bytes if row.traffic_source in _COUNTED else None,
        live_bytes=row.live_before_bytes,
        peak_bytes=row.step_peak_bytes,
        gpu_energy_j=row.gpu_energy_j,
        cpu_energy_j=row.cpu_energy_j,
        doubtful=doubtful,
    )


def sizes(points: Sequence[Point]) -> set[tuple[int, int]]:
    """Distinct (parameters, batch)."""
    return {(p.n_params, p.batch_size) for p in points}


def column(points: Sequence[Point], name: str) -> Floats:
    """An amount of every point; NaN where not measured."""
    import numpy as np

    return np.array([getattr(p, name) for p in points], dtype=np.float64)
