"""A case: which work is measured, named by its axes and never by a path.

    case_id = suite/name[axis=value,...]     axes sorted, those at their default left out

All of it is known when pytest collects, from the file's stem, the test's name and its parameters,
so that a run can be resumed, and a case that never got as far as measuring still has its row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

AXIS_COLUMNS = (
    "model",
    "impl",
    "phase",
    "device",
    "dtype",
    "matmul_precision",
    "arch",
    "batch_size",
    "seq_len",
    "dataset_samples",
    "seed",
    "world_size",
)
_DTYPE_NAMES = {"float64": "fp64", "float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
DTYPES = frozenset(_DTYPE_NAMES.values())  # that a model's parameters are checked against
INTEGER_AXES = ("batch_size", "seq_len", "dataset_samples", "seed", "world_size")
RUN_FIXTURE = "_cost_clock"
"""The pytest fixture that `train_cost` and `train_run` ask for: a test that has it is run."""
RANKS_FIXTURE = "_cost_ranks"
"""The one that `parallel_cost` asks for: its tests are run on other processes."""
CASE_FIXTURES = frozenset({RUN_FIXTURE, RANKS_FIXTURE, "static_cost"})
"""A test that has one of them is a case."""
_SIZE = re.compile(r"[-_]\d+(?:\.\d+)?[kKmMgGbBtT]?$")
DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "impl": "eager",
        "phase": "step",
        "device": "cpu",
        "dtype": "fp32",
        "matmul_precision": "ieee",
        "seed": "0",
        "world_size": "1",
    }
)
WITHOUT_RUNNING = MappingProxyType({k: DEFAULTS[k] for k in ("impl", "phase", "dtype")})
"""The defaults of a case that is compiled and not run: it has no device and no seed."""


def family_of(model: str) -> str:
    """`gpt-10M` -> `gpt`: models that differ in size only."""
    return _SIZE.sub("", model)


@dataclass(frozen=True)
class Case:
    """Suite, id and axes; an axis that is no column of the schema is the suite's own.

    Axes that a test adds while it runs are columns too, but the id is fixed when it is collected.
    """

    suite: str
    case_id: str
    axes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    defaults: Mapping[str, str] = field(default_factory=lambda: DEFAULTS)

    def with_axes(self, more: Mapping[str, object]) -> Case:
        """The same case with axes that the test gave as it ran; they cannot contradict its name."""
        added = {k: axis_text(v) for k, v in more.items()}
        for name, value in added.items():
            if self.axes.get(name, value) != value:
                raise ValueError(
                    f"{self.case_id}: axis {name}={value!r} in the call, {self.axes[name]!r} in "
                    "the parameters; expected them to agree"
                )
        return replace(self, axes={**self.axes, **added})

    def columns(self) -> dict[str, str | int]:
        """The axes that are columns of the schema, typed, defaults filled in."""
        known = {**self.defaults, **self.axes}
        return {
            k: int(known[k]) if k in INTEGER_AXES else known[k] for k in AXIS_COLUMNS if k in known
        }

    def own_axes(self) -> dict[str, str]:
        """The axes that become `axis_<name>` columns."""
        return {k: v for k, v in self.axes.items() if k not in AXIS_COLUMNS}


def case_from_test(file_stem: str, test_name: str, params: Mapping[str, Any]) -> Case:
    """`test_batch.py`, `test_train_step`, its parameters -> `batch/train_step[...]`."""
    axes = {k: axis_text(v) for k, v in params.items()}
    if "dtype" in axes:
        axes["dtype"] = dtype_name(axes["dtype"])
    if axes.get("dtype") == "tf32":
        axes |= {"dtype": "fp32", "matmul_precision": "tf32"}
    if "device" in axes:  # which one of several is no axis: `gpu_uuid` says it
        axes["device"] = axes["device"].partition(":")[0]
    for name in INTEGER_AXES:
        if name in axes and not re.fullmatch(r"-?\d+", axes[name]):
            raise ValueError(
                f"{file_stem}.py::{test_name}: parameter {name}={axes[name]!r}: expected an integer"
            )
    shown = ",".join(f"{k}={v}" for k, v in sorted(axes.items()) if DEFAULTS.get(k) != v)
    suite = file_stem.removeprefix("test_")
    case_id = f"{suite}/{test_name.removeprefix('test_')}" + (f"[{shown}]" if shown else "")
    return Case(suite, case_id, axes)


def dtype_name(text: str) -> str:
    """`torch.bfloat16`, `bfloat16` or `bf16` -> `bf16`; other names stay."""
    return _DTYPE_NAMES.get(text.removeprefix("torch."), text)


def axis_text(value: object) -> str:
    """How an axis value is written: plain for scalars, by name for functions and classes."""
    name = getattr(value, "__name__", None)
    text = str(value) if name is None else str(name)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)  # an address would make another case of every run
    return re.sub(r"[\[\],=\s]+", "_", text)


def workload_hash(*parts: object) -> str:
    """12 hex digits over everything that makes the work what it is."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]
