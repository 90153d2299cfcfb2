"""From what the ranks saw to one row.

time                 of the slowest rank, round by round (every rank has that number)
flops, bytes moved   added up: the step is what all ranks do
memory               of the rank that needs most: a device is too small for one rank alone
energy, power        added up over devices
loss                 the mean over ranks, which is that of the whole batch
communication        of the rank that communicates most, per step
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from traincost.assemble import record_of
from traincost.data.record import Record, Status
from traincost.instruments.arithmetic import Arithmetic
from traincost.instruments.energy import Energy
from traincost.instruments.memory import Memory
from traincost.machine.peaks import Peak
from traincost.measure import Measured
from traincost.parallel.order import Order
from traincost.parallel.passes import Communication, RankResult
from traincost.parallel.rank_work import RankWork

REPLICATED = "part of the model is computed on every rank: `flops` has it as often"
_ADDED_UP = (
    *("gpu_energy_j", "cpu_energy_j", "gpu_energy_error_j"),
    *("power_mean_w", "power_idle_w", "power_limit_w"),
)


def row(order: Order, built: RankWork, results: Sequence[RankResult], devices: int) -> Record:
    """The row of a case, from the ranks in order; `devices` is how often the peak is there."""
    measured = merged(results, built)
    share = 1 if built.replicated else len(results)
    tokens = built.work.tokens
    work = replace(
        built.work,
        samples=built.work.samples * share,
        tokens=None if tokens is None else tokens * share,
    )
    case = order.case.with_axes(built.axes)
    peak = None if order.peak is None else _times(order.peak, devices)
    metrics = communication_metrics(results) | rank_metrics(results)
    return record_of(case, work, measured, order.origin, peak, metrics)


def merged(results: Sequence[RankResult], built: RankWork) -> Measured:
    """The passes of all ranks as those of one step."""
    every = [result.measured for result in results]
    first = every[0]
    waited = [m.timing.waited_share for m in every if m.timing.waited_share is not None]
    timing = replace(
        first.timing,
        first_step_s=max(m.timing.first_step_s for m in every),
        waited_share=max(waited, default=None),
    )
    if first.arithmetic is None:
        return replace(first, timing=timing)
    launches = [m.launches for m in every if m.launches is not None]
    return replace(
        first,
        timing=timing,
        arithmetic=_arithmetic([m.arithmetic for m in every if m.arithmetic], built.replicated),
        launches=max(launches, default=None),
        memory=_memory(results),
        energy=_energy([m.energy for m in every]),
    )


def communication_metrics(results: Sequence[RankResult]) -> dict[str, float]:
    """`comm_...` of the rank that sends most, and their relation to the step."""
    most = max((r.communication for r in results), key=_bus_bytes)
    step_s = statistics.median(results[0].measured.timing.rounds_s)
    found: dict[str, float] = {
        "comm_calls": most.calls,
        "comm_payload_bytes": most.payload_bytes,
        "comm_bus_bytes": most.bus_bytes,
    }
    times_s = [r.communication.time_s for r in results]
    known_s = [t for t in times_s if t is not None]
    if len(known_s) < len(times_s):
        return found
    time_s = max(known_s)
    found |= {"comm_time_s": time_s, "comm_step_share": time_s / step_s}
    if time_s > 0 and most.bus_bytes > 0:
        found["comm_bus_bytes_per_s"] = most.bus_bytes / time_s
    return found


def rank_metrics(results: Sequence[RankResult]) -> dict[str, float]:
    """How the ranks differ: in time, and what they hold together."""
    own_s = [statistics.median(r.own_rounds_s) for r in results]
    found = {"rank_time_spread_rel": (max(own_s) - min(own_s)) / max(own_s)}
    live = [_live_bytes(r) for r in results]
    known = [n for n in live if n is not None]
    if len(known) == len(live):
        found["all_ranks_live_bytes"] = sum(known)
    return found


def efficiencies(record: Record, earlier: Sequence[Record], single: str) -> dict[str, float]:
    """Scaling efficiency of a row against rows of one rank, whose strategy is `single`.

        strong = t(1 rank, the same batch) / (n t)       weak = t(1 rank, batch / n) / t

    One is left out if this run has no such row.
    """
    n, batch, time_s = record.world_size, record.batch_size, record.time_median_s
    if n is None or batch is None or time_s is None:
        return {}
    same = ("suite", "model", "device", "dtype", "matmul_precision", "seq_len", "machine_id")
    ones = {
        r.batch_size: r.time_median_s
        for r in earlier
        if r.world_size == 1
        and r.axes.get("strategy") == single
        and r.status in (Status.OK, Status.UNSTABLE)
        and all(getattr(r, name) == getattr(record, name) for name in same)
    }
    found: dict[str, float] = {}
    if (one_s := ones.get(batch)) is not None:
        found["strong_scaling_efficiency"] = one_s / (n * time_s)
    if batch % n == 0 and (one_s := ones.get(batch // n)) is not None:
        found["weak_scaling_efficiency"] = one_s / time_s
    return found


def _bus_bytes(communication: Communication) -> float:
    return communication.bus_bytes


def _arithmetic(every: Sequence[Arithmetic], replicated: bool) -> Arithmetic:
    notes = {k: v for one in every for k, v in one.notes.items()}
    model_flops = _sum(one.model_flops for one in every)
    if replicated and len(every) > 1:
        model_flops, notes["model_flops"] = None, REPLICATED
    return replace(
        every[0],
        aten_ops=max(one.aten_ops for one in every),
        flops=_sum(one.flops for one in every),
        model_flops=model_flops,
        ops_bytes=sum(one.ops_bytes for one in every),
        compulsory_bytes=sum(one.compulsory_bytes for one in every),
        notes=notes,
    )


def _memory(results: Sequence[RankResult]) -> Memory:
    every = [result.measured.memory for result in results]

    def most(of: Callable[[Memory], int | None]) -> int | None:
        return max((n for n in map(of, every) if n is not None), default=None)

    live = [n for n in map(_live_bytes, results) if n is not None]
    return Memory(
        live_before_bytes=max(live, default=None),
        step_peak_bytes=most(lambda m: m.step_peak_bytes),
        reserved_peak_bytes=most(lambda m: m.reserved_peak_bytes),
        host_peak_bytes=most(lambda m: m.host_peak_bytes),
        notes=every[0].notes,
    )


def _live_bytes(result: RankResult) -> int | None:
    """With what no Python tensor holds; a CUDA allocator counts that by itself."""
    live = result.measured.memory.live_before_bytes
    return None if live is None else live + result.hidden_bytes


def _energy(every: Sequence[Energy]) -> Energy:
    """Sums over devices; None where one device's is not known. Of the CPU, over hosts."""
    sums: dict[str, Any] = {name: _sum(getattr(one, name) for one in every) for name in _ADDED_UP}
    cpu = [one.cpu_energy_j for one in every if one.cpu_energy_j is not None]
    sums["cpu_energy_j"] = sum(cpu) if every[0].cpu_energy_j is not None else None
    reasons = {one.throttle_reasons for one in every if one.throttle_reasons} - {"none"}
    traffic = _sum(one.activity.traffic_bytes for one in every)
    peaks = [one.device_peak_bytes for one in every if one.device_peak_bytes is not None]
    hottest = [one.temperature_max_c for one in every if one.temperature_max_c is not None]
    notes = {k: v for one in reversed(every) for k, v in one.notes.items()}
    known = {name for name, value in sums.items() if value is not None}
    return replace(
        every[0],
        **sums,
        throttle_reasons=" + ".join(sorted(reasons)) or every[0].throttle_reasons,
        throttled=any(one.throttled for one in every),
        temperature_max_c=max(hottest, default=None),
        device_peak_bytes=max(peaks, default=None),
        activity=replace(every[0].activity, traffic_bytes=traffic),
        notes={k: v for k, v in notes.items() if k not in known or k in every[0].notes},
    )


def _sum(values: Any) -> Any:
    """None if one of them is."""
    found = list(values)
    return None if None in found else sum(found)


def _times(peak: Peak, devices: int) -> Peak:
    flops, traffic = peak.flops_per_s, peak.bytes_per_s
    return Peak(
        None if flops is None else flops * devices,
        None if traffic is None else traffic * devices,
        peak.source,
    )


def portable(result: RankResult) -> RankResult:
    """The same result, such that it can be sent to another process."""
    counted = result.measured.arithmetic
    if counted is None:
        return result
    plain = replace(counted, notes=dict(counted.notes))
    return replace(result, measured=replace(result.measured, arithmetic=plain))
