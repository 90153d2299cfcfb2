"""The recorder's own process: it reads one GPU's sensors, and takes no time from who measures.

Run by `recorder.py` with UUID and PCI bus id, either of which may be empty. It speaks one line at a
time on its standard streams: `on` and `off` (readings begin and end), `take` (answered with the
`Recording` since the last one), end of file (it ends). It ends, too, when the measuring process is
gone though somebody who was forked from it still holds the stream. Answers come from a thread
beside the one that reads, so that a reading which hangs is named while it hangs.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TextIO

from traincost.instruments.edge_finder import EdgeFinder, drained
from traincost.instruments.gpm import GpmReader, GpmReading, dram_bytes_per_s
from traincost.instruments.gpu import Gpu, open_gpu
from traincost.instruments.gpu_state import GpuState, StateReader
from traincost.instruments.nvml import FUNCTION_NOT_FOUND, NOT_SUPPORTED, NvmlFault, ask
from traincost.instruments.power import PowerReading
from traincost.instruments.recording import Recording

POWER_EVERY_S, POWER_DUE_S = 25e-3, 10e-3
"""How often the power sensor is read: at most, and once its next update is due."""
STATE_EVERY_S = 0.25
EARLY_S = 12e-3
"""Power and state may be read so long before they are due, if the process is awake anyway."""
LONGEST_SLEEP_S = 0.1
ORPHAN_EVERY_S = 2.0
_FACTS = (
    ("name", "nvmlDeviceGetName", None),
    ("power_limit_w", "nvmlDeviceGetEnforcedPowerLimit", 1e-3),
)
_INSTANT_POWER = [(186, 0)]  # NVML_FI_DEV_POWER_INSTANT of the GPU alone


class Watched:
    """The module `pynvml`, which also tells which of its functions is under way, and since when."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self.latest = ""
        self._since_s: float | None = None

    def __getattr__(self, name: str) -> Any:
        """Found once a name: from then on an ordinary attribute, as polling must cost nothing."""
        found = getattr(self._nvml, name)
        if not (name.startswith("nvml") and callable(found)):
            return found

        def call(*arguments: Any) -> Any:
            self.latest, self._since_s = name, time.monotonic()
            try:
                return found(*arguments)
            finally:
                self._since_s = None

        setattr(self, name, call)
        return call

    @property
    def calling(self) -> tuple[str, float]:
        """The function under way and for how many seconds, or an empty name."""
        since_s = self._since_s
        return ("", 0.0) if since_s is None else (self.latest, time.monotonic() - since_s)


@dataclass
class Sensor:
    """One kind of reading: made when due, and no more once it failed."""

    read: Callable[[float], float]  # takes the time, returns the seconds until the next one
    due_s: float = 0.0  # infinite once it failed


