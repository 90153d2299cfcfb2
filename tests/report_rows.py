"""Rows that fill every section of a report, of two made-up machines; and reports made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from two_machines import A100, H100, SPREADS, Box, results, row, write

from traincost.cli import main
from traincost.data.record import Record, Status

OPTIMIZERS = {"sgd": (1.0, 400), "momentum": (1.1, 120), "adamw": (1.6, 90), "lbfgs": (9.0, None)}


def sizes(box: Box) -> list[Record]:
    """A model over six sizes and seven batches: what curves are drawn through."""
    slow = 2.0 if box is A100 else 1.0
    found: list[Record] = []
    for i, name in enumerate(("10k", "40k", "160k", "640k", "2560k", "10M")):
        time_s = slow * (1e-4 + 1e-9 * 10**4 * 4**i)
        case = f"parameters/train_step[device=cuda,dtype=bf16,model=gpt-{name}]"
        found.append(_step(box, case, time_s, model=f"gpt-{name}", n_params=10**4 * 4**i))
    for i in range(7):
        time_s = slow * 1e-4 * (4 + 2**i)
        case = f"batch/train_step[batch_size={2**i},device=cuda,dtype=bf16,model=gpt-10k]"
        more = {"model": "gpt-10k", "n_params": 10**4, "batch_size": 2**i}
        found.append(_step(box, case, time_s, samples_per_s=2**i / time_s, **more))
    return found


def _step(box: Box, case: str, time_s: float, **more: object) -> Record:
    known: dict[str, object] = {
        **{"time_median_s": time_s, "time_min_s": time_s, "flops": int(time_s * 1e13)},
        **{"compulsory_bytes": int(time_s * 1e11), "live_before_bytes": 2**20},
        **{"step_peak_bytes": int(time_s * 1e11), "gpu_energy_j": box.watts * time_s},
        "gpu_energy_error_j": box.watts * time_s * 0.02,
    }
    return row(box, case, **{**known, **more})


def remedies(box: Box) -> list[Record]:
    """Optimizers to a target, and one that does not reach it."""
    return [
        replace(
            _step(
                box, f"optimizers/to_target[device=cuda,optimizer={name},problem=digits]", f * 1e-3
            ),
            steps_to_target=steps,
            loss_heldout=0.1,
            axes={"optimizer": name, "problem": "digits"},
            metrics={"optimizer_state_bytes": 8.0},
        )
        for name, (f, steps) in OPTIMIZERS.items()
    ]


def ways(box: Box) -> list[Record]:
    """The same step in three ways."""
    name = "efficiency/train_step[batch_size=4,device=cuda{},model=gpt-10k]"
    return [
        _step(box, name.format(f",impl={impl}" if impl != "eager" else ""), time_s, impl=impl)
        for impl, time_s in (("eager", 1e-3), ("compile", 6e-4), ("checkpoint", 1.4e-3))
    ]


def failures(box: Box) -> list[Record]:
    """Cases that did not end well."""
    case = "batch/train_step[batch_size=4096,device=cuda,dtype=bf16,model=gpt-10k]"
    other = "batch/train_step[batch_size=64,device=cuda,dtype=fp16,model=gpt-10k]"
    return [
        row(box, case, status=Status.OOM, notes="status: out of memory at 79 GB"),
        replace(
            _step(box, other, 1.0), dtype="fp16", status=Status.UNSTABLE, notes="time_median_s: ↔"
        ),
    ]


def everything(box: Box) -> list[Record]:
    """One run of a box with something for every section."""
    return [*results(box), *sizes(box), *remedies(box), *ways(box), *failures(box)]


def run_of(records: Iterable[Record], run: str, factor: float = 1.0) -> list[Record]:
    """Rows as those of another run, times off by a factor."""
    return [
        replace(
            r,
            run_id=f"{r.run_id[:2]}-{run}",
            time_median_s=None if r.time_median_s is None else r.time_median_s * factor,
        )
        for r in records
    ]


def two_machines(folder: Path) -> Path:
    """Three runs of each, a file a run."""
    for box in (A100, H100):
        for i, factor in enumerate(SPREADS[:3]):
            name = f"{box.machine_id[:2]}-{i}.csv"
            write(folder / name, run_of(everything(box), str(i), factor))
    return folder


def two_commits(folder: Path, slower: float = 1.2) -> tuple[Path, Path]:
    """Eight runs of a base and of a head that is slower, on one machine."""
    for side, factor in (("base", 1.0), ("head", slower)):
        for i in range(8):
            runs = run_of(sizes(A100), f"{side}{i}", factor * SPREADS[i % 5])
            write(folder / side / f"{i}.csv", [replace(r, commit=side * 3) for r in runs])
    return folder / "base", folder / "head"


def page_of(out: Path, *files: Path, options: Iterable[str] = ()) -> str:
    """The text of a report."""
    assert main(["report", *map(str, files), "-o", str(out), *options]) == 0
    return out.read_text()
