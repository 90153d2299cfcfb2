"""Result rows of a made-up machine whose training steps cost exactly what a formula says."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from traincost.data.record import Record
from traincost.data.results import to_csv

S_PER_LAUNCH, S_PER_FLOP, S_PER_BYTE = 5e-6, 2e-11, 1e-10
WATTS = 100.0
SEQ_LEN = 128
MODELS = {"10k": 10**4, "100k": 10**5, "1M": 10**6, "10M": 10**7}
PEAKS = (1e11, 2e10)  # FLOP/s, bytes/s


def launches(n_params: float) -> float:
    """Of a step."""
    return 100 * math.pow(n_params / 1e4, 0.25)


def flops(n_params: float, batch: float) -> float:
    """Of a step."""
    return 6 * n_params * SEQ_LEN * batch


def traffic_bytes(n_params: float, batch: float) -> float:
    """Of a step: the optimizer's, and activations."""
    return 40 * n_params + 3000 * batch * math.pow(n_params, 0.6)


def time_s(n_params: float, batch: float) -> float:
    """Of a step."""
    return (
        S_PER_LAUNCH * launches(n_params)
        + S_PER_FLOP * flops(n_params, batch)
        + S_PER_BYTE * traffic_bytes(n_params, batch)
    )


def memory_bytes(n_params: float, batch: float) -> float:
    """Live tensors and the peak above them."""
    return 16 * n_params + 4 * n_params + 2000 * batch * math.pow(n_params, 0.55)


def row(model: str, batch: int, *, noise: float = 1.0, **more: object) -> Record:
    """A training step."""
    n = MODELS[model.rpartition("-")[2]]
    step_s = time_s(n, batch) * noise
    columns: dict[str, object] = {
        **{"run_id": "r0", "started_at": "2026-11-24T08:00:00+00:00", "suite": "parameters"},
        **{"case_id": f"parameters/train_step[batch_size={batch},model={model}]"},
        **{"model": model, "impl": "eager", "phase": "step", "device": "cpu", "dtype": "fp32"},
        **{"matmul_precision": "ieee", "n_params": n, "batch_size": batch, "seq_len": SEQ_LEN},
        **{"time_median_s": step_s, "aten_ops": round(launches(n)), "flops": flops(n, batch)},
        **{"traffic_bytes": round(traffic_bytes(n, batch)), "traffic_source": "ops"},
        **{"compulsory_bytes": 16 * n, "live_before_bytes": 16 * n},
        **{"step_peak_bytes": round(memory_bytes(n, batch) - 16 * n)},
        **{"cpu_energy_j": step_s * WATTS, "machine_id": "m1", "cpu": "EPYC", "host": "box"},
    }
    return Record(**{**columns, **more})  # type: ignore[arg-type]


def peaks(slowness: float = 1.0, machine_id: str = "m1") -> list[Record]:
    """The suite `machine` of a box that is so many times as slow."""
    common: dict[str, object] = {
        **{"run_id": f"{machine_id}p", "started_at": "2026-11-24T08:00:00+00:00"},
        **{"suite": "machine", "device": "cpu", "dtype": "fp32", "matmul_precision": "ieee"},
        **{"machine_id": machine_id, "cpu": f"CPU {machine_id}"},
    }
    rates, rows = [p / slowness for p in PEAKS], list[Record]()
    for case, name, rate in zip(
        ("matmul[size=4096]", "copy[mebibytes=512]"), ("flops", "traffic_bytes"), rates, strict=True
    ):
        made = {"case_id": f"machine/{case}", name: 10**10, "time_min_s": 1e10 / rate}
        rows.append(Record(**{**common, **made}))  # type: ignore[arg-type]
    return rows


def steps(
    models: Iterable[str] = tuple(MODELS),
    batches: Sequence[int] = (1, 2, 4, 8, 16, 32),
    *,
    noise_rel: float = 0.0,
    seed: int = 0,
) -> list[Record]:
    """A parameter sweep at batch 4, and a batch sweep of the model of 100k."""
    rng = np.random.default_rng(seed)
    sizes = [(f"gpt-{m}", 4) for m in models]
    sizes += [("gpt-100k", b) for b in batches if b != 4]
    return [row(m, b, noise=float(np.exp(noise_rel * rng.standard_normal()))) for m, b in sizes]


def write(path: Path, records: Iterable[Record]) -> Path:
    """A result CSV."""
    path.write_text(to_csv(records))
    return path
