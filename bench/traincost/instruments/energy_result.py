"""From a recording and the repetitions inside it to the energy columns; no clock, no process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from traincost.instruments.edges import CounterEnergy, Refusal, energy_between, mean_power_w
from traincost.instruments.energy import Energy
from traincost.instruments.gpm import CALLS, Activity, activity
from traincost.instruments.power import IntegratedPower, averaging_s, disagreement, integrate
from traincost.instruments.recording import Recording
from traincost.instruments.validity import validity

BOUND = 0.05
"""An energy whose bound is a larger share of it is not stated."""
COUNTER = "nvmlDeviceGetTotalEnergyConsumption"
SENSOR = "nvmlDeviceGetFieldValues"


@dataclass(frozen=True)
class Repetition:
    """Whole steps, run one after the other."""

    start_s: float
    end_s: float
    steps: int
    cpu_j: float | str = ""  # of the CPU, or why it is not known

    @property
    def length_s(self) -> float:
        """How long they took together."""
        return self.end_s - self.start_s

    @property
    def step_s(self) -> float:
        """How long one of them took."""
        return self.length_s / self.steps


def idle_power_w(idle: Recording) -> float | Refusal:
    """Mean power from the first edge to the last, or why it is not known."""
    if fault := idle.faults.get(COUNTER):
        return Refusal(f"{COUNTER}: {fault}")
    return mean_power_w(idle.edges, idle.facts.get("power_limit_w"))


def measured(recorded: Recording, repetitions: Sequence[Repetition]) -> CounterEnergy | Refusal:
    """Energy of these repetitions together by the counter; their bounds add up."""
    found: list[CounterEnergy] = []
    for repetition in repetitions:
        one = energy_between(
            recorded.edges,
            repetition.start_s,
            repetition.end_s,
            seen_w=[reading.power_w for reading in recorded.powers],
            limit_w=recorded.facts.get("power_limit_w"),
        )
        if isinstance(one, Refusal):
            return one
        found.append(one)
    return CounterEnergy(
        sum(one.energy_j for one in found),
        sum(one.error_j for one in found),
        found[0].period_s,
    )


def energy_of(
    idle: Recording,
    work: Recording,
    ran: Sequence[Repetition],
    kept: Sequence[Repetition],
    own_pids: Sequence[int],
    missed: Refusal | None = None,
) -> Energy:
    """The energy columns.

    Args:
        idle: Recorded before the work.
        work: Recorded from the first repetition on.
        ran: All repetitions.
        kept: Those whose energy is known.
        own_pids: Processes of which the GPU's memory is ours.
        missed: Why the last of the other repetitions was not kept.
    """
    recorded = idle.then(work)
    during = [s for s in work.states if any(r.start_s <= s.time_s <= r.end_s for r in ran)]
    state = validity(idle.states, during, own_pids)
    counter, cpu_j = _by_counter(recorded, kept, missed), _by_cpu(kept or ran)
    columns: dict[str, Any] = {f.name: getattr(state, f.name) for f in fields(state)}
    notes = columns["notes"] = dict(state.notes)
    idle_w = idle_power_w(idle)
    if isinstance(idle_w, Refusal):
        notes["power_idle_w"] = idle_w.reason
    else:
        columns["power_idle_w"] = idle_w
    columns["activity"] = _activity(recorded, kept or ran)
    if faults := [f"{call}: {recorded.faults[call]}" for call in CALLS if call in recorded.faults]:
        notes["traffic_source"] = ", ".join(faults)
    sources: list[str] = []
    if isinstance(counter, Refusal):
        notes["gpu_energy_j"] = counter.reason
    else:
        sources.append("nvml")
        columns |= _per_step(counter, kept)
        if apart := _apart(counter, recorded, kept):
            notes["energy_source"] = apart
    for function, fault in recorded.faults.items():
        if not any(function in note for note in notes.values()):
            notes["gpu"] = f"{function}: {fault}"
    if isinstance(cpu_j, str):
        notes["cpu_energy_j"] = cpu_j
    else:
        sources.append("rapl")
        columns["cpu_energy_j"] = cpu_j
    return Energy(**columns, energy_source="+".join(sources) or None)


def _per_step(counter: CounterEnergy, kept: Sequence[Repetition]) -> dict[str, float]:
    length_s, steps = sum(r.length_s for r in kept), sum(r.steps for r in kept)
    return {
        "gpu_energy_j": counter.energy_j / steps,
        "gpu_energy_error_j": counter.error_j / steps,
        "energy_window_s": length_s,
        "power_mean_w": counter.energy_j / length_s,
    }


def _apart(counter: CounterEnergy, recorded: Recording, kept: Sequence[Repetition]) -> str | None:
    """What the second source has to say about the first."""
    sensor = _by_sensor(recorded, kept)
    if isinstance(sensor, Refusal):
        return f"the counter alone, not compared: {sensor.reason}"
    return disagreement(counter.energy_j, sensor)


def _by_counter(
    recorded: Recording, kept: Sequence[Repetition], missed: Refusal | None
) -> CounterEnergy | Refusal:
    if fault := recorded.faults.get(COUNTER):
        return Refusal(f"{COUNTER}: {fault}")
    if missed is not None and not kept:
        return missed
    if not kept:
        return Refusal("the energy counter did not change while it was watched")
    found = measured(recorded, kept)
    return found if isinstance(found, Refusal) or not too_wide(found) else wide(found)


def _by_sensor(recorded: Recording, kept: Sequence[Repetition]) -> IntegratedPower | Refusal:
    if fault := recorded.faults.get(SENSOR):
        return Refusal(f"{SENSOR}: {fault}")
    windows = [(r.start_s, r.end_s) for r in kept]
    return integrate(recorded.powers, windows, averaging_s(recorded.facts.get("name")))


def _by_cpu(ran: Sequence[Repetition]) -> float | str:
    """Joules a step, or why they are not known."""
    total_j = 0.0
    for repetition in ran:
        if isinstance(repetition.cpu_j, str):
            return repetition.cpu_j
        total_j += repetition.cpu_j
    return total_j / sum(r.steps for r in ran) if ran else "no step was run"


def _activity(recorded: Recording, ran: Sequence[Repetition]) -> Activity:
    """Of one step."""
    windows = [(r.start_s, r.end_s) for r in ran]
    seen = activity(recorded.gpm, windows, recorded.facts.get("dram_bytes_per_s"))
    if seen.traffic_bytes is None:
        return seen
    return replace(seen, traffic_bytes=seen.traffic_bytes / sum(r.steps for r in ran))


def too_wide(found: CounterEnergy) -> bool:
    """Whether the bound is more than a row may have."""
    return found.error_j > BOUND * found.energy_j


def wide(found: CounterEnergy) -> Refusal:
    """The reason that `too_wide` makes."""
    share = f"{found.error_j / found.energy_j:.0%}" if found.energy_j > 0 else "all of it"
    return Refusal(
        f"window too short: known to {share} of {found.energy_j:.3g} J, expected {BOUND:.0%} (the "
        f"counter is updated every {found.period_s:.3g} s; --cost-profile standard gives more time)"
    )
