"""`train_run`: the fixture that trains to a target and leaves cost and benefit on one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from traincost.case_fixture import CaseFixture
from traincost.data.record import Record
from traincost.training import Budget, Target, Training

RunMetric = float | Callable[[Training], float]
"""A number, or what is asked for it of the training when it has ended."""


@dataclass
class TrainRun(CaseFixture):
    """Trains once, from one seed: one test, one case, one row."""

    name: ClassVar[str] = "train_run"

    def __call__(
        self,
        make: Callable[[int], Training],
        *,
        target: Target | None,
        budget: Budget,
        seed: int = 0,
        impl: str | None = None,
        axes: Mapping[str, object] | None = None,
        metrics: Mapping[str, RunMetric] | None = None,
    ) -> Record:
        """Train to the target or to the end of the budget, and save the row.

        The training's own steps are timed, each waited for, evaluation apart. Then `make(seed)`
        once more, and this fresh training's step is counted: FLOPs, bytes, memory, energy.

        The last evaluation fills `loss_heldout`, `accuracy_heldout` or a metric of its name.
        `loss_first`, `loss_last`: losses that the first and the last step returned, of
        `loss_steps`. Reached: `steps_to_target`, `time_to_target_s` (sum of the steps' times, the
        first with whatever is compiled or allocated in it included), `energy_to_target_j` (energy
        of a step times steps). Not reached: they are empty, a note says how far it came, and the
        status is `ok`. A loss or evaluation that is no finite number ends the training as
        `diverged`.

        Args:
            make: Builds the training at its start from a seed.
            target: Where it ends; None trains to the end of the budget.
            budget: Its longest, and the steps from evaluation to evaluation.
            seed: The `seed` column; where it is a parameter of the test, the same.
            impl: Who does the work: `eager`, `compile`, ...
            axes: More axes of the case, `axis_<name>`.
            metrics: More results, `<name>_<unit>`, as a number or as a callable that is handed the
                training when it has ended. A name of a schema column fills that column.

        Raises:
            TrainCostUsageError: Called a second time, or the model is on another device.
        """
        raise NotImplementedError
