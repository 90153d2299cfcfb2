"""A rank: takes orders from the store until it is told to end, and leaves each one's outcome there.

    order/K    the K-th order, as bytes; empty is the end. Ranks that it has no use for pass it by.
    ended/K    its outcome: rank 0's, or that of the rank that failed first

The process that hosts the store is the one that gives the orders; when it is gone, so is the store,
and the rank ends with it.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from traincost.machine.device import Device, open_device
from traincost.machine.oom import free_memory_of, is_out_of_memory
from traincost.machine.processor import measuring_cpus
from traincost.parallel.merge import portable, row
from traincost.parallel.order import Order, Outcome
from traincost.parallel.passes import measure_rank
from traincost.parallel.rank_work import RankWork
from traincost.parallel.store import Store, join_store, part_of
from traincost.parallel.together import Place, together
from traincost.snapshot import seed_all

ASK_S = 0.02
LINES_SHOWN = 3


def serve(
    store: Store, place: Place, first: int = 0, *, alive: Callable[[], bool] = lambda: True
) -> None:
    """Take orders, from the `first` on, to the end, or until `alive` says that nobody gives any.

    On a CPU a rank is one core with one thread: then ranks are alike, however many there are.
    """
    import torch

    cores = sorted(measuring_cpus())
    os.sched_setaffinity(0, {cores[place.local_rank % len(cores)]})
    torch.set_num_threads(1)
    for number in count(first):
        data = _wait_for(store, f"order/{number}", alive)
        if not data:
            return
        order = Order.from_bytes(data)
        if place.rank < order.world_size:
            _take(store, place, order, number)


def _wait_for(store: Store, key: str, alive: Callable[[], bool]) -> bytes:
    """The key's value; empty if nobody is left to set it."""
    try:
        while not store.check([key]):
            if not alive():
                return b""
            time.sleep(ASK_S)
        return bytes(store.get(key))
    except RuntimeError:  # the store has gone
        return b""


def _take(store: Store, place: Place, order: Order, number: int) -> None:
    """Measure an order; whatever goes wrong becomes its outcome, if it is the first to."""
    device: Device | None = None
    try:
        kind = order.device
        device = open_device(kind if kind == "cpu" else f"{kind}:{place.local_rank}")
        outcome = _measured(store, place, order, number, device)
    except Exception as e:
        out_of_memory = is_out_of_memory(e)
        outcome = Outcome(error=_said(place, e), out_of_memory=out_of_memory)
        if device is not None:
            free_memory_of(e, device)
    if outcome is not None:
        store.compare_set(f"ended/{number}", b"", outcome.to_bytes())


def _measured(
    store: Store, place: Place, order: Order, number: int, device: Device
) -> Outcome | None:
    """The outcome on rank 0; None on others."""
    device.set_matmul_precision(str(order.case.columns()["matmul_precision"]))
    seed_all()
    here = Place(place.rank, place.local_rank, order.world_size)
    with together(part_of(store, f"case/{number}"), here, order.device) as ranks:
        name = "cpu" if order.device == "cpu" else f"{order.device}:{here.local_rank}"
        built: RankWork = order.function(here, name, **order.arguments)
        if order.timing_off:
            built.work.step()
            device.synchronize()
            ranks.meet()
            return Outcome() if here.rank == 0 else None
        result = portable(measure_rank(built, device, ranks, order.profile))
        results = ranks.gather(result)
        hosts = round(ranks.mean(float(here.local_rank == 0)) * here.world_size)
        if results is None:
            return None
        devices = here.world_size if order.device == "cuda" else hosts
        rounds_s = tuple(result.measured.timing.rounds_s)
        return Outcome(row(order, built, results, devices), rounds_s)


def _said(place: Place, error: BaseException) -> str:
    """Who failed, with what, and where."""
    text = str(error).strip().splitlines()[:LINES_SHOWN]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"rank {place.rank}: {type(error).__name__}: {' '.join(text)}{where}"


def main(arguments: Sequence[str]) -> None:
    """A rank on this machine: `HOST PORT RANK FIRST`, of the store and of its first order."""
    host, port, rank, first = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who gives the orders
    serve(join_store(host, int(port)), Place(int(rank), int(rank), 0), int(first))
