"""The machine that a forecast is for, where it is another one: what it can do, what it measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError
from traincost.judge.forecast.choosing import machine_names
from traincost.judge.forecast.model import Limits, Size, StepModel
from traincost.judge.forecast.move import moved_prices
from traincost.judge.forecast.points import Kind, Point, kinds, sizes
from traincost.judge.forecast.step import amounts_of
from traincost.judge.roofline import MEASURE, Measured, measured_peaks
from traincost.machine.peaks import rate_name

if TYPE_CHECKING:
    from traincost.data.record import Record

_DISPATCH = "dispatch_overhead_s"


@dataclass(frozen=True)
class Elsewhere:
    """Another machine, and the one that prices are known of."""

    name: str
    here: Limits
    there: Limits
    points: Sequence[Point]  # steps of the kind that the other one measured


def elsewhere(kind: Kind, here: Sequence[Record], there: Sequence[Record], file: str) -> Elsewhere:
    """What rows of `file` tell of their machine, for a kind of the rows here.

    Raises:
        BadInputError: they are of several machines, or of the same one; a limit is unknown.
    """
    devices = {r.device for r in there if r.suite == "machine" and r.device}
    device = "cuda" if "cuda" in devices else kind.device
    rows = [r for r in there if r.device in (device, None)]
    names = machine_names(rows)
    if len(names) > 1:
        raise BadInputError(
            f"--on {file}: rows of {len(names)} machines: {'; '.join(sorted(names.values()))}; "
            "expected those of one"
        )
    if device == kind.device and set(names) == {kind.machine_id}:
        raise BadInputError(
            f"--on {file}: FILE's machine, machine_id {kind.machine_id}; expected another"
        )
    found = {
        "FILE": limits_of(here, kind.device, kind.machine_id, kind),
        f"--on {file}": limits_of(rows, device, next(iter(names), None), kind),
    }
    for which, limits in found.items():
        if limits is None:
            raise BadInputError(
                f"{which}: no measured peaks of {_rate(kind) or kind.dtype} and of memory; "
                f"expected rows of {MEASURE}, measured there"
            )
    ours, theirs = (limits for limits in found.values() if limits is not None)
    same = [p for other, points in kinds(rows).items() if other.work == kind.work for p in points]
    return Elsewhere(next(iter(names.values()), file), ours, theirs, same)


def limits_of(
    records: Sequence[Record], device: str | None, machine_id: str | None, kind: Kind
) -> Limits | None:
    """Of one machine's device, at a kind's precision; None where a peak was not measured."""
    rows = [r for r in records if r.device in (device, None) and r.machine_id == machine_id]
    peaks = _peaks(rows)
    flops_per_s = peaks.flops_per_s.get(_rate(kind) or "")
    if flops_per_s is None or peaks.bytes_per_s is None:
        return None
    dispatch = [r.metrics[_DISPATCH] for r in rows if r.metrics.get(_DISPATCH)]
    return Limits(flops_per_s, peaks.bytes_per_s, min(dispatch, default=None))


def move(model: StepModel, to: Elsewhere) -> StepModel:
    """The same laws at the other machine's prices; energy isn't moved."""
    import numpy as np

    with_traffic = model.traffic is not None
    counted = [
        amounts_of([p], with_traffic=with_traffic)[0]
        if p.traffic_bytes is not None or not with_traffic
        else model.amounts(Size(p.n_params, p.batch_size))
        for p in to.points
    ]
    amounts = np.array(counted).reshape(len(counted), len(model.time.prices))
    costs = np.array([p.time_s for p in to.points])
    prices = moved_prices(model.time, to.here, to.there, amounts, costs)
    return replace(
        model, time=prices, energy=None, energies=None, limits=to.there, elsewhere=to.points
    )


def how(to: Elsewhere) -> str:
    """What the other machine's prices rest on."""
    n = len(sizes(to.points))
    if not n:
        return f"moved to {to.name} by both machines' limits alone, within a factor of 2 or so"
    steps = "step of this kind" if n == 1 else "steps of this kind"
    return f"moved to {to.name} by {n} {steps} that it measured, and by both machines' limits"


def _rate(kind: Kind) -> str | None:
    return rate_name(kind.dtype, kind.matmul_precision)


def _peaks(rows: Sequence[Record]) -> Measured:
    """The measured peaks of some rows."""
    import numpy as np

    from traincost.data.frames import frame_of_rows
    from traincost.data.results import to_row
    from traincost.judge.cases import COLUMNS

    frame = frame_of_rows([(i, to_row(r)) for i, r in enumerate(rows)], COLUMNS)
    (peaks,) = measured_peaks(frame, np.zeros(len(rows), np.int64), 1)
    return peaks
