"""The GPUs that NVML lists, asked for in a process of its own: a driver may hang or kill it.

Run as `python -m traincost.instruments.listing`; it writes one line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from traincost.instruments.edges import Refusal
from traincost.instruments.gpu import Listed, list_gpus
from traincost.instruments.nvml import NvmlFault, ask

TIMEOUT_S = 10.0
_MODULE = "traincost.instruments.listing"


def listed_gpus(
    command: Sequence[str] = (sys.executable, "-m", _MODULE), timeout_s: float = TIMEOUT_S
) -> tuple[Listed, ...] | Refusal:
    """All GPUs in NVML's order, or why they cannot be told; in time."""
    path = os.pathsep.join(p for p in sys.path if p)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return Refusal(f"NVML did not list the GPUs within {timeout_s:g} s")
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return Refusal(f"listing the GPUs ended the process that asked NVML ({name})")
    if done.returncode > 0:
        last = done.stderr.strip().rpartition("\n")[2]
        return Refusal(f"listing the GPUs ended with exit code {done.returncode}: {last}")
    answer: dict[str, Any] = json.loads(done.stdout)
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


if __name__ == "__main__":
    print(json.dumps(answer()))
