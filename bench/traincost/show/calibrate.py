"""What `traincost calibrate` shows: each step timed by both clocks, and their ratio."""

from traincost.calibrate import Agreement
from traincost.show.tables import Row
from traincost.show.units import amount

COLUMNS = ("step", "ours", "torch", "ratio", "single trials", "steps a block")


def agreement_row(a: Agreement) -> Row:
    """One line under `COLUMNS`."""
    return (
        amount(a.step_s, "s"),
        amount(a.ours_s, "s"),
        amount(a.torch_s, "s"),
        f"{a.ratio:.3f}",
        f"{a.ratio_min:.3f} to {a.ratio_max:.3f}",
        a.block,
    )
