"""`static_cost`: the fixture that leaves a row of what a compiler says; nothing is run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from traincost.assemble import static_record
from traincost.case_fixture import TrainCostUsageError
from traincost.data.case import Case
from traincost.data.record import Record
from traincost.session import Run


@dataclass
class StaticCost:
    """Leaves the row of one case: one test, one case, one row. Its target is its axis `arch`."""

    case: Case
    run: Run
    saving: bool
    called: bool = field(default=False, init=False)
    name: ClassVar[str] = "static_cost"

    def __call__(
        self,
        *,
        registers: int,
        spill_bytes: int,
        shared_bytes: int,
        occupancy: float,
        ptx_instructions: int,
        launches: int = 1,
        load_width_bytes: int | None = None,
        store_width_bytes: int | None = None,
        bytes_per_element: float | None = None,
        least_bytes_per_element: float | None = None,
        notes: Mapping[str, str] | None = None,
        metrics: Mapping[str, float | None] | None = None,
    ) -> Record:
        """Save the row of a kernel, or of the kernels of a phase.

        Args:
            registers: Of a thread.
            spill_bytes: Of a thread: stored to local memory and loaded again, both.
            shared_bytes: Of a block.
            occupancy: Share of an SM's warps that can be resident.
            ptx_instructions: Of the kernel.
            launches: Kernels of the phase.
            load_width_bytes: Of a thread, by the global loads that most bytes come through.
            store_width_bytes: The same of stores.
            bytes_per_element: Global bytes moved for an element.
            least_bytes_per_element: The least that any kernel of this operation can move.
            notes: Why a column is empty, by column.
            metrics: More results, `<name>_<unit>`; None is left out.

        Raises:
            TrainCostUsageError: Called a second time, without an axis `arch`, or with no number.
        """
        if self.called:
            raise TrainCostUsageError(
                "static_cost called twice in one test; expected once: one test, one case, one row"
            )
        self.called = True
        if "arch" not in self.case.axes:
            raise TrainCostUsageError(
                f"{self.case.case_id}: no axis 'arch'; expected the target as a parameter"
            )
        columns = {
            "registers": registers,
            "spill_bytes": spill_bytes,
            "shared_bytes": shared_bytes,
            "occupancy": occupancy,
            "ptx_instructions": ptx_instructions,
            "launches": launches,
            "load_width_bytes": load_width_bytes,
            "store_width_bytes": store_width_bytes,
            "bytes_per_element": bytes_per_element,
            "least_bytes_per_element": least_bytes_per_element,
        }
        own = {name: float(v) for name, v in (metrics or {}).items() if v is not None}
        for name, value in {**columns, **own}.items():
            if value is not None and not math.isfinite(value):
                raise TrainCostUsageError(
                    f"{self.case.case_id}: {name}={value}; expected a finite number, or None"
                )
        record = static_record(self.case, self.run.origin("cpu"), columns, notes or {}, own)
        if self.saving:
            self.run.put(record)
        return record
