"""From what the passes gave to a row: the columns of every instrument side by side.

Traffic is counted op by op, which is what eager execution moves between an op and the memory
system; another `impl` fuses ops where the count cannot see it, so its traffic is the compulsory
bytes. Where the GPU counts its own traffic (GPM), that is what the row has, for any `impl`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from traincost.data.case import Case, workload_hash
from traincost.data.record import COLUMNS, METRIC_PREFIX, Record, Status, notes_text
from traincost.data.step import captured_shapes, step_definition
from traincost.instruments.clock import MIN_ROUNDS, summarise
from traincost.machine.peaks import Peak
from traincost.measure import Measured, Work, status_of
from traincost.rates import Counts, rates

if TYPE_CHECKING:
    import torch

Metrics = Mapping[str, float | Callable[[], float]]
METRIC_COLUMNS = (
    *("loss_heldout", "accuracy_heldout", "grad_norm_ratio", "steps_to_target"),
    *("time_to_target_s", "energy_to_target_j", "data_wait_share"),
)
"""Columns that a suite may fill; every other is an instrument's."""
OPTIMIZER_IMPLEMENTATION = ("foreach", "fused", "capturable")
"""Options of torch's optimizers that change how a step is done and not what it does."""


@dataclass(frozen=True)
class Origin:
    """Which run and which machine a row comes from."""

    run_id: str
    started_at: str
    machine: Mapping[str, Any]  # the machine columns


def bare_record(case: Case, origin: Origin, status: Status, reason: str) -> Record:
    """The row of a case that has no numbers: unavailable, out of memory, failed."""
    return _record(case, origin, case.columns(), {"status": reason}, status=status)


def static_record(
    case: Case,
    origin: Origin,
    columns: Mapping[str, int | float | None],
    notes: Mapping[str, str],
    metrics: Mapping[str, float],
) -> Record:
    """The row of a case that was compiled and not run."""
    both = {**case.columns(), **columns}
    return _record(case, origin, both, notes, status=Status.OK, metrics=metrics)


def record_of(
    case: Case, work: Work, measured: Measured, origin: Origin, peak: Peak | None, metrics: Metrics
) -> Record:
    """The row of a case that ran to its end."""
    status, notes = status_of(measured)
    times = summarise(measured.timing.rounds_s, measured.timing.iterations)
    if times.rounds < MIN_ROUNDS and not measured.timing.one_of_many:
        notes["rounds"] = f"{times.rounds} in the budget, fewer than {MIN_ROUNDS}"
    counted = measured.arithmetic
    traffic = _traffic(measured, by_ops=case.columns()["impl"] == "eager")
    flops = (None, None) if counted is None else (counted.flops, counted.model_flops)
    counts = Counts(work.samples, work.tokens, *flops, traffic["traffic_bytes"])
    derived = rates(counts, times.time_median_s, peak)
    if counted is None:
        notes["flops"] = "counted in the first process of each side of the A/B"
    numbers = _numbers(metrics, notes)
    columns: dict[str, Any] = {
        **case.columns(),
        "workload": workload_of(case, work),
        "n_params": None if work.model is None else count_parameters(work.model),
        "time_first_step_s": measured.timing.first_step_s,
        "launches": measured.launches,
        **traffic,
        **{k: v for k, v in numbers.items() if k in COLUMNS},
    }
    counts_of = () if counted is None else (counted,)
    parts = (measured.memory, measured.losses, measured.energy)
    for part in (times, *counts_of, derived, *parts):
        columns |= {f.name: getattr(part, f.name) for f in fields(part) if f.name in COLUMNS}
        notes |= getattr(part, "notes", {})
    del columns["notes"]
    own = {k: v for k, v in numbers.items() if k not in COLUMNS}
    seen, shares = measured.energy.activity, ("tensor_share", "occupancy_share", "sm_share")
    own |= {f"gpm_{k}": v for k in shares if (v := getattr(seen, k)) is not None}
    return _record(case, origin, columns, notes, status=status, metrics=own)


def _traffic(measured: Measured, *, by_ops: bool) -> dict[str, Any]:
    counted, seen_bytes = measured.arithmetic, measured.energy.activity.traffic_bytes
    if seen_bytes is not None:
        return {"traffic_bytes": round(seen_bytes), "traffic_source": "gpm"}
    if counted is None:
        return {"traffic_bytes": None, "traffic_source": None}
    if by_ops:
        return {"traffic_bytes": counted.ops_bytes, "traffic_source": "ops"}
    return {"traffic_bytes": counted.compulsory_bytes, "traffic_source": "compulsory"}


def _numbers(metrics: Metrics, notes: dict[str, str]) -> dict[str, float]:
    """The suite's own results; one that is no number is left out, and noted."""
    numbers = {name: float(v() if callable(v) else v) for name, v in metrics.items()}
    for name in [name for name, value in numbers.items() if not math.isfinite(value)]:
        notes[name if name in COLUMNS else METRIC_PREFIX + name] = f"{numbers.pop(name)}"
    return numbers


def _record(
    case: Case,
    origin: Origin,
    columns: Mapping[str, Any],
    notes: Mapping[str, str],
    *,
    status: Status,
    metrics: Mapping[str, float] | None = None,
) -> Record:
    typed = {k: COLUMNS[k](v) for k, v in {**columns, **origin.machine}.items() if v is not None}
    return Record(
        run_id=origin.run_id,
        started_at=origin.started_at,
        suite=case.suite,
        case_id=case.case_id,
        status=status,
        notes=notes_text(notes),
        axes=case.own_axes(),
        metrics=metrics or {},
        **typed,
    )


def count_parameters(model: torch.nn.Module) -> int:
    """Trainable parameters, shared ones once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def workload_of(case: Case, work: Work) -> str:
    """A hash over model, optimizer, axes and step: what must agree for two rows to compare.

    Device and implementation, an optimizer's too, are left out: the same work is compared across
    them. So is the hash of the data, `axis_data_sha256`: a step costs the same whatever the bytes,
    and the corpus differs between versions of Python; it is a column of its own, for whoever
    compares losses.
    """
    not_work = ("device", "impl", "matmul_precision", "data_sha256")
    model, optimizer = getattr(work.model, "_orig_mod", work.model), work.optimizer
    named = [] if model is None else model.named_parameters()
    defaults = {} if optimizer is None else optimizer.defaults
    asked = sorted((k, str(v)) for k, v in defaults.items() if k not in OPTIMIZER_IMPLEMENTATION)
    return workload_hash(
        sorted((k, v) for k, v in case.axes.items() if k not in not_work),
        model,
        [(name, tuple(p.shape), p.dtype) for name, p in named],
        type(optimizer).__qualname__,
        asked,
        (work.samples, work.tokens, work.phase),
        step_definition(work.step),
        captured_shapes(work.step),
    )
