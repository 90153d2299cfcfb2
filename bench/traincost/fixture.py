"""`train_cost`: the fixture that measures one case and leaves its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from traincost.assemble import record_of
from traincost.case_fixture import CaseFixture
from traincost.data.record import Record
from traincost.instruments.clock import Step
from traincost.measure import Work, measure, run_once

if TYPE_CHECKING:
    import torch


@dataclass
class TrainCost(CaseFixture):
    """Measures one case: one test, one case, one row."""

    name: ClassVar[str] = "train_cost"

    def __call__(
        self,
        step: Step,
        *,
        samples: int,
        tokens: int | None = None,
        phase: str | None = None,
        impl: str | None = None,
        model: torch.nn.Module | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        forward: Step | None = None,
        setup: Callable[[], object] | None = None,
        axes: Mapping[str, object] | None = None,
        metrics: Mapping[str, float | Callable[[], float]] | None = None,
    ) -> Record:
        """Measure `step` and save its row.

        Args:
            step: One training step, no arguments. Returns its loss (0-dimensional tensor or float),
                or None. Called some tens of times, with model and optimizer put back in between.
            samples: Samples of one step.
            tokens: Tokens of one step, where there are any.
            phase: `step`, `forward`, `backward`, `optimizer`, `epoch` or `op`.
            impl: Who does the work: `eager`, `compile`, ...
            model: For its parameters' count and memory, and to be put back between passes.
            optimizer: The same.
            forward: One forward pass, where `step` has none of its own (`phase="backward"`).
            setup: Called before each timed round, untimed.
            axes: More axes of the case, `axis_<name>`.
            metrics: More results, `<name>_<unit>`, as a number or as a callable that is asked after
                the timed rounds. A name of a schema column fills that column.

        Raises:
            TrainCostUsageError: Called a second time, or the model is on another device.
        """
        self.begin()
        case = self.case_with({"phase": phase, "impl": impl, **(axes or {})})
        case = self.of_models_dtype(case, model)
        work = Work(
            step=step,
            samples=self.positive("samples", samples),
            phase=str(case.columns()["phase"]),
            tokens=None if tokens is None else self.positive("tokens", tokens),
            model=model,
            optimizer=optimizer,
            forward=forward,
            setup=setup,
        )
        self.check_device(model, optimizer, str(case.columns()["device"]))
        self.check_metrics(metrics or {})
        bench = self.bench()
        if self.timing_off:
            run_once(work, bench)
            return self.unsaved(case)
        measured = measure(work, bench)
        origin, peak = self.run.origin(bench.device.kind), self.run.peak(case)
        with self.passing("row"):
            record = record_of(case, work, measured, origin, peak, metrics or {})
            return self.save(record, measured.timing.rounds_s)
