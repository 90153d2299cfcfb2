"""How ranks share a training step: by replicas, by shards, or within layers.

single            one rank, torch alone: what the others are compared with
ddp               a replica each; gradients are averaged in buckets as backward makes them
ddp-small-buckets buckets of 1 MiB and not of 25: sent earlier, and more of them
ddp-view          gradients are views of the buckets: one copy of them less
ddp-bf16          gradients are sent as bf16
zero1             ddp-view; each rank keeps and updates a part of the optimizer's state (ZeRO-1)
fsdp              parameters, gradients and state in shards (FSDP2); a block's parameters are
                  gathered for its forward pass, given back, and gathered again for its backward
fsdp-keep         given back only after backward: one gather less, more memory
fsdp-bf16         computed and sent in bf16, kept and summed in fp32
tensor            each feed-forward layer of a GPT is cut in two halves (by columns, by rows);
                  every rank has every sample
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch._C._distributed_c10d import GradBucket

MIB = 2**20


@dataclass(frozen=True)
class Strategy:
    """One of the strategies above. `kind` is its family; the rest are torch's options."""

    kind: str  # single, ddp, fsdp, tensor
    bucket_mib: float = 25.0
    as_view: bool = False
    bf16: bool = False
    shard_optimizer: bool = False
    reshard: bool = True


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "single": Strategy("single"),
        "ddp": Strategy("ddp"),
        "ddp-small-buckets": Strategy("ddp", bucket_mib=1.0),
        "ddp-view": Strategy("ddp", as_view=True),
        "ddp-bf16": Strategy("ddp", bf16=True),
        "zero1": Strategy("ddp", as_view=True, shard_optimizer=True),
        "fsdp": Strategy("fsdp"),
        "fsdp-keep": Strategy("fsdp", reshard=False),
        "fsdp-bf16": Strategy("fsdp", bf16=True),
        "tensor": Strategy("tensor"),
    }
)


def strategy(name: str) -> Strategy:
    """The strategy of this name.

    Raises:
        ValueError: an unknown name.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy {name!r}: expected one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def distribute(model: nn.Module, chosen: Strategy, device: str, ranks: int) -> nn.Module:
    """The model as this rank holds it; all ranks of the process group must call it.

    Raises:
        ValueError: `tensor` of a model without feed-forward blocks.
    """
    if chosen.kind == "ddp":
        return _ddp(model, chosen, device)
    if chosen.kind == "single":
        return model
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(device.partition(":")[0], (ranks,))
    return _fsdp(model, chosen, mesh) if chosen.kind == "fsdp" else _tensor(model, mesh)


def _ddp(model: nn.Module, chosen: Strategy, device: str) -> nn.Module:
    wrapped = nn.parallel.DistributedDataParallel(
        model,
        device_ids=None if device == "cpu" else [torch.device(device)],
        bucket_cap_mb=chosen.bucket_mib,
        gradient_as_bucket_view=chosen.as_view,
    )
    if chosen.bf16:
        wrapped.register_comm_hook(None, gradients_in_bf16)
    return wrapped


def gradients_in_bf16(state: object, bucket: GradBucket) -> torch.futures.Future[torch.Tensor]:
    """Torch's own `bf16_compress_hook`, which DDP takes on CUDA alone when it bears that name.

    DDP reads the annotations: this file must not turn them into text.
    """
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook

    return bf16_compress_hook(state, bucket)  # type: ignore[arg-type]


def _fsdp(model: nn.Module, chosen: Strategy, mesh: Any) -> nn.Module:
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    bf16 = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    policy = bf16 if chosen.bf16 else MixedPrecisionPolicy()
    for block in getattr(model, "blocks", ()):
        fully_shard(block, mesh=mesh, mp_policy=policy, reshard_after_forward=chosen.reshard)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return model


def _tensor(model: nn.Module, mesh: Any) -> nn.Module:
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    blocks: Any = getattr(model, "blocks", ())
    if not len(blocks):
        raise ValueError(f"tensor parallel {type(model).__name__}: expected a model with blocks")
    for block in blocks:
        parallelize_module(block, mesh, {"mlp_in": ColwiseParallel(), "mlp_out": RowwiseParallel()})
    return model


def optimizer_like(
    optimizer: torch.optim.Optimizer, model: nn.Module, chosen: Strategy
) -> torch.optim.Optimizer:
    """The same kind of optimizer with the same options, over the model as this rank holds it."""
    options = {k: optimizer.defaults[k] for k in ("lr", "betas", "eps", "weight_decay")}
    kind: Any = type(optimizer)
    parameters = list(model.parameters())
    if chosen.shard_optimizer:
        from torch.distributed.optim import ZeroRedundancyOptimizer

        return ZeroRedundancyOptimizer(parameters, kind, **options)
    # Apart, since a fused update takes DTensors or tensors, not both.
    sharded = [p for p in parameters if hasattr(p, "to_local")]
    whole = [p for p in parameters if not hasattr(p, "to_local")]
    made: torch.optim.Optimizer = kind(
        [{"params": group} for group in (sharded, whole) if group], **options
    )
    return made


def bucket_bytes(model: nn.Module, chosen: Strategy) -> int:
    """Memory of DDP's buckets where they are not the gradients themselves; its own account."""
    if chosen.kind != "ddp" or chosen.as_view:
        return 0
    told: Any = model._get_ddp_logging_data()  # type: ignore[operator]
    sizes = told.get("rebuilt_bucket_sizes") or told["bucket_sizes"]
    return sum(int(size) for size in str(sizes).split(","))
