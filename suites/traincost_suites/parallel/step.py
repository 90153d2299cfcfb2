"""A rank's part of a training step: its slice of the batch, and the model as it holds it.

The batch is that of one rank's training: the first `batch_size` samples. Rank r of n takes the r-th
n-th of them, so that the mean of the ranks' losses is the loss of the whole batch, and a step of n
ranks is the step that one would take. Under tensor parallelism every rank has all samples.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.utils.data import default_collate

from traincost.measure import Work as Measurable
from traincost.parallel.rank_work import RankWork
from traincost.parallel.together import Place
from traincost_suites.data.source import dataset
from traincost_suites.models import family
from traincost_suites.parallel.strategies import (
    bucket_bytes,
    distribute,
    optimizer_like,
    strategy,
)
from traincost_suites.trainee import make_trainee, to_device
from traincost_suites.work import Work, data_axes, tokens_of


def parallel_step(
    place: Place,
    device: str,
    *,
    strategy_name: str,
    model: str,
    batch_size: int,
    dtype: str,
    seq_len: int = 128,
) -> RankWork:
    """This rank's part of a step of `model` on `batch_size` samples of all ranks together.

    Raises:
        ValueError: an unknown strategy or model, or a batch that the ranks cannot share equally.
    """
    chosen = strategy(strategy_name)
    replicated = chosen.kind == "tensor"
    samples = rank_samples(place, batch_size, replicated=replicated)
    kind = family(model).data
    data = dataset(kind, batch_size, seq_len=seq_len)
    batch: tuple[Tensor, Tensor] = default_collate([data[i] for i in samples])
    trainee = make_trainee(model, device, dtype, seq_len=seq_len)
    x, y = to_device(batch[0], trainee), batch[1].to(device)
    held = distribute(trainee.model, chosen, device, place.world_size)
    optimizer = optimizer_like(trainee.optimizer, held, chosen)
    trainee = replace(trainee, model=held, optimizer=optimizer)
    tokens = tokens_of(kind, len(samples), seq_len)
    work = Work(trainee, x, y, len(samples), tokens, data_axes(data, seq_len))
    inner = getattr(optimizer, "optim", None) if chosen.shard_optimizer else None
    return RankWork(
        Measurable(work.step, len(samples), "step", tokens, held, optimizer),
        optimizer=inner,
        hidden_bytes=lambda: bucket_bytes(held, chosen) if device == "cpu" else 0,
        replicated=replicated,
        axes=work.axes,
    )


def rank_samples(place: Place, batch_size: int, *, replicated: bool) -> range:
    """Which samples of the batch this rank takes."""
    if replicated:
        return range(batch_size)
    share, rest = divmod(batch_size, place.world_size)
    if rest or not share:
        raise ValueError(
            f"batch_size {batch_size} on {place.world_size} ranks: expected a multiple of them"
        )
    return range(place.rank * share, (place.rank + 1) * share)