@dataclass
class Sensors:
    """What is read of the GPU, in one thread, and handed out by another."""

    nvml: Watched
    uuid: str | None
    pci_bus_id: str | None
    facts: dict[str, Any] = field(default_factory=dict[str, Any], init=False)
    _finder: EdgeFinder = field(default_factory=EdgeFinder, init=False)
    _powers: list[PowerReading] = field(default_factory=list[PowerReading], init=False)
    _states: list[GpuState] = field(default_factory=list[GpuState], init=False)
    _gpms: list[GpmReading] = field(default_factory=list[GpmReading], init=False)
    _gpm_reader: GpmReader | None = field(default=None, init=False)
    _lasting_faults: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _faults: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _power_stamp_us: int | None = field(default=None, init=False)
    _power_read_s: float = field(default=0.0, init=False)
    _taken: bool = field(default=True, init=False)
    _state_reader: StateReader | None = field(default=None, init=False)
    _on: threading.Event = field(default_factory=threading.Event, init=False)

    def turn(self, on: bool) -> None:
        """Begin or end the readings."""
        (self._on.set if on else self._on.clear)()

    def take(self) -> Recording:
        """What was read since the last time; the next reading of the state is a complete one."""
        self._taken = True
        calling, calling_s = self.nvml.calling
        return Recording(
            edges=tuple(self._finder.take()),
            powers=tuple(drained(self._powers)),
            states=tuple(drained(self._states)),
            faults={**self._lasting_faults, **self._faults},
            calling=calling,
            calling_s=calling_s,
            cpu_s=time.process_time(),
            facts=dict(self.facts),
            gpm=tuple(drained(self._gpms)),
        )

    def run(self) -> None:
        """Read whenever it is on, for ever."""
        gpu = self._open()
        while gpu is not None:
            self._on.wait()
            self._record(gpu)

    def _record(self, gpu: Gpu) -> None:
        """Everything that is due, then sleep until the next is; few lines, as they run cold."""
        self._finder, self._power_stamp_us, self._faults = EdgeFinder(), None, {}
        energy = Sensor(partial(self._energy, gpu.handle))
        power = Sensor(partial(self._power, gpu.handle))
        state = Sensor(partial(self._state, gpu))
        gpm = Sensor(self._gpm, 0.0 if self._gpm_reader else math.inf)
        is_on, now, sleep = self._on.is_set, time.monotonic, time.sleep
        others_s = 0.0
        while is_on():
            if now() >= energy.due_s:
                self._read(energy)
            now_s = now()
            if now_s >= others_s - EARLY_S:
                for other in (power, state, gpm):
                    if now_s >= other.due_s - EARLY_S:
                        self._read(other)
                others_s = min(power.due_s, state.due_s, gpm.due_s)
            sleep(max(0.0, min(energy.due_s, others_s, now_s + LONGEST_SLEEP_S) - now()))

    def _open(self) -> Gpu | None:
        try:
            ask(self.nvml, "nvmlInit")
            gpu = open_gpu(self.nvml, self.uuid, self.pci_bus_id).whole()
        except NvmlFault as fault:
            self._lasting_faults[self.nvml.latest] = fault.detail
            return None
        facts: dict[str, Any] = {"uuid": gpu.uuid}
        for name, function, scale in _FACTS:
            try:
                value = gpu.ask(function)
            except NvmlFault as fault:
                self._lasting_faults[function] = fault.detail
            else:
                facts[name] = value if scale is None else value * scale
        self._open_gpm(gpu, facts)
        self.facts |= facts
        return gpu

    def _open_gpm(self, gpu: Gpu, facts: dict[str, Any]) -> None:
        reader = GpmReader(gpu)
        try:
            reader.open()
            facts["dram_bytes_per_s"] = dram_bytes_per_s(gpu)
        except NvmlFault as fault:
            if fault.code not in (NOT_SUPPORTED, FUNCTION_NOT_FOUND):  # most GPUs do not have it
                self._lasting_faults[self.nvml.latest] = fault.detail
        else:
            self._gpm_reader = reader

    def _read(self, sensor: Sensor) -> None:
        now_s = time.monotonic()
        try:
            sensor.due_s = now_s + sensor.read(now_s)
        except NvmlFault as fault:
            sensor.due_s = math.inf
            self._faults[self.nvml.latest] = fault.detail

    def _energy(self, gpu: Any, called_s: float) -> float:
        energy_mj = ask(self.nvml, "nvmlDeviceGetTotalEnergyConsumption", gpu)
        returned_s = time.monotonic()
        self._finder.put(called_s, returned_s, energy_mj / 1e3)
        return returned_s - called_s + self._finder.wait_s(returned_s)

    def _power(self, gpu: Any, called_s: float) -> float:
        value = ask(self.nvml, "nvmlDeviceGetFieldValues", gpu, _INSTANT_POWER)[0]
        if value.nvmlReturn != 0:
            raise NvmlFault(value.nvmlReturn, f"instantaneous power: error {value.nvmlReturn}")
        before_s, self._power_read_s = self._power_read_s, called_s
        if value.timestamp == self._power_stamp_us:
            return POWER_DUE_S
        update_s = POWER_EVERY_S
        if self._power_stamp_us is not None:  # when the first one came is not known
            reading = PowerReading(value.timestamp, before_s, called_s, value.value.uiVal / 1e3)
            if self._powers:
                update_s = reading.seen_s - self._powers[-1].seen_s
            self._powers.append(reading)
        self._power_stamp_us = value.timestamp
        return max(POWER_EVERY_S, 0.9 * update_s)

    def _state(self, gpu: Gpu, called_s: float) -> float:
        if self._taken or self._state_reader is None:
            self._state_reader, self._taken = StateReader(gpu), False
        self._states.append(self._state_reader.read(called_s))
        return STATE_EVERY_S

    def _gpm(self, called_s: float) -> float:
        reading = None if self._gpm_reader is None else self._gpm_reader.read(called_s)
        if reading is not None:
            self._gpms.append(reading)
        return STATE_EVERY_S


def answer(sensors: Sensors, commands: TextIO, answers: TextIO) -> None:
    """Obey until the measuring process is gone."""
    for command in commands:
        match command.strip():
            case "on" | "off" as state:
                sensors.turn(state == "on")
            case _:
                print(sensors.take().to_line(), file=answers, flush=True)


def fail(failure: threading.ExceptHookArgs) -> None:
    """End the process with its thread: no answers without readings behind them."""
    threading.__excepthook__(failure)
    sys.stderr.flush()
    os._exit(1)


def end_with(parent: int) -> None:
    """Wait until the measuring process is gone, then end."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_EVERY_S)
    os._exit(0)


def main(arguments: list[str]) -> None:
    """Read until standard input ends, in whatever state the reading is."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    gc.disable()  # it would come in the way of a reading, and there are no cycles to find
    nvml = Watched(importlib.import_module("pynvml"))
    uuid, pci_bus_id = (argument or None for argument in arguments)
    sensors = Sensors(nvml, uuid, pci_bus_id)
    threading.excepthook = fail
    threading.Thread(target=sensors.run, daemon=True).start()
    try:
        answer(sensors, sys.stdin, sys.stdout)
    finally:
        os._exit(0)  # a reading that hangs would keep the interpreter from ending
