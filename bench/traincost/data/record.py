"""The row: one measured case, with every column of result schema 1.

A column's name carries its unit (SI). `None` means "not measured", and `notes` says why; it is
never 0, -1, inf or NaN. The order of the fields is the order of the columns in the CSV. A suite's
own axes and metrics follow as `axis_<name>` (text) and `metric_<name>_<unit>` (number).

Only a renamed, retyped or redefined column raises `SCHEMA`; a new optional one does not.
History: 1 (2026-11): the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType, NoneType
from typing import get_args, get_type_hints

SCHEMA = 1
AXIS_PREFIX = "axis_"
METRIC_PREFIX = "metric_"
LONGEST_REASON = 500


class Status(StrEnum):
    """How a case ended. Every status but `ok` has its reason in `notes`."""

    OK = "ok"
    OOM = "oom"  # out of memory; what it held was given back
    DIVERGED = "diverged"  # the loss became NaN or infinite
    UNSTABLE = "unstable"  # measured, but the rounds spread too widely to lean on
    THROTTLED = "throttled"  # measured while the device held its clocks back
    INVALID = "invalid"  # a wrong answer: its time means nothing
    UNAVAILABLE = "unavailable"  # this machine lacks what the case needs
    ERROR = "error"  # the case raised


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row of a result CSV: one case in one run."""

    # who
    schema: int = SCHEMA
    run_id: str
    pair: int | None = None  # set by `traincost ab`
    started_at: str  # UTC, ISO 8601
    suite: str
    case_id: str
    workload: str | None = None  # hash of model, data and step definition
    status: str = Status.OK
    notes: str | None = None  # "column: reason; column: reason"
    # axes
    model: str | None = None
    impl: str | None = None
    phase: str | None = None
    device: str | None = None
    dtype: str | None = None
    matmul_precision: str | None = None
    n_params: int | None = None
    batch_size: int | None = None
    seq_len: int | None = None
    dataset_samples: int | None = None
    seed: int | None = None
    world_size: int | None = None
    # time
    time_first_step_s: float | None = None
    rounds: int | None = None
    iterations: int | None = None
    time_min_s: float | None = None
    time_p20_s: float | None = None
    time_median_s: float | None = None
    time_p80_s: float | None = None
    time_mean_s: float | None = None
    time_stddev_s: float | None = None
    samples_per_s: float | None = None
    tokens_per_s: float | None = None
    run_spread_rel: float | None = None
    run_spread_n: int | None = None
    # arithmetic
    aten_ops: int | None = None
    launches: int | None = None
    flops: int | None = None  # executed in one step
    model_flops: int | None = None  # by definition of the model
    flops_convention: str | None = None
    traffic_bytes: int | None = None
    traffic_source: str | None = None
    compulsory_bytes: int | None = None  # the floor: everything read or written, once
    intensity_flop_per_byte: float | None = None
    flops_per_s: float | None = None
    mfu: float | None = None
    hfu: float | None = None
    bandwidth_utilization: float | None = None
    peak_flops_per_s: float | None = None
    peak_bytes_per_s: float | None = None
    peak_source: str | None = None
    # memory
    live_before_bytes: int | None = None
    step_peak_bytes: int | None = None
    reserved_peak_bytes: int | None = None
    device_peak_bytes: int | None = None
    host_peak_bytes: int | None = None
    # energy
    gpu_energy_j: float | None = None
    cpu_energy_j: float | None = None
    gpu_energy_error_j: float | None = None
    energy_source: str | None = None
    energy_window_s: float | None = None
    power_mean_w: float | None = None
    power_idle_w: float | None = None
    power_limit_w: float | None = None
    temperature_max_c: float | None = None
    sm_clock_mean_hz: float | None = None
    throttle_reasons: str | None = None
    # outcome
    loss_first: float | None = None
    loss_last: float | None = None
    loss_steps: int | None = None
    loss_heldout: float | None = None
    accuracy_heldout: float | None = None
    grad_norm_ratio: float | None = None
    target: str | None = None
    steps_to_target: int | None = None
    time_to_target_s: float | None = None
    energy_to_target_j: float | None = None
    data_wait_share: float | None = None
    # static kernel cost
    arch: str | None = None
    registers: int | None = None
    spill_bytes: int | None = None
    shared_bytes: int | None = None
    occupancy: float | None = None  # theoretical
    ptx_instructions: int | None = None
    load_width_bytes: int | None = None
    store_width_bytes: int | None = None
    bytes_per_element: float | None = None
    least_bytes_per_element: float | None = None
    # machine
    machine_id: str | None = None
    host: str | None = None
    cpu: str | None = None
    gpu: str | None = None
    gpu_uuid: str | None = None
    driver: str | None = None
    cuda: str | None = None
    torch: str | None = None
    triton: str | None = None
    python: str | None = None
    threads: int | None = None
    commit: str | None = None
    # a suite's own
    axes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


def _column_types() -> dict[str, type]:
    """Column name to `int`, `float` or `str`, in the order of the CSV."""
    hints = get_type_hints(Record)
    return {
        f.name: next(t for t in (get_args(hints[f.name]) or (hints[f.name],)) if t is not NoneType)
        for f in fields(Record)
        if f.name not in ("axes", "metrics")
    }


COLUMNS: Mapping[str, type] = MappingProxyType(_column_types())
REQUIRED = ("schema", "run_id", "started_at", "suite", "case_id", "status")


def column_type(name: str) -> type | None:
    """Type of a column, a suite's own included; None for one this version does not know."""
    if name.startswith(AXIS_PREFIX):
        return str
    if name.startswith(METRIC_PREFIX):
        return float
    return COLUMNS.get(name)


def notes_text(notes: Mapping[str, str]) -> str | None:
    """The `notes` cell: "column: reason; column: reason", on one line."""
    if not notes:
        return None
    clean = {k: _cut(" ".join(v.split()).replace(";", ",")) for k, v in notes.items()}
    return "; ".join(f"{column}: {reason}" for column, reason in clean.items())


def _cut(reason: str) -> str:
    """A reason is a sentence, not a dump."""
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…"
