"""Whether a training step fits in memory, and which ones would."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from traincost.judge.forecast.model import Drift, Size, StepModel


class Fit(StrEnum):
    """By the 90% interval of the memory that a step needs."""

    YES = "fits in memory"
    MAYBE = "may not fit in memory"
    NO = "does not fit in memory"


@dataclass(frozen=True)
class Room:
    """Whether it fits; if not surely, what would: the interval's upper end fits."""

    fit: Fit
    largest_n_params: float | None = None  # at this batch; None: not even one parameter
    largest_batch: int | None = None  # with these parameters; 0: none


def room(model: StepModel, size: Size, drift: Drift, capacity_bytes: float | None) -> Room | None:
    """None where the need or the capacity is unknown."""
    memory = model.memory_bytes(size, drift)
    if memory is None or capacity_bytes is None:
        return None
    if memory.high <= capacity_bytes:
        return Room(Fit.YES)

    def fits(n_params: float, batch: float) -> bool:
        needed = model.memory_bytes(Size(n_params, batch), drift)
        return needed is not None and needed.high <= capacity_bytes

    n_params = _largest(lambda n: fits(n, size.batch_size), size.n_params)
    batch = _largest(lambda b: fits(size.n_params, math.floor(b)), size.batch_size)
    fit = Fit.MAYBE if memory.value <= capacity_bytes else Fit.NO
    return Room(fit, n_params, math.floor(batch) if batch else 0)


def _largest(fits: Callable[[float], bool], limit: float) -> float | None:
    """The largest that fits below a limit that doesn't, to 0.1%; None where not even 1 does."""
    low, high = 1.0, limit
    if not fits(low):
        return None
    while high > low * 1.001:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
