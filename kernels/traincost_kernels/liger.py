"""Liger's kernels of our ops: the peer to compare with (`liger-kernel`, the extra `peers`).

An entry of the catalog names Liger's autograd function; what stands here is how that function is
called on the entry's inputs. Nothing is imported from Liger until it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from traincost_kernels.entry import Inputs, KernelEntry

INSTALL = "liger-kernel is not installed; pip install 'traincost[peers]'"

Arguments = Callable[[Inputs], tuple[object, ...]]

ARGUMENTS: Mapping[str, Arguments] = MappingProxyType(
    {
        "LigerReLUSquaredFunction": lambda i: (i["x"],),
        "LigerSiLUMulFunction": lambda i: (i["gate"], i["up"]),
        "LigerGELUMulFunction": lambda i: (i["gate"], i["up"]),
        "LigerRMSNormFunction": lambda i: (i["x"], i["weight"], 1e-6),
        "LigerFusedAddRMSNormFunction": lambda i: (i["x"], i["residual"], i["weight"], 1e-6),
        "LigerLayerNormFunction": lambda i: (i["x"], i["weight"], i["bias"], 1e-5),
        "LigerSoftmaxFunction": lambda i: (i["x"],),
        "LigerCrossEntropyFunction": lambda i: (i["logits"], i["target"], None),
    }
)
"""Arguments of `Function.apply` by the function's name; further ones keep Liger's defaults."""


class PeerUnavailableError(RuntimeError):
    """Liger is not there, or has nothing that does what the entry does."""


def is_installed() -> bool:
    """Whether Liger can be imported."""
    return importlib.util.find_spec("liger_kernel") is not None


def peer_function(entry: KernelEntry) -> Any:
    """Liger's `torch.autograd.Function` of this op.

    Raises:
        PeerUnavailableError: Liger is not installed, or its version does not have it.
    """
    if entry.liger is None:
        raise PeerUnavailableError(f"Liger has no kernel that does what {entry.name} does")
    if not is_installed():
        raise PeerUnavailableError(INSTALL)
    module, _, name = entry.liger.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as missing:
        raise PeerUnavailableError(f"{entry.liger}: {missing}") from missing


def peer_arguments(entry: KernelEntry, inputs: Inputs) -> tuple[object, ...]:
    """What `peer_function(entry).apply` is called with."""
    assert entry.liger is not None
    return ARGUMENTS[entry.liger.rpartition(".")[2]](inputs)
