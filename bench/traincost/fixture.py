"""`train_cost`: the fixture that measures one case and leaves its row."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, SupportsIndex

from traincost.assemble import METRIC_COLUMNS, record_of
from traincost.data.case import DTYPES, Case, dtype_name
from traincost.data.profile import current_profile
from traincost.data.record import COLUMNS, Record
from traincost.data.results import to_row
from traincost.instruments.clock import Clock, Step
from traincost.measure import Bench, Benchmark, Work, measure, run_once
from traincost.session import Run

if TYPE_CHECKING:
    import torch


class TrainCostUsageError(Exception):
    """The fixture was not used as it must be: once, on the device of its case."""


@dataclass
class TrainCost:
    """Measures one case: one test, one case, one row."""

    case: Case
    run: Run
    benchmark: Benchmark
    clock: Clock
    passing: Callable[[str], AbstractContextManager[None]]
    timing_off: bool
    called: bool = field(default=False, init=False)
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
        if self.called:
            raise TrainCostUsageError(
                "train_cost called twice in one test; expected once: one test, one case, one row"
            )
        self.called = True
        given = {"phase": phase, "impl": impl, **(axes or {})}
        for name in ("device", "dtype", "matmul_precision"):
            if name in given:
                raise TrainCostUsageError(
                    f"{self.case.case_id}: axis {name!r} in the call; expected it as a parameter"
                )
        case = self.case.with_axes({k: v for k, v in given.items() if v is not None})
        case = self._of_models_dtype(case, model)
        work = Work(
            step=step,
            samples=_positive("samples", samples),
            phase=str(case.columns()["phase"]),
            tokens=None if tokens is None else _positive("tokens", tokens),
            model=model,
            optimizer=optimizer,
            forward=forward,
            setup=setup,
        )
        self._check_device(work, str(case.columns()["device"]))
        self._check_metrics(metrics or {})
        bench = Bench(
            device=self.clock.device,
            clock=self.clock,
            energy=self.run.energy(self.clock.device.kind),
            profile=current_profile(),
            benchmark=self.benchmark,
            passing=self.passing,
        )
        origin = self.run.origin(bench.device.kind)
        if self.timing_off:
            run_once(work, bench)
            return Record(
                run_id=origin.run_id,
                started_at=origin.started_at,
                suite=case.suite,
                case_id=case.case_id,
                notes="status: timing is off",
            )
        measured = measure(work, bench)
        with self.passing("row"):
            record = record_of(case, work, measured, origin, self.run.peak(case), metrics or {})
            self.run.put(record, measured.timing.rounds_s)
        self.benchmark.extra_info.update({k: v for k, v in to_row(record).items() if v is not None})
        return record

    def _check_metrics(self, metrics: Mapping[str, object]) -> None:
        for name in metrics:
            if name in COLUMNS and name not in METRIC_COLUMNS:
                raise TrainCostUsageError(
                    f"{self.case.case_id}: metric {name!r} is a column of the instruments; "
                    f"expected a name of the suite's own, or one of {', '.join(METRIC_COLUMNS)}"
                )

    def _of_models_dtype(self, case: Case, model: torch.nn.Module | None) -> Case:
        """The dtype axis must be the model's: it chooses the peak that a row is divided by."""
        if model is None or not hasattr(model, "parameters"):
            return case
        floats = (p for p in model.parameters() if p.is_floating_point())
        found = {dtype_name(str(p.dtype)) for p in floats}
        if len(found) != 1:
            return case  # no parameters, or mixed on purpose
        (dtype,) = found
        if "dtype" not in case.axes:
            return replace(case, axes={**case.axes, "dtype": dtype})
        if case.axes["dtype"] in DTYPES - {dtype}:
            raise TrainCostUsageError(
                f"{case.case_id}: the model is {dtype}, the case is of {case.axes['dtype']}; "
                "expected the test to build the model in its `dtype`"
            )
        return case

    def _check_device(self, work: Work, device: str) -> None:
        if work.optimizer is not None and not hasattr(work.optimizer, "state_dict"):
            raise TrainCostUsageError(
                f"{self.case.case_id}: optimizer is a {type(work.optimizer).__name__}; expected "
                "one torch.optim.Optimizer"
            )
        if work.model is None:
            return
        if not hasattr(work.model, "parameters"):
            raise TrainCostUsageError(
                f"{self.case.case_id}: model is a {type(work.model).__name__}; expected a "
                "torch.nn.Module (a ModuleDict or ModuleList holds several)"
            )
        kinds = {p.device.type for p in work.model.parameters()}
        if kinds - {device}:
            raise TrainCostUsageError(
                f"{self.case.case_id}: the model is on {', '.join(sorted(kinds))}, the case is of "
                f"{device}; expected the test to take `device` and to build the model there"
            )


def _positive(name: str, value: object) -> int:
    whole = operator.index(value) if isinstance(value, SupportsIndex) else 0
    if isinstance(value, bool) or whole < 1:
        raise TrainCostUsageError(f"train_cost {name}={value!r}: expected a whole number above 0")
    return whole
