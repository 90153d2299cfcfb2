"""From values to pixels, and the round numbers along an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1, 2, 5, 10)
_FEWEST_TICKS = 3
_LEAST, _MOST = 1e-150, 1e150
"""Beyond these, products of two values are no numbers any more; they lie at the rim."""


def decade(value: float) -> float:
    """The logarithm of a value that is positive, if need be at the rim of what can be drawn."""
    return math.log10(min(max(value, _LEAST), _MOST))


@dataclass(frozen=True)
class Scale:
    """Values `low` to `high` onto pixels `start` to `end`; logarithmic where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = True

    def __call__(self, value: float) -> float:
        """The pixel of a value, at the rim for one beyond."""
        value = min(max(value, -_MOST), _MOST)
        a, b, v = (self._place(x) for x in (self.low, self.high, value))
        share = (v - a) / (b - a)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def _place(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value

    def ticks(self, most: int) -> list[float]:
        """Round values inside, `most` or a few more."""
        return _log_ticks(self.low, self.high, most) if self.log else self._linear_ticks(most)

    def _linear_ticks(self, most: int) -> list[float]:
        raw = (self.high - self.low) / max(1, most)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(s * power for s in _STEPS if s * power >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Decades; every so many of them where there are many, 1-2-5 where there are few."""
    a, b = math.log10(low), math.log10(high)
    every = max(1, math.ceil((b - a) / max(1, most)))
    first = math.ceil(a - 1e-9)
    decades = [10.0**p for p in range(first, math.floor(b + 1e-9) + 1) if (p - first) % every == 0]
    if len(decades) >= _FEWEST_TICKS:
        return decades
    powers = range(math.floor(a), math.ceil(b) + 1)
    fine = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    inside = [v for v in fine if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
    if len(inside) >= _FEWEST_TICKS - 1:
        return inside[:: max(1, math.ceil(len(inside) / max(1, most + 1)))]
    return Scale(low, high, 0, 1, log=False)._linear_ticks(min(most, 4))


def log_scale(
    values: Iterable[float], start: float, end: float, room: float = 0.06, least: float = 0.5
) -> Scale:
    """Around positive values, with room at both ends and `least` decades."""
    logs = [math.log10(v) for v in values if _LEAST <= v <= _MOST]
    a, b = min(logs, default=0.0), max(logs, default=1.0)
    short = max(0.0, least - (b - a)) / 2
    pad = (b - a) * room + short
    return Scale(10 ** (a - pad), 10 ** (b + pad), start, end)


def linear_scale(values: Iterable[float], start: float, end: float, *, zero: bool = True) -> Scale:
    """Around values, from 0 where `zero`."""
    known = [v for v in values if abs(v) <= _MOST] or [1.0]
    low, high = min(known), max(known)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return Scale(low - (room if low < 0 or not zero else 0.0), high + room, start, end, log=False)
