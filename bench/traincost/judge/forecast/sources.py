"""Whose energy rows tell: of the GPU and the CPU together, or of one of them alone.

Rows with one source more are not of the same sum: a fit takes rows with one set of sources, the
fullest that enough sizes have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from traincost.judge.forecast.points import Point, sizes

LEAST_SIZES = 4
GPU, CPU = "GPU", "CPU"
_SETS = ((GPU, CPU), (GPU,), (CPU,))


@dataclass(frozen=True)
class Energies:
    """The points that tell the energy of the same parts of a machine, and what they tell."""

    sources: tuple[str, ...]  # of `GPU` and `CPU`
    points: Sequence[Point]
    joules: Sequence[float]  # of a step

    def __str__(self) -> str:
        return f"{' and '.join(self.sources)}{' alone' if len(self.sources) == 1 else ''}"


def energies(points: Sequence[Point]) -> Energies | None:
    """None where too few sizes have any."""
    for sources in _SETS:
        told = [(p, joules_of(p, sources)) for p in points]
        known = [(p, j) for p, j in told if j is not None]
        if len(sizes([p for p, _ in known])) >= LEAST_SIZES:
            return Energies(sources, [p for p, _ in known], [j for _, j in known])
    return None


def joules_of(point: Point, sources: Sequence[str]) -> float | None:
    """Of a step; None where a source is missing."""
    told = {GPU: point.gpu_energy_j, CPU: point.cpu_energy_j}
    found = [told[s] for s in sources]
    joules = sum(j for j in found if j is not None)
    return joules if joules > 0 and None not in found else None
