"""Prints whether scaling laws keep their word: `python tests/show_scaling.py [draws]`.

Synthetic costs with 3% noise: how far the fitted exponent is off, and how often its 95% interval
holds the truth, over 1,000 draws each.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "bench")]

import numpy as np  # noqa: E402

from traincost.judge.scaling import Scaling, fit_scaling  # noqa: E402

LAWS = (  # points, decades, fixed part, exponent; the largest cost is 10
    *((12, 4, 0.01, 1.0), (8, 4, 0.01, 1.0), (12, 4, 0.1, 0.8), (12, 4, 0.0, 0.8)),
    *((16, 5, 0.001, 1.5), (10, 3, 0.3, 1.0)),
)
NOISE_REL = 0.03


def show(n_points: int, decades: int, fixed: float, exponent: float, n: int) -> str:
    """One line."""
    x = np.geomspace(1e4, 10.0 ** (4 + decades), n_points)
    truth = fixed + 10 * (x / x[-1]) ** exponent
    errors, inside = np.empty(n), 0
    for seed in range(n):
        noise = np.random.default_rng(seed).standard_normal(n_points)
        costs = truth * np.exp(NOISE_REL * noise)
        law = fit_scaling(x, costs, n_draws=200, seed=seed, breaks=False)
        if not isinstance(law, Scaling):
            raise AssertionError(law.reason)
        errors[seed] = abs(law.exponent.value - exponent)
        inside += law.exponent.low <= exponent <= law.exponent.high
    return (
        f"| {n_points} | {decades} | {fixed:g} | {exponent:g} | {np.median(errors):.4f} | "
        f"{np.quantile(errors, 0.95):.4f} | {inside / n:.1%} |"
    )


def main() -> None:
    """A table in Markdown."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| points | decades | fixed | exponent | median error | 95% below | covered |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for law in LAWS:
        print(show(*law, n), flush=True)


if __name__ == "__main__":
    main()
