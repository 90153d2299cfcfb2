"""What the fixtures have in common: one test, one case, one row, checked before it is measured."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, SupportsIndex

from traincost.assemble import METRIC_COLUMNS
from traincost.data.case import DTYPES, Case, dtype_name
from traincost.data.profile import current_profile
from traincost.data.record import COLUMNS, Record
from traincost.data.results import to_row
from traincost.instruments.clock import Clock
from traincost.measure import Bench, Benchmark
from traincost.session import Run

if TYPE_CHECKING:
    import torch


class TrainCostUsageError(Exception):
    """A fixture was not used as it must be: once, on the device of its case."""


@dataclass
class CaseFixture:
    """The case of one test, and what it is measured with."""

    name: ClassVar[str]  # of the fixture

    case: Case
    run: Run
    benchmark: Benchmark
    clock: Clock
    passing: Callable[[str], AbstractContextManager[None]]
    timing_off: bool
    called: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Note the call; a second one is an error."""
        if self.called:
            raise TrainCostUsageError(
                f"{self.name} called twice in one test; expected once: one test, one case, one row"
            )
        self.called = True

    def case_with(self, given: Mapping[str, object]) -> Case:
        """The case with the axes that the call adds; None is left out."""
        for name in ("device", "dtype", "matmul_precision"):
            if name in given:
                raise TrainCostUsageError(
                    f"{self.case.case_id}: axis {name!r} in the call; expected it as a parameter"
                )
        return self.case.with_axes({k: v for k, v in given.items() if v is not None})

    def bench(self) -> Bench:
        """What the case is measured with."""
        return Bench(
            device=self.clock.device,
            clock=self.clock,
            energy=self.run.energy(self.clock.device.kind),
            profile=current_profile(),
            benchmark=self.benchmark,
            passing=self.passing,
        )

    def save(self, record: Record, rounds_s: tuple[float, ...]) -> Record:
        """Put the row into the CSV and into pytest-benchmark's own results."""
        self.run.put(record, rounds_s)
        self.benchmark.extra_info.update({k: v for k, v in to_row(record).items() if v is not None})
        return record

    def unsaved(self, case: Case) -> Record:
        """What is returned where nothing is measured."""
        origin = self.run.origin(self.clock.device.kind)
        return Record(
            run_id=origin.run_id,
            started_at=origin.started_at,
            suite=case.suite,
            case_id=case.case_id,
            notes="status: timing is off",
        )

    def check_metrics(self, metrics: Mapping[str, object]) -> None:
        """A metric may not bear the name of an instrument's column."""
        for name in metrics:
            if name in COLUMNS and name not in METRIC_COLUMNS:
                raise TrainCostUsageError(
                    f"{self.case.case_id}: metric {name!r} is a column of the instruments; "
                    f"expected a name of the suite's own, or one of {', '.join(METRIC_COLUMNS)}"
                )

    def of_models_dtype(self, case: Case, model: torch.nn.Module | None) -> Case:
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

    def check_device(
        self,
        model: torch.nn.Module | None,
        optimizer: torch.optim.Optimizer | None,
        device: str,
    ) -> None:
        """Model and optimizer are what they should be, and on the device of the case."""
        if optimizer is not None and not hasattr(optimizer, "state_dict"):
            raise TrainCostUsageError(
                f"{self.case.case_id}: optimizer is a {type(optimizer).__name__}; expected "
                "one torch.optim.Optimizer"
            )
        if model is None:
            return
        if not hasattr(model, "parameters"):
            raise TrainCostUsageError(
                f"{self.case.case_id}: model is a {type(model).__name__}; expected a "
                "torch.nn.Module (a ModuleDict or ModuleList holds several)"
            )
        kinds = {p.device.type for p in model.parameters()}
        if kinds - {device}:
            raise TrainCostUsageError(
                f"{self.case.case_id}: the model is on {', '.join(sorted(kinds))}, the case is of "
                f"{device}; expected the test to take `device` and to build the model there"
            )

    def positive(self, name: str, value: object) -> int:
        """A whole number above 0."""
        whole = operator.index(value) if isinstance(value, SupportsIndex) else 0
        if isinstance(value, bool) or whole < 1:
            raise TrainCostUsageError(
                f"{self.name} {name}={value!r}: expected a whole number above 0"
            )
        return whole
