"""`traincost machine`: who this machine is, what can be measured on it, and its peaks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traincost.data.record import Record


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument(
        "--cost-device",
        metavar="DEVICE",
        default="auto",
        help="auto (CUDA where there is one), all, cpu, cuda or cuda:N",
    )
    parser.add_argument(
        "--cost-results",
        metavar="PATH",
        default="results",
        type=Path,
        help="result CSVs with measured peaks (default: results)",
    )


def run(options: argparse.Namespace) -> int:
    """Who this machine is, what can be measured on it, and its peaks."""
    from traincost.instruments import nvml, rapl
    from traincost.machine import conditions
    from traincost.machine.device import cuda_count, open_device
    from traincost.machine.identity import identify
    from traincost.machine.processor import measuring_cpus
    from traincost.machine.versions import torch_cuda
    from traincost.session import choose_devices
    from traincost.show.machine import COLUMNS, machine_rows
    from traincost.show.tables import render

    cpus = measuring_cpus()
    machines = [
        identify(open_device(name), threads=len(cpus), cpu_set=cpus, root=Path.cwd())
        for name in choose_devices(options.cost_device).names.values()
    ]
    capabilities = [
        conditions.cuda(cuda_count(), torch_cuda()),
        *nvml.capabilities(machines[-1].gpu_uuid),
        *rapl.capabilities(),
        *conditions.capabilities(cpus),
    ]
    rows = machine_rows(machines, capabilities, _records(options.cost_results))
    print(render("machine", COLUMNS, rows, options.format), end="")
    return 0


def _records(path: Path) -> list[Record]:
    """The rows of a file or folder; none from a folder that is not there yet."""
    from traincost.data.results import read_records, result_files

    empty = path.is_dir() and not any(path.rglob("*.csv"))
    if empty or not path.exists():
        return []
    return [record for file in result_files([path]) for record in read_records(file)]
