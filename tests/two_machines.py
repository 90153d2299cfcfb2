"""Results of two made-up machines whose every ratio is known, as files and as records."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from traincost.data.record import Record
from traincost.data.results import to_csv

SPREADS = (1.0, 0.99, 1.01, 0.995, 1.005)
"""What each run's times are multiplied by: their median is 1."""


@dataclass(frozen=True)
class Box:
    """A machine that is `slowness` times as slow as its peaks say the other one is."""

    gpu: str
    machine_id: str
    driver: str
    peak_flops_per_s: float
    peak_bytes_per_s: float
    clock_hz: float
    watts: float


A100 = Box("NVIDIA A100-SXM4-80GB", "a1" * 6, "550.54", 200e12, 1.5e12, 1.41e9, 400.0)
H100 = Box("NVIDIA H100 80GB HBM3", "b2" * 6, "580.95", 500e12, 2.5e12, 1.98e9, 650.0)
IMPLS = {"eager": 1.0, "compile": 0.5, "liger": 0.4}


def row(box: Box, case_id: str, **more: object) -> Record:
    """A row of a box, of its first run."""
    columns: dict[str, object] = {
        **{"run_id": f"{box.machine_id[:2]}-0", "started_at": "2026-11-24T08:00:00+00:00"},
        **{"suite": case_id.partition("/")[0], "case_id": case_id, "workload": "w1"},
        **{"device": "cuda", "dtype": "bf16", "matmul_precision": "ieee", "impl": "eager"},
        **{"machine_id": box.machine_id, "gpu": box.gpu, "driver": box.driver, "cpu": "EPYC"},
        **{
            "torch": "2.13.0",
            "python": "3.12.4",
            "threads": 16,
            "host": f"box-{box.machine_id[:2]}",
        },
        **{"sm_clock_mean_hz": box.clock_hz, "power_limit_w": 700.0, "commit": "0123456789ab"},
    }
    return Record(**{**columns, **more})  # type: ignore[arg-type]


def step(box: Box, n: int, impl: str = "eager") -> Record:
    """A step that takes ten times as long as the box's peak rate would allow; twice on the H100."""
    flops = n * 10**12
    time_s = 10 * flops / box.peak_flops_per_s * (2 if box is H100 else 1) * IMPLS[impl]
    joules = box.watts * time_s
    case = f"kernels/step[batch_size={n}{'' if impl == 'eager' else f',impl={impl}'}]"
    return row(
        box,
        case,
        impl=impl,
        batch_size=n,
        time_min_s=time_s,
        time_median_s=time_s,
        samples_per_s=n / time_s,
        tokens_per_s=128 * n / time_s,
        flops=flops,
        compulsory_bytes=10**6,
        traffic_bytes=10**9,
        traffic_source="ops",
        flops_convention="2mnk",
        intensity_flop_per_byte=flops / 1e9,
        mfu=0.1 / (2 if box is H100 else 1),
        peak_source="datasheet",
        step_peak_bytes=n * 2**20,
        gpu_energy_j=joules,
        gpu_energy_error_j=0.02 * joules,
    )


def peaks(box: Box) -> list[Record]:
    """The suite `machine`: exactly the box's peaks, in its fastest round."""
    matmul = row(box, "machine/matmul[device=cuda,dtype=bf16,size=8192]", flops=10**15)
    copy = row(box, "machine/copy[device=cuda,mebibytes=512]", traffic_bytes=10**12)
    matmul = replace(matmul, time_min_s=1e15 / box.peak_flops_per_s)
    return [matmul, replace(copy, time_min_s=1e12 / box.peak_bytes_per_s)]


def results(box: Box, sizes: Iterable[int] = (1, 4, 16)) -> list[Record]:
    """One run of a box: its peaks, and steps of three implementations."""
    return [*peaks(box), *(step(box, n, impl) for n in sizes for impl in IMPLS)]


def again(records: Iterable[Record], run: int) -> list[Record]:
    """The same work in another run, its times off by `SPREADS`."""
    factor = SPREADS[run]
    return [
        replace(
            r,
            run_id=f"{r.run_id[:2]}-{run}",
            time_median_s=None if r.time_median_s is None else r.time_median_s * factor,
            samples_per_s=None if r.samples_per_s is None else r.samples_per_s / factor,
            tokens_per_s=None if r.tokens_per_s is None else r.tokens_per_s / factor,
        )
        for r in records
    ]


def write(path: Path, records: Iterable[Record]) -> Path:
    """A result CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_csv(records))
    return path


def write_runs(folder: Path, box: Box, n: int = 5) -> Path:
    """A folder with several runs of a box."""
    for run in range(n):
        write(folder / f"{run}.csv", again(results(box), run))
    return folder


LIGER_HEADER = (
    "kernel_name,kernel_provider,kernel_operation_mode,metric_name,metric_unit,x_name,x_label,"
    "x_value,y_value_50,y_value_20,y_value_80,extra_benchmark_config_str,gpu_name,timestamp,"
    "liger_version\n"
)


def liger_line(**more: str) -> str:
    """A line as Liger-Kernel's benchmarks write it."""
    columns = {
        **{"kernel": "rms_norm", "provider": "liger", "mode": "full", "metric": "speed"},
        **{"unit": "ms", "x": "H", "label": "hidden size", "value": "1024", "y50": "0.2"},
        **{
            "y20": "0.19",
            "y80": "0.21",
            "config": '"{""M"": 2048, ""dtype"": ""torch.bfloat16""}"',
        },
        **{"gpu": "NVIDIA H100 NVL", "timestamp": "2025-01-25 23:42:32", "version": "0.5.2"},
    }
    return ",".join((columns | more).values()) + "\n"


def write_liger(path: Path, gpu: str = "NVIDIA H100 NVL", slowness: float = 1.0) -> Path:
    """Two sizes, two providers, speed and memory."""
    lines = [LIGER_HEADER]
    for size in (1024, 2048):
        for provider, factor in (("liger", 1.0), ("huggingface", 2.5)):
            speed = size / 1e4 * factor * slowness
            common = {"provider": provider, "value": str(size), "gpu": gpu}
            lines.append(liger_line(**common, y50=f"{speed!r}", y20=f"{speed!r}", y80=f"{speed!r}"))
            memory = {"metric": "memory", "unit": "MB", "y50": f"{size / 64 * factor}"}
            lines.append(liger_line(**common, **memory))
    path.write_text("".join(lines))
    return path


def benchmark_json(node: str, cpu: str, medians_s: Mapping[str, float]) -> str:
    """What `pytest --benchmark-json` writes, without the parts that are not read."""
    return json.dumps(
        {
            "machine_info": {
                "node": node,
                "machine": "x86_64",
                "python_version": "3.12.4",
                "cpu": {"brand_raw": cpu, "count": 8},
            },
            "commit_info": {"id": "0123456789abcdef", "dirty": False},
            "benchmarks": [
                {
                    "group": None,
                    "name": name.rpartition("::")[2],
                    "fullname": name,
                    "params": {"n": int(name.partition("[")[2][:-1])} if "[" in name else None,
                    "param": name.partition("[")[2][:-1] or None,
                    "extra_info": {},
                    "stats": {
                        **{"min": median / 2, "max": median * 9, "mean": median * 1.1},
                        **{"stddev": 0.0, "median": median, "rounds": 30, "iterations": 2},
                    },
                }
                for name, median in medians_s.items()
            ],
            "datetime": f"2026-11-24T12:00:00+00:00 {node}",
            "version": "5.3.1",
        },
        indent=4,
    )
