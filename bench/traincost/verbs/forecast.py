"""`traincost forecast FILE`: what a training run of an unmeasured size would cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from traincost.verbs.amounts import amount_of, count_of, rate_of

if TYPE_CHECKING:
    from traincost.data.record import Record
    from traincost.judge.forecast.elsewhere import Elsewhere
    from traincost.judge.forecast.points import Kind

    Read = Sequence[tuple[Path, list[Record]]]


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
    parser.add_argument(
        "--machine",
        metavar="NAME",
        help="which machine's rows, where FILE has several: its machine_id, or a part of its name",
    )
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
    from traincost.judge.forecast.choosing import Wanted, choose, machine_names
    from traincost.judge.forecast.elsewhere import limits_of
    from traincost.judge.forecast.plan import Request, forecast
    from traincost.judge.forecast.points import kinds
    from traincost.show.forecast import shown
    from traincost.show.log import for_log
    from traincost.verbs.reading import read_files

    asked = Request(
        n_params=amount_of(options.params, "--params"),
        tokens=_given(options.tokens, "--tokens"),
        samples=_given(options.samples, "--samples"),
        batch_size=None if options.batch is None else count_of(options.batch, "--batch"),
        price_per_hour=_rate(options.price_per_hour, "--price-per-hour"),
        carbon_g_per_kwh=_rate(options.carbon, "--carbon"),
        memory_bytes=_given(options.memory, "--memory"),
    )
    read = read_files(options.files)
    rows = [row for _, records in read for row in records]
    wanted = Wanted(
        family=options.model,
        impl=options.impl,
        device=options.device,
        dtype=options.dtype,
        machine=options.machine,
    )
    names = machine_names(rows)
    kind, points = choose(kinds(rows), wanted, names, tokens=asked.tokens is not None)
    there = None if options.on is None else read_files([options.on])
    to = None if there is None else _elsewhere(kind, rows, there, str(options.on))
    capacity = asked.memory_bytes or _capacity(read, kind, there)
    told = forecast(
        kind,
        points,
        replace(asked, memory_bytes=capacity),
        machine=names[kind.machine_id],
        limits=limits_of(rows, kind.device, kind.machine_id, kind),
        to=to,
    )
    print(for_log(shown(told, options.format)), end="")
    return 0


def _given(text: str | None, option: str) -> float | None:
    return None if text is None else amount_of(text, option)


def _rate(text: str | None, option: str) -> float | None:
    return None if text is None else rate_of(text, option)


def _elsewhere(kind: Kind, here: Sequence[Record], there: Read, file: str) -> Elsewhere:
    from traincost.judge.forecast.elsewhere import elsewhere

    return elsewhere(kind, here, [row for _, records in there for row in records], file)


def _capacity(read: Read, kind: Kind, there: Read | None) -> float | None:
    """Memory of the machine of the forecast, by the files with its rows; None: no file tells."""
    if there is None:
        files = [f for f, rows in read if any(r.machine_id == kind.machine_id for r in rows)]
        known = [_memory_of(file.with_suffix(".machine.json"), kind.device) for file in files]
    else:
        known = [_memory_of(file.with_suffix(".machine.json"), None) for file, _ in there]
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
