"""What a training step of an unmeasured size costs, from those that were measured.

    time   = s per launch * launches + s per FLOP * FLOPs + s per byte * bytes of traffic
    energy = the same in joules
    memory = live + peak
    launches = c * N^b,   FLOPs = a * B * N,   live = a * N
    traffic and peak = g * N + s * B * N^b

Activations grow as depth times width, slower than the parameters N; B is the batch. Launches (aten
calls), FLOPs, traffic and memory are counted on every row, and how they grow is a property of the
model alone; only the three prices belong to the machine. So rows of a batch sweep and of a
parameter sweep are fitted together, and a small model, whose narrow layers move more bytes for
each FLOP, doesn't make a large one look slower than it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from traincost.judge.forecast.joint import JointLaw, fit_joint
from traincost.judge.forecast.model import StepModel
from traincost.judge.forecast.points import Point, column, sizes
from traincost.judge.forecast.sources import LEAST_SIZES, energies
from traincost.judge.forecast.terms import fit_prices
from traincost.judge.scaling.law import Refusal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

N_DRAWS = 400
LEAST_MODELS = 3
LEAST_SPAN = 8.0


def fit_step(points: Sequence[Point], n_draws: int = N_DRAWS) -> StepModel | Refusal:
    """The laws of a kind's points, or what else to measure."""
    import numpy as np

    refused = _refusal(points)
    if refused is not None:
        return refused
    models = _one_a_model(points)
    n = column(models, "n_params")
    per_sample = column(models, "flops") / column(models, "batch_size")
    whole = all(p.traffic_bytes is not None for p in points)
    of_traffic = _over_both(points, "traffic_bytes", n_draws) if whole else None
    with_traffic = of_traffic is not None
    amounts, told = amounts_of(points, with_traffic=with_traffic), energies(points)
    return StepModel(
        points=points,
        launches=fit_joint([n], column(models, "aten_ops"), [None], n_draws=n_draws, seed=1),
        flops=fit_joint([n], per_sample, [1.0], n_draws=n_draws),
        traffic=of_traffic,
        moved=_over_n(points, "compulsory_bytes", n_draws),
        live=_over_n(points, "live_bytes", n_draws),
        peak=_over_both(points, "peak_bytes", n_draws),
        time=fit_prices(amounts, column(points, "time_s"), n_draws, seed=2),
        energy=None
        if told is None
        else fit_prices(
            amounts_of(told.points, with_traffic=with_traffic),
            np.array(told.joules),
            n_draws,
            seed=3,
        ),
        energies=told,
    )


def amounts_of(points: Sequence[Point], *, with_traffic: bool) -> Floats:  # (n_points, n_terms)
    """What was counted of measured steps."""
    import numpy as np

    names = ("aten_ops", "flops", "traffic_bytes")[: 3 if with_traffic else 2]
    return np.column_stack([column(points, name) for name in names])


def _over_n(points: Sequence[Point], name: str, n_draws: int) -> JointLaw | None:
    """In proportion to the parameters; None where fewer than two models have the amount."""
    kept = [p for p in _one_a_model(points) if getattr(p, name)]
    if len(kept) < 2:
        return None
    return fit_joint([column(kept, "n_params")], column(kept, name), [1.0], n_draws=n_draws)


def _one_a_model(points: Sequence[Point]) -> list[Point]:
    """One point of each: a batch sweep must not outweigh the other models."""
    return list({p.n_params: p for p in points}.values())


def _over_both(points: Sequence[Point], name: str, n_draws: int) -> JointLaw | None:
    """Of the form g * N + s * B * N^b; None where too few sizes have the amount."""
    kept = [p for p in points if getattr(p, name)]
    if len({p.n_params for p in kept}) < LEAST_MODELS or len(sizes(kept)) < LEAST_SIZES:
        return None
    n = column(kept, "n_params")
    axes = [column(kept, "batch_size"), n]
    return fit_joint(axes, column(kept, name), [1.0, None], z=n, n_draws=n_draws, seed=4)


def _refusal(points: Sequence[Point]) -> Refusal | None:
    models = sorted({p.n_params for p in points})
    flops = sorted(p.flops for p in points)
    n_sizes = len(sizes(points))
    if (
        n_sizes >= LEAST_SIZES
        and len(models) >= LEAST_MODELS
        and flops[-1] >= LEAST_SPAN * flops[0]
    ):
        return None
    there = ", ".join(f"{n:,}" for n in models) or "none"
    return Refusal(
        "n_params",
        "time_median_s",
        f"{n_sizes} sizes, of {len(models)} models ({there} parameters); expected {LEAST_SIZES} "
        f"sizes of {LEAST_MODELS} models at least, the largest with {LEAST_SPAN:g} times the FLOPs",
        "run pytest suites/test_parameters.py suites/test_batch.py, or measure models between and "
        "beyond these",
    )
