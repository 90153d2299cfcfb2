"""Prints whether scaling laws keep their word: `python tests/show_scaling.py [--write] [draws]`.

Synthetic costs with 3% noise: how far the fitted exponent is off, how far off any unbiased fit
would be (the Cramer-Rao bound of the design), and how often its 95% interval holds the truth, over
1,000 draws each. `--write` puts the table into docs/forecast.md.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "bench")]

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from traincost.judge.scaling import Scaling, fit_scaling  # noqa: E402

PAGE = ROOT / "docs" / "forecast.md"
BEGIN, END = "<!-- scaling -->", "<!-- end of scaling -->"
NOISE_REL = 0.03
NORMAL_95 = 1.96
HEAD = """\
| points | repeats | decades | fixed | exponent | median error | 95% below | bound | covered |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""


@dataclass(frozen=True)
class Law:
    """fixed + 10 (x / largest)^exponent, and where it is measured."""

    points: int
    decades: int
    fixed: float
    exponent: float
    repeats: int = 1

    @property
    def x(self) -> npt.NDArray[np.float64]:
        """Sizes, each as often as it is measured."""
        sizes = np.geomspace(1e4, 10.0 ** (4 + self.decades), self.points)
        return np.repeat(sizes, self.repeats)

    @property
    def costs(self) -> npt.NDArray[np.float64]:
        """Without noise."""
        return np.asarray(self.fixed + 10 * (self.x / self.x[-1]) ** self.exponent, np.float64)

    def bound(self) -> float:
        """What 95% of the errors of an unbiased fit are below, at best: Cramer and Rao's.

        The variance is the noise's times the exponent's corner of the inverse of J'J, J being how
        log cost changes by log fixed, log scale and exponent.
        """
        growing = self.costs - self.fixed
        log_x = np.log(self.x / self.x[-1])
        slopes = [growing / self.costs, growing / self.costs * log_x]
        if self.fixed:
            slopes.append(self.fixed / self.costs)
        j = np.column_stack(slopes)
        return float(NORMAL_95 * NOISE_REL * np.sqrt(np.linalg.inv(j.T @ j)[1, 1]))


HARD = Law(10, 3, 0.3, 1.0)
"""Its bound is above 0.02: no fit of these ten points could be within it."""

LAWS = (
    *(Law(12, 4, 0.01, 1.0), Law(8, 4, 0.01, 1.0), Law(12, 4, 0.1, 0.8), Law(12, 4, 0.0, 0.8)),
    *(Law(16, 5, 0.001, 1.5), HARD),
    Law(10, 3, 0.3, 1.0, repeats=3),  # HARD, each size three times
    Law(14, 4, 0.03, 1.0),  # HARD, a decade further up: the fixed part is a tenth of what it was
)


def show(law: Law, n: int) -> str:
    """One line."""
    x, truth = law.x, law.costs
    errors, inside = np.empty(n), 0
    for seed in range(n):
        noise = np.random.default_rng(seed).standard_normal(len(x))
        costs = truth * np.exp(NOISE_REL * noise)
        found = fit_scaling(x, costs, seed=seed, breaks=False)
        if not isinstance(found, Scaling):
            raise AssertionError(found.reason)
        errors[seed] = abs(found.exponent.value - law.exponent)
        inside += found.exponent.low <= law.exponent <= found.exponent.high
    return (
        f"| {law.points} | {law.repeats} | {law.decades} | {law.fixed:g} | {law.exponent:g} | "
        f"{np.median(errors):.4f} | {np.quantile(errors, 0.95):.4f} | {law.bound():.4f} | "
        f"{inside / n:.1%} |"
    )


def main() -> None:
    """A table in Markdown."""
    options = [a for a in sys.argv[1:] if a != "--write"]
    n = int(options[0]) if options else 1000
    lines = [HEAD.rstrip()]
    print(lines[0])
    for law in LAWS:
        lines.append(show(law, n))
        print(lines[-1], flush=True)
    if "--write" in sys.argv:
        before, rest = PAGE.read_text().split(BEGIN)
        table = "\n".join(lines)
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
