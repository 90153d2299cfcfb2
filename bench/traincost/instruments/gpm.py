"""What the GPU's own performance counters saw (GPM: Hopper and later): tensor cores, DRAM traffic.

    traffic_bytes = share of the DRAM bandwidth used · DRAM bandwidth · length of the step
    DRAM bandwidth = 2 · memory clock · bus width / 8            (double data rate)

This counts what truly went to and from DRAM, of everything on the GPU, where the ledger of
operations counts what operations ask for. It is a mean between two samples, which the driver wants
100 ms apart or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from traincost.instruments.gpu import Gpu
from traincost.instruments.nvml import NOT_SUPPORTED, NvmlFault, ask

CALLS = (
    "nvmlGpmQueryDeviceSupport",
    "nvmlGpmSampleAlloc",
    "nvmlGpmSampleGet",
    "nvmlGpmMetricsGet",
    "nvmlDeviceGetMaxClockInfo",
    "nvmlDeviceGetMemoryBusWidth",
)
"""What is asked of NVML here; a fault of one leaves the rest of the energy pass as it is."""
SHORTEST_S = 0.1
_METRICS = {2: "sm_share", 3: "occupancy_share", 5: "tensor_share", 10: "dram_share"}


@dataclass(frozen=True)
class GpmReading:
    """Means over a span of time, from 0 to 1; None for a metric that this GPU does not have."""

    start_s: float
    end_s: float
    sm_share: float | None = None  # of the time an SM was busy
    occupancy_share: float | None = None  # of the warps that fit
    tensor_share: float | None = None  # of the time tensor cores were active
    dram_share: float | None = None  # of the DRAM bandwidth


@dataclass
class GpmReader:
    """Samples a GPU's counters; every reading is of the time since the one before.

    Its methods raise NvmlFault: where the GPU has no GPM, and for whatever NVML cannot do.
    """

    gpu: Gpu
    _samples: list[Any] = field(default_factory=list[Any], init=False)  # the last one, and a spare
    _sampled_s: float | None = field(default=None, init=False)

    def open(self) -> None:
        """Take what it needs of NVML."""
        support = self.gpu.whole().ask("nvmlGpmQueryDeviceSupport")
        if not support.isSupportedDevice:
            raise NvmlFault(NOT_SUPPORTED, "NotSupported: GPM needs a Hopper GPU or a later one")
        while len(self._samples) < 2:
            self._samples.append(ask(self.gpu.nvml, "nvmlGpmSampleAlloc"))

    def read(self, time_s: float) -> GpmReading | None:
        """Means since the last call; None for the first, and for one that comes too soon."""
        since_s = self._sampled_s
        if since_s is not None and time_s - since_s < SHORTEST_S:
            return None
        last, spare = self._samples
        self.gpu.ask("nvmlGpmSampleGet", spare)
        self._samples, self._sampled_s = [spare, last], time_s
        return None if since_s is None else self._between(last, spare, since_s, time_s)

    def close(self) -> None:
        """Give the samples back."""
        while self._samples:
            ask(self.gpu.nvml, "nvmlGpmSampleFree", self._samples.pop())
        self._sampled_s = None

    def _between(self, first: Any, second: Any, start_s: float, end_s: float) -> GpmReading:
        nvml = self.gpu.nvml
        query = nvml.c_nvmlGpmMetricsGet_t()
        query.version = nvml.NVML_GPM_METRICS_GET_VERSION
        query.numMetrics = len(_METRICS)
        query.sample1, query.sample2 = first, second
        for i, number in enumerate(_METRICS):
            query.metrics[i].metricId = number
        got = ask(nvml, "nvmlGpmMetricsGet", query).metrics
        shares = {
            name: got[i].value / 100
            for i, name in enumerate(_METRICS.values())
            if got[i].nvmlReturn == 0 and 0 <= got[i].value <= 100
        }
        return GpmReading(start_s, end_s, **shares)


def dram_bytes_per_s(gpu: Gpu) -> float:
    """What GPM's share is a share of; NvmlFault where NVML does not tell."""
    clock_mhz = gpu.ask("nvmlDeviceGetMaxClockInfo", gpu.nvml.NVML_CLOCK_MEM)
    bits = gpu.ask("nvmlDeviceGetMemoryBusWidth")
    return float(2 * clock_mhz * 1e6 * bits / 8)


@dataclass(frozen=True)
class Activity:
    """What GPM saw of some work; None where it saw nothing, or the GPU does not have it."""

    traffic_bytes: float | None = None  # to and from DRAM
    tensor_share: float | None = None
    occupancy_share: float | None = None
    sm_share: float | None = None


def activity(
    readings: Sequence[GpmReading],
    windows: Sequence[tuple[float, float]],
    peak_bytes_per_s: float | None,
) -> Activity:
    """Means over these windows, and the bytes moved in all of them together.

    Args:
        readings: Of one GPU; those that lie wholly inside a window count.
        windows: Start and end, on the clock of the readings, of repetitions of the same work.
        peak_bytes_per_s: The DRAM bandwidth, `dram_bytes_per_s`.
    """
    inside = [
        r
        for r in readings
        if any(start_s <= r.start_s and r.end_s <= end_s for start_s, end_s in windows)
    ]
    dram_share = _mean(inside, "dram_share")
    length_s = sum(end_s - start_s for start_s, end_s in windows)
    return Activity(
        dram_share * peak_bytes_per_s * length_s if dram_share and peak_bytes_per_s else None,
        _mean(inside, "tensor_share"),
        _mean(inside, "occupancy_share"),
        _mean(inside, "sm_share"),
    )


def _mean(readings: Sequence[GpmReading], name: str) -> float | None:
    """Weighted by the time that each reading is of."""
    known = [(r.end_s - r.start_s, getattr(r, name)) for r in readings]
    known = [(length_s, share) for length_s, share in known if share is not None]
    if not known:
        return None
    return float(sum(length_s * share for length_s, share in known) / sum(s for s, _ in known))
