"""The energy of ranks in step: each takes the same number of steps, whatever its counters say.

A window that repeats steps until the counter's bound is small enough would end on one rank before
it ends on another. So the length is agreed from the slowest rank's step, and each rank measures its
own GPU over it. The CPU's counters are one set a host: the first rank of a host reads them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from traincost.data.profile import Profile
from traincost.instruments.edges import CounterEnergy
from traincost.instruments.energy import CpuMeter, Energy, NoMeter
from traincost.instruments.energy_result import Repetition, energy_of, measured, too_wide, wide
from traincost.instruments.energy_source import open_meter
from traincost.instruments.energy_window import IDLE_S, ON_THE_CPU, steps_in
from traincost.instruments.recorder import Recorder, RecorderGoneError
from traincost.instruments.recording import Recording
from traincost.machine.device import Device
from traincost.parallel.together import Together

TAIL_S = 0.3
"""A counter that is updated every 100 ms has shown the end of the work by then."""
OTHER_RANK = "counted by the first rank of this host"


@dataclass
class Watched:
    """A rank's GPU, recorded from `start` to `stop`; `reason` says why it is not."""

    recorder: Recorder | None
    reason: str = ON_THE_CPU
    idle: Recording = field(default_factory=Recording, init=False)
    work: Recording = field(default_factory=Recording, init=False)

    @classmethod
    def on(cls, device: Device) -> Watched:
        """The GPU of this rank; of a CPU nothing is recorded."""
        facts = device.facts()
        return cls(None if facts is None else Recorder(facts.uuid, facts.pci_bus_id))

    def start(self) -> None:
        """Record, for a while without work."""
        if self.recorder is None:
            return
        try:
            opened = self.recorder.open()
            if not opened.facts:
                raise RecorderGoneError(", ".join(opened.faults.values()))
            self.recorder.on()
            time.sleep(IDLE_S)
            self.idle = opened.then(self.recorder.take())
        except RecorderGoneError as e:
            self.recorder, self.reason = None, str(e)

    def stop(self) -> None:
        """Record the end of the work, and no more."""
        if self.recorder is None:
            return
        try:
            time.sleep(TAIL_S)
            self.work = self.recorder.take()
            self.recorder.off()
        except RecorderGoneError as e:
            self.recorder, self.reason = None, str(e)

    def energy(self, ran: Repetition) -> Energy:
        """Of one step, by the GPU's counter and the CPU's."""
        if self.recorder is None:
            return _of_cpu(ran, self.reason)
        found = measured(self.idle.then(self.work), (ran,))
        if not isinstance(found, CounterEnergy):
            return energy_of(self.idle, self.work, (ran,), (), (os.getpid(),), found)
        if too_wide(found):
            return energy_of(self.idle, self.work, (ran,), (), (os.getpid(),), wide(found))
        return energy_of(self.idle, self.work, (ran,), (ran,), (os.getpid(),))


@dataclass
class AgreedSource:
    """Energy of an agreed number of steps on this rank."""

    device: Device
    together: Together

    def window(self, step: Callable[[], object], step_s: float, profile: Profile) -> Energy:
        """Repeat `step`, which takes about `step_s` on the slowest rank, as often as all others."""
        first = self.together.place.local_rank == 0
        meter = open_meter()[0] if first else NoMeter(OTHER_RANK)
        countable = self.device.facts() is not None or not isinstance(meter, NoMeter)
        if not self.together.slowest(countable):  # on no rank
            return Energy(notes={"gpu_energy_j": ON_THE_CPU, "cpu_energy_j": str(meter.stop())})
        steps = steps_in(profile.energy_s, self.together.slowest(step_s))
        watched = Watched.on(self.device)
        watched.start()
        ran = self._repeat(step, steps, meter)
        watched.stop()
        return watched.energy(ran)

    def _repeat(self, step: Callable[[], object], steps: int, meter: CpuMeter) -> Repetition:
        self.device.synchronize()
        self.together.meet()
        meter.start()
        start_s = time.monotonic()
        for _ in range(steps):
            step()
        self.device.synchronize()
        return Repetition(start_s, time.monotonic(), steps, meter.stop())


def _of_cpu(ran: Repetition, reason: str) -> Energy:
    notes = {"gpu_energy_j": reason}
    if isinstance(ran.cpu_j, str):
        return Energy(notes={**notes, "cpu_energy_j": ran.cpu_j})
    joules = ran.cpu_j / ran.steps
    return Energy(None, joules, None, "rapl", energy_window_s=ran.length_s, notes=notes)
