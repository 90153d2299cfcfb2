"""The GPUs that NVML lists, asked for in a process of its own: a driver may hang or kill it.

Its last line is the answer, in JSON; what others print when Python starts comes before it.
"""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from traincost.instruments.edges import Refusal
from traincost.instruments.gpu import Listed, list_gpus
from traincost.instruments.nvml import NvmlFault, ask
from traincost.instruments.own_process import python_running

TIMEOUT_S = 10.0
SHOWN = 80
_MODULE = "traincost.instruments.listing"


def listed_gpus(
    command: Sequence[str] | None = None, timeout_s: float = TIMEOUT_S
) -> tuple[Listed, ...] | Refusal:
    """All GPUs in NVML's order, or why they cannot be told; in time."""
    try:
        done = subprocess.run(
            python_running(_MODULE) if command is None else command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Refusal(f"NVML did not list the GPUs within {timeout_s:g} s")
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return Refusal(f"listing the GPUs ended the process that asked NVML ({name})")
    if done.returncode > 0:
        last = done.stderr.strip().rpartition("\n")[2]
        return Refusal(f"listing the GPUs ended with exit code {done.returncode}: {last}")
    line = done.stdout.strip().rpartition("\n")[2]
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        return Refusal(f"listing the GPUs gave {line[:SHOWN]!r}")
    return Refusal(answer["fault"]) if "fault" in answer else tuple(map(_gpu, answer["gpus"]))


def _gpu(columns: dict[str, Any]) -> Listed:
    columns["slices"] = tuple(columns["slices"])
    return Listed(**columns)


def answer() -> dict[str, Any]:
    """What NVML says, as JSON can carry it."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return {"fault": "nvidia-ml-py is not installed: pip install nvidia-ml-py"}
    try:
        ask(nvml, "nvmlInit")
        return {"gpus": [asdict(gpu) for gpu in list_gpus(nvml)]}
    except NvmlFault as fault:
        remedy = "" if fault.remedy is None else f" ({fault.remedy})"
        return {"fault": fault.detail + remedy}


def main(_: list[str]) -> None:
    """The answer, on standard output."""
    print(json.dumps(answer()))
