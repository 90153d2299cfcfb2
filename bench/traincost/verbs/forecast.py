"""`traincost forecast FILE`: what a training run of an unmeasured size would cost."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.data.errors import BadInputError

if TYPE_CHECKING:
    from traincost.data.record import Record
    from traincost.judge.forecast.plan import Moved
    from traincost.judge.forecast.points import Kind, Point
    from traincost.judge.roofline import Measured

_AMOUNT = re.compile(r"(\d+(?:\.\d*)?(?:[eE][+]?\d+)?)([kMGBT]?)")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_MOST = 1e24


def add_options(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="result CSVs of one machine, or folders of them",
    )
    parser.add_argument(
        "--params", metavar="N", required=True, help="parameters of the model: 7B, 350M, 1.3e9"
    )
    volume = parser.add_mutually_exclusive_group(required=True)
    volume.add_argument("--tokens", metavar="N", help="tokens to train on: 300B")
    volume.add_argument("--samples", metavar="N", help="samples, of models that have no tokens")
    parser.add_argument(
        "--batch", metavar="B", help="samples of a step (default: what most models have)"
    )
    parser.add_argument("--model", metavar="FAMILY", help="gpt of gpt-10M (default: most sizes)")
    parser.add_argument("--impl", metavar="IMPL", help="such as eager (default: most sizes)")
    parser.add_argument("--device", metavar="DEVICE", help="cpu or cuda (default: most sizes)")
    parser.add_argument("--dtype", metavar="DTYPE", help="such as bf16 (default: most sizes)")
    parser.add_argument("--price-per-hour", metavar="P", help="of the machine, in any currency")
    parser.add_argument("--carbon", metavar="G_PER_KWH", help="grams of CO2 a kWh")
    parser.add_argument(
        "--memory", metavar="BYTES", help="the machine has (default: as FILE's machine.json says)"
    )
    parser.add_argument(
        "--on", metavar="OTHER", type=Path, help="a result CSV of another machine: forecast for it"
    )


def run(options: argparse.Namespace) -> int:
    """Read, forecast, show; the exit code."""
    from traincost.judge.forecast.plan import Request, forecast
    from traincost.judge.forecast.points import Wanted, choose, kinds
    from traincost.show.forecast import shown
    from traincost.show.log import for_log

    tokens = _optional(options.tokens, "--tokens")
    batch = _optional(options.batch, "--batch")
    if batch is not None and batch != int(batch):
        raise BadInputError(f"--batch {options.batch!r}: expected a whole number of samples")
    rows = _rows(options.files)
    wanted = Wanted(options.model, options.impl, options.device, options.dtype)
    kind, points = choose(kinds(rows), wanted, tokens=tokens is not None)
    moved = _moved(options, kind, points, rows) if options.on is not None else None
    request = Request(
        n_params=amount_of(options.params, "--params"),
        tokens=tokens,
        samples=_optional(options.samples, "--samples"),
        batch_size=None if batch is None else int(batch),
        price_per_hour=_optional(options.price_per_hour, "--price-per-hour"),
        carbon_g_per_kwh=_optional(options.carbon, "--carbon"),
        memory_bytes=_capacity(options, kind),
    )
    told = forecast(kind, points, request, moved)
    print(for_log(shown(told, options.format)), end="")
    return 0


def amount_of(text: str, option: str) -> float:
    """`7B` -> 7e9; BadInputError names the option."""
    match = _AMOUNT.fullmatch(text.strip())
    value = float(match[1]) * _UNITS[match[2]] if match else math.nan
    if not 0 < value <= _MOST:
        raise BadInputError(
            f"{option} {text!r}: expected a number above 0, as 7B, 350M or 1.3e9 (k, M, B or G, T)"
        )
    return value


def _optional(text: str | None, option: str) -> float | None:
    return None if text is None else amount_of(text, option)


def _rows(paths: Sequence[Path]) -> list[Record]:
    from traincost.data.results import result_files
    from traincost.judge.sides import checked
    from traincost.verbs.gate import read_side

    rows = [record for file in result_files(paths) for record in read_side(file)]
    checked(rows, ", ".join(map(str, paths)))
    return rows


def _capacity(options: argparse.Namespace, kind: Kind) -> float | None:
    """Memory of the machine of the forecast; None where no file tells."""
    if options.memory is not None:
        return amount_of(options.memory, "--memory")
    from traincost.data.results import result_files

    files = result_files(options.files if options.on is None else [options.on])
    device = kind.device if options.on is None else None
    known = [_memory_of(file.with_suffix(".machine.json"), device) for file in files]
    return min((k for k in known if k is not None), default=None)


def _memory_of(path: Path, device: str | None) -> float | None:
    """Of a `<run>.machine.json`; losing that file loses detail, no more."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(facts, dict):
        return None
    on_cpu = (device or facts.get("device")) == "cpu"
    value = facts.get("memory_bytes" if on_cpu else "gpu_memory_bytes")
    return float(value) if isinstance(value, int) and value > 0 else None


def _moved(
    options: argparse.Namespace, kind: Kind, points: Sequence[Point], rows: Sequence[Record]
) -> Moved:
    from traincost.judge.forecast.move import move
    from traincost.judge.forecast.points import kinds

    others = _rows([options.on])
    devices = {r.device for r in others if r.suite == "machine" and r.device}
    device = "cuda" if "cuda" in devices else kind.device
    if device == kind.device and {r.machine_id for r in others} == {kind.machine_id}:
        raise BadInputError(
            f"--on {options.on}: FILE's machine, machine_id {kind.machine_id}; expected another"
        )
    there = [r for r in others if r.device in (device, None)]
    known = (r.gpu or r.cpu or r.host for r in there)
    name = next((k for k in known if k), str(options.on))
    here = _peaks([r for r in rows if r.device in (kind.device, None)])
    return move(kind, here, _peaks(there), points, kinds(there), name)


def _peaks(rows: Sequence[Record]) -> Measured:
    """The measured peaks of some rows."""
    import numpy as np

    from traincost.data.frames import frame_of_rows
    from traincost.data.results import to_row
    from traincost.judge.cases import COLUMNS
    from traincost.judge.roofline import measured_peaks

    frame = frame_of_rows([(i, to_row(r)) for i, r in enumerate(rows)], COLUMNS)
    (peaks,) = measured_peaks(frame, np.zeros(len(rows), np.int64), 1)
    return peaks
